"""Marks of what is missing that stand in files as values, as NULL or -1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any

import polars as pl

KNOWN = ("NULL", "\\N")
"""Marks in text with columns where nothing is said: of SQL, of MySQL and Hive."""
LIKELY = (
    *KNOWN, "NA", "N/A", "<NA>", "nan", "NaN", "None", "null", "Null", "(null)", "NaT", "undefined",
)  # fmt: skip
"""Marks that programs write and that may be values, too: taken for marks only where that is said."""


class Nulls:
    """Makes cells that hold a mark null, and counts them.

    Args:
        marks: of what is missing.

    Attributes:
        counts: how many cells held each mark, for the report.
    """

    def __init__(self, marks: Sequence[str]) -> None:
        self._marks = list(marks)
        self._numbers = {number: mark for mark in marks if (number := _number(mark)) is not None}
        self.counts: dict[str, int] = {}

    def out_of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Make the marks null: text, and numbers that a mark writes."""
        for column in frame.iter_columns() if self._marks else ():
            if column.dtype.is_numeric() and self._numbers:
                frame = self._out_of(frame, column, column.cast(pl.Float64).is_in(list(self._numbers)))
            elif isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
                frame = self._out_of(frame, column, column.cast(pl.String).is_in(self._marks))
        return frame

    def out_of_values(self, values: list[Any]) -> list[Any]:
        """Make text that is a mark None in a column of JSON, whose type such text would decide."""
        if not self._marks:
            return values
        marked = [isinstance(value, str) and value in self._marks for value in values]
        for value in (value for value, mark in zip(values, marked, strict=True) if mark):
            self._count(value, 1)
        return [None if mark else value for value, mark in zip(values, marked, strict=True)]

    def _count(self, mark: str, count: int) -> None:
        what = f"cells that hold {mark} (read as missing)"
        self.counts[what] = self.counts.get(what, 0) + count

    def _out_of(self, frame: pl.DataFrame, column: pl.Series, marked: pl.Series) -> pl.DataFrame:
        marked = marked.fill_null(False)
        if not marked.any():
            return frame
        for value, count in column.filter(marked).alias("mark").value_counts().iter_rows():
            self._count(value if isinstance(value, str) else self._numbers[float(value)], count)
        return frame.with_columns(pl.when(~marked).then(column).alias(column.name))


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Add counts to others of the same reasons."""
    return {what: counts.get(what, 0) + more.get(what, 0) for what in {**counts, **more}}


def _number(mark: str) -> float | None:
    """Read a mark as a finite number; None of others, as NaN, which is missing anyway."""
    with suppress(ValueError):
        return number if isfinite(number := float(mark)) else None
    return None
