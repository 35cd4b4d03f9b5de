"""Lists in a cell: of their own type, or written as text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.readers.literals import in_brackets, with_literals
from dien.data.readers.messages import BadValueError, refuse, refuse_type, shown
from dien.data.readers.reader import Chunk
from dien.data.readers.values import cast, evaluated
from dien.data.readers.values import text as whole_numbers

_LITERAL = r"^\s*[\[(].*[\])]\s*$"  # as Python, JSON and NumPy write a list
_QUOTED = r"""'[^']*'|"[^"]*\""""
_ODD = r"\\|\b(?:None|null)\b|.[\[({]"  # an escape, nothing, a list in a list: to be parsed as a whole
_BY_COMMA, _BY_BLANK = rf"{_QUOTED}|[^,\s][^,]*", rf"{_QUOTED}|\S+"


@dataclass(frozen=True)
class Unfolded(Chunk):
    """A chunk whose lists were taken apart: several rows of it were one in the file.

    Attributes:
        of: ``[n]`` the row of the chunk, as it was read, that each was in.
    """

    of: NDArray[np.int64]

    def _row(self, index: int) -> int:
        """Give the index in the file of a row of the chunk."""
        return super()._row(int(self.of[index]) if index < len(self.of) else index)


def are_written(values: pl.Series) -> bool:
    """Whether a column of text ``[n]`` holds nothing but lists, as ``[1, 2]``."""
    if values.dtype != pl.String:
        return False
    cells = values.filter(values.str.strip_chars() != "")
    return bool(len(cells) and in_brackets(cells).all())


def lengths_of(lists: pl.Series) -> NDArray[np.int64]:
    """Count the values of lists ``[n]``; a null has none."""
    return lists.list.len().fill_null(0).to_numpy().astype(np.int64)


def values_of(lists: pl.Series) -> pl.Series:
    """Join the values of lists ``[n]``, none for an empty list or a null."""
    values: pl.Series = lists.filter(pl.Series(lengths_of(lists) > 0)).explode()
    return values


def values_beside(
    lists: pl.Series, lengths: NDArray[np.int64], first: str, *, required: bool = False
) -> pl.Series:
    """Join the values of lists that stand beside others; where a list is null, so are its values.

    Args:
        lists: ``[n]``.
        lengths: ``[n]`` values of the lists that they stand beside.
        first: the column of those, for errors.
        required: whether no list may be null.

    Raises:
        BadValueError: a list has another length.
    """
    wrong = (lists.list.len() != pl.Series(lengths)).fill_null(required)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        found = None if lists[row] is None else lists[row].to_list()
        raise BadValueError(
            row,
            shown(found),
            f"a list of {lengths[row]} values, one for each of {first!r}; mend it, or leave the column out",
        )
    there = lengths_of(lists) > 0
    flat = values_of(lists)
    if there[lengths > 0].all():
        return flat
    known = np.repeat(there, lengths)
    place = pl.Series(np.cumsum(known) - 1)
    filled: pl.Series = flat.gather(evaluated(pl.when(pl.Series(known)).then(place)))
    return filled


def lists_of(values: pl.Series, separator: str | None, mend: str) -> pl.Series:
    """Read lists: of Parquet or JSON, text with a separator, or text such as ``[1, 2]``.

    Args:
        values: the column ``[n]``.
        separator: between the values of text; None where it is written as a list.
        mend: how to mend what is no list, for errors.

    Returns:
        Lists ``[n]``; null stays null, and empty text is an empty list.

    Raises:
        BadValueError: a value is no list.
    """
    dtype = values.dtype
    if isinstance(dtype, pl.Array):
        return values.arr.to_list()
    if isinstance(dtype, pl.List):
        return values
    if dtype == pl.Null:
        return cast(values, pl.List(pl.String()))
    expected = f"a list, or text as [1, 2]; {mend}"
    if separator is not None and dtype.is_numeric():
        values = whole_numbers(values, expected)  # lists of one
    elif not isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        refuse_type(values, expected)
    text = cast(values, pl.String())
    if separator == " ":
        return text.str.extract_all(r"\S+")
    if separator is not None:
        pieces = text.str.split(separator).list.eval(pl.element().str.strip_chars())
        return evaluated(pl.when(text.str.strip_chars() == "").then(pieces.list.head(0)).otherwise(pieces))
    empty = text.str.strip_chars() == ""
    refuse(values, ~(empty | text.str.contains(_LITERAL)).fill_null(True), expected)
    inside = text.str.replace(r"^\s*[\[(]", "").str.replace(r"[\])]\s*$", "")
    gaps = inside.str.replace_all(_QUOTED, "''").str.contains(r"(?:^|,)\s*,")
    refuse(values, gaps.fill_null(False), expected)  # a value is missing, and the next ones would move up
    by_comma, by_blank = inside.str.extract_all(_BY_COMMA), inside.str.extract_all(_BY_BLANK)
    pieces = evaluated(pl.when(inside.str.contains(",", literal=True)).then(by_comma).otherwise(by_blank))
    bare = pl.element().str.strip_chars().str.replace(r"""^(?:'(.*)'|"(.*)")$""", "${1}${2}")
    odd = evaluated(pl.when(text.str.contains(_ODD)).then(text))
    return with_literals(odd, pieces.list.eval(bare), expected, fractions=True).alias(values.name)
