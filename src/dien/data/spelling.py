"""One value has one spelling: 12.0 is 12, and True is true, in ids and categories of every kind of file.

A column of whole numbers with a gap is one of floats in pandas, which writes ``12.0`` to CSV; Parquet holds
12.0, and a request says 12. Python writes ``True``, JSON ``true``. Each value is respelt by itself: it does
not matter what else its column, its file or a part of it holds.
"""

from __future__ import annotations

import re

import polars as pl

WHOLE = r"^(-?[1-9][0-9]*|0)\.0+$"  # of Polars \d is a digit of any script
BOOLEANS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}

_is_whole = re.compile(WHOLE).match


def spelling_of(value: str) -> str:
    """Give the one spelling of a value, without Polars."""
    if value[-1:] == "0" and (found := _is_whole(value)) is not None:
        return found[1]
    return BOOLEANS.get(value, value)


def respelt(values: pl.Series) -> tuple[pl.Series, int]:
    """Give text, or lists of it, in its one spelling.

    Args:
        values: ``[n]`` String, or List of String; null stays null.

    Returns:
        ``[n]``, and how many values are spelt in another way than before.
    """
    if isinstance(values.dtype, pl.List):
        flat = values.explode()
        count = int(_odd(flat).sum())
        return (values.list.eval(_in_one_spelling(pl.element())) if count else values), count
    odd = _odd(values)
    if not odd.any():
        return values, 0
    made = values.to_frame().select(_in_one_spelling(pl.col(values.name)))
    return made.to_series(), int(odd.sum())


class Spelling:
    """Gives columns their one spelling, and counts the values that had another."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, values: pl.Series) -> pl.Series:
        """Give text, or lists of it, in its one spelling; other columns as they are."""
        inner = values.dtype.inner if isinstance(values.dtype, pl.List) else values.dtype
        if inner != pl.String:
            return values
        made, count = respelt(values)
        self.count += count
        return made


def _odd(values: pl.Series) -> pl.Series:
    """Mark the text that has another spelling; few values end in 0, and only these are looked at closely."""
    odd = values.is_in(list(BOOLEANS)).fill_null(False)
    zero = values.str.ends_with("0").fill_null(False)
    if zero.any() and (whole := values.filter(zero).str.contains(WHOLE)).any():
        rows = zero.arg_true().filter(whole)
        return odd.scatter(rows, True)
    return odd


def _in_one_spelling(text: pl.Expr) -> pl.Expr:
    return text.str.replace(WHOLE, "${1}").replace(BOOLEANS)
