"""What errors about tables say: where, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import polars as pl

from dien.errors import DataError

_LONGEST = 60  # characters of a value that is shown


class BadValueError(Exception):
    """A value that is not what its column must hold; who knows the file turns it into a ``DataError``.

    Args:
        index: of the first such row of the column.
        found: what is there.
        expected: what must be there, and how to mend it.
    """

    def __init__(self, index: int, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.index, self.found, self.expected = index, found, expected


def shown(value: object) -> str:
    """Write a value for an error: as Python does, and not too long."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def refuse(values: pl.Series, bad: pl.Series, expected: str) -> None:
    """Refuse the first value of a column that is marked as bad, if one is.

    Args:
        values: the column ``[n]``.
        bad: booleans ``[n]``.
        expected: what must be there, and how to mend it.

    Raises:
        BadValueError: a value is marked.
    """
    if bad.any():
        index = bad.arg_max() or 0
        raise BadValueError(index, shown(_plain(values[index])), expected)


def refuse_type(values: pl.Series, expected: str, telling: pl.Series | None = None) -> NoReturn:
    """Refuse a column for its type.

    Args:
        values: the column ``[n]``.
        expected: what it must hold, and how to mend it.
        telling: booleans ``[n]``: values that show best what is wrong. The first is named, or the first that
            is not null where there is none.

    Raises:
        BadValueError: always.
    """
    telling = values.is_not_null() if telling is None or not telling.any() else telling
    index = telling.arg_max() or 0
    found = None if values.is_empty() else _plain(values[index])
    raise BadValueError(index, f"{shown(found)} in a column of {_type_in_words(values.dtype)}", expected)


def one_line(error: Exception) -> str:
    """Shorten the message of another library to a line."""
    return " ".join(str(error).split())[:200]


def listed(names: Iterable[str]) -> str:
    """Write names for an error, with commas between."""
    return (
        ", ".join(name if name.isprintable() and len(name) <= _LONGEST else shown(name) for name in names)
        or "none"
    )


def no_column(path: Path, column: str, found: Iterable[str], mend: str) -> DataError:
    """Make the error for a column that a file lacks.

    Args:
        path: the file.
        column: the name that was looked for.
        found: the names that are there.
        mend: how to mend it.
    """
    names = list(found)
    other = next((one for one in ";\t|,\x01" if 2 * sum(one in name for name in names) > len(names)), None)
    if other is not None:
        mend += f"; if {other!r} is between the columns, say it as separator in the schema, or as --separator"
    return DataError(f"{path}: no column {column!r}; found {listed(names)}; {mend}")


def told_counts(told: Iterable[str]) -> dict[str, int]:
    """Count one file for each thing that its first lines alone tell of it."""
    return {f"files with {what} (told by their first lines)": 1 for what in told}


def check_distinct(path: Path, names: Sequence[str]) -> None:
    """Check that no two columns of a file have one name.

    Raises:
        DataError: two have; it names them.
    """
    if len(set(names)) < len(names):
        repeated = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"{path}: two columns are named {repeated!r}; rename or remove one")


def _plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value


def _type_in_words(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List | pl.Array):
        return f"lists of {_type_in_words(dtype.inner)}"  # type: ignore[arg-type]  # an instance when read
    if dtype.is_integer():
        return "whole numbers"
    names = {pl.String: "text", pl.Categorical: "text", pl.Enum: "text", pl.Boolean: "booleans",
             pl.Datetime: "times", pl.Date: "dates", pl.Float64: "floats", pl.Float32: "floats",
             pl.Null: "nulls"}  # fmt: skip
    return names.get(type(dtype), str(dtype))
