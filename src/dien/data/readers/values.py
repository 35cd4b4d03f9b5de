"""Raw columns of text and numbers, whatever type a file gave them, each value checked."""

from __future__ import annotations

import re

import polars as pl

from dien.data.readers.messages import refuse, refuse_type
from dien.data.readers.nulls import LIKELY


def text(values: pl.Series, expected: str = "text or whole numbers") -> pl.Series:
    """Read ids: text or whole numbers, floats that are whole among them; empty text and NaN are null.

    Raises:
        BadValueError: the column holds something else.
    """
    dtype = values.dtype
    if dtype.is_float():  # integers with gaps, as pandas stores them
        filled = values.fill_nan(None)
        refuse(values, ((filled != filled.floor()) | (filled.abs() >= WHOLE)).fill_null(False), expected)
        return cast(filled.cast(pl.Int64), pl.String())
    if dtype.is_integer() or (dtype.is_decimal() and dtype.scale == 0):  # type: ignore[attr-defined]
        return cast(values, pl.String())  # whole numbers of databases are decimals
    if dtype != pl.Null and not isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        refuse_type(values, expected)
    return _filled(values.cast(pl.String))


_WITH_COMMA = r"^\s*[+-]?\d+,\d+\s*$"
_GROUPED = {
    ".": r"^\s*[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?\s*$",  # 1.234,5
    ",": r"^\s*[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?\s*$",  # 1,234.5
}
"""Numbers with something between thousands, by what it is."""

WHOLE = 1 << 53
"""Below it floats hold every whole number."""

LARGEST = 1e30
"""A number may be so large and so small: what lies beyond stands for "missing" or is a mistake, and one alone
would make a feature's mean and spread useless."""


def numbers(values: pl.Series, precision: pl.DataType) -> pl.Series:
    """Read numbers: of this type of floats; empty text and NaN are null.

    Raises:
        BadValueError: a value is no number, or lies beyond :data:`LARGEST`, as infinity does.
    """
    expected = "a number, or null (in CSV an empty field) where it is unknown; mend it or change kind"
    if isinstance(values.dtype, pl.List | pl.Array):
        expected += ", or give a table of vectors at training (training.pretrained)"
    found = values.cast(pl.Float64) if values.dtype == pl.Boolean else floats(values, expected)
    bad = (found.abs() > LARGEST).fill_null(False)
    refuse(
        values,
        bad,
        f"a finite number from -{LARGEST:g} to {LARGEST:g}, or null (in CSV an empty field) where it is "
        "unknown; mend it",
    )
    return cast(found, precision)


def floats(values: pl.Series, expected: str) -> pl.Series:
    """Read numbers of any size: Float64; empty text and NaN are null.

    Args:
        values: the column ``[n]``.
        expected: what must be there, and how to mend it, for errors.

    Raises:
        BadValueError: a value is no number.
    """
    dtype = values.dtype
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        given = _filled(values.cast(pl.String).str.strip_chars())
        found = given.cast(pl.Float64, strict=False)
        bad = found.is_null() & given.is_not_null()
        if bad.any() and (mark := given.filter(bad)[0]) in LIKELY:
            expected += f", or say nulls: [{mark}] of this table in the schema, where it marks a missing one"
        elif bad.any():
            expected += _of_commas(given.filter(bad)[0])
        refuse(values, bad, expected)
    elif dtype.is_numeric() or dtype == pl.Null:
        found = values.cast(pl.Float64)
    else:
        refuse_type(values, expected)
    filled: pl.Series = found.fill_nan(None)
    return filled


def _of_commas(text: str) -> str:
    """Say which ``decimal`` reads a number with a comma; empty of other text."""
    comma = re.match(_WITH_COMMA, text) or re.match(_GROUPED["."], text)
    ways = ["decimal: ',' of this table in the schema, where the comma begins a fraction"] if comma else []
    if re.match(_GROUPED[","], text):
        ways.append("decimal: '.' of this table in the schema, where commas stand between thousands")
    return f", or say {', or '.join(ways)}" if ways else ""


def as_plain_numbers(frame: pl.DataFrame, decimal: str) -> tuple[pl.DataFrame, int]:
    """Write numbers in cells of text with a point before their fraction, and nothing between thousands.

    Args:
        frame: some rows of a file.
        decimal: what stands before the fraction, a comma or a point; the other one may stand between
            thousands.

    Returns:
        The rows, and how many numbers had something between thousands.
    """
    between, count = "." if decimal == "," else ",", 0
    for column in frame.iter_columns():
        if column.dtype != pl.String:
            continue
        grouped = column.str.contains(_GROUPED[between]).fill_null(False)
        comma = column.str.contains(_WITH_COMMA).fill_null(False) & (decimal == ",")
        if not (grouped | comma).any():
            continue
        count += int(grouped.sum())
        plain = pl.when(grouped).then(column.str.replace_all(between, "", literal=True)).otherwise(column)
        plain = pl.when(grouped | comma).then(plain.str.replace(",", ".", literal=True)).otherwise(column)
        frame = frame.with_columns(plain.alias(column.name))
    return frame, count


def evaluated(made: pl.Expr) -> pl.Series:
    """Work out an expression over whole columns."""
    return pl.select(made).to_series()


def cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Convert a column to a type that holds all its values."""
    made: pl.Series = values.cast(dtype)  # untyped in Polars
    return made


def _filled(values: pl.Series) -> pl.Series:
    """Empty text is null."""
    empty = values == ""
    if not empty.any():
        return values
    return evaluated(pl.when(~empty).then(values).alias(values.name))
