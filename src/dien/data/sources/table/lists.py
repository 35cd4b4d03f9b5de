"""Lists in a cell: of their own type, or written as text."""

from __future__ import annotations

import polars as pl

from dien.data.readers.messages import refuse, refuse_type
from dien.data.readers.values import cast, evaluated

_LITERAL = r"^\s*[\[(].*[\])]\s*$"  # as Python, JSON and NumPy write a list
_QUOTED = r"""'[^']*'|"[^"]*\""""
_BY_COMMA, _BY_BLANK = rf"{_QUOTED}|[^,\s][^,]*", rf"{_QUOTED}|\S+"


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
    if not isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
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
    by_comma, by_blank = inside.str.extract_all(_BY_COMMA), inside.str.extract_all(_BY_BLANK)
    pieces = evaluated(pl.when(inside.str.contains(",", literal=True)).then(by_comma).otherwise(by_blank))
    bare = pl.element().str.strip_chars().str.replace(r"""^(?:'(.*)'|"(.*)")$""", "${1}${2}")
    return pieces.list.eval(bare)
