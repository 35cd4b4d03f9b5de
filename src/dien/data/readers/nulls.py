"""Marks of what is missing that stand in files as text, as NULL."""

from __future__ import annotations

from collections.abc import Sequence

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
        self.counts: dict[str, int] = {}

    def out_of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Make the marks in columns of text null."""
        for column in frame.iter_columns():
            if self._marks and column.dtype == pl.String:
                frame = self._out_of(frame, column)
        return frame

    def _out_of(self, frame: pl.DataFrame, column: pl.Series) -> pl.DataFrame:
        marked = column.is_in(self._marks).fill_null(False)
        if not marked.any():
            return frame
        for mark, count in column.filter(marked).value_counts().iter_rows():
            what = f"cells that hold {mark} (read as missing)"
            self.counts[what] = self.counts.get(what, 0) + count
        return frame.with_columns(pl.when(~marked).then(column).alias(column.name))
