"""Rows that lack a value that every row must have: left out where that is allowed, and counted by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.readers.reader import Chunk
from dien.errors import DataError


class Incomplete:
    """Leaves out rows that lack a required value, and raises when they are more than allowed.

    Args:
        allowed: how many may be left out, over all files and tables together; at 0 none is looked for, and
            the first one is an error where it is read.

    Attributes:
        counts: how many were left out for each reason.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._first: tuple[Chunk, int, str] | None = None  # its place is looked up for an error alone
        self.counts: dict[str, int] = {}

    def left_out(self, chunk: Chunk, required: Mapping[str, str]) -> Chunk:
        """Give a chunk without the rows that lack a value.

        Args:
            chunk: some rows of a table.
            required: what each column that must have a value says, as ``user``.

        Raises:
            DataError: more rows than allowed are left out; it names the first.
        """
        if not self._allowed:
            return chunk
        lacking = np.zeros(chunk.frame.height, bool)
        first, first_column = len(lacking), ""
        for column, what in required.items():
            found = _missing(chunk.frame[column]) & ~lacking
            if not found.any():
                continue
            lacking |= found
            reason = f"rows without {what} (column {column!r})"
            self.counts[reason] = self.counts.get(reason, 0) + int(found.sum())
            if found.argmax() < first:
                first, first_column = int(found.argmax()), column
        if not lacking.any():
            return chunk
        if self._first is None:
            self._first = replace(chunk, frame=chunk.frame.clear()), first, first_column
        if (total := sum(self.counts.values())) > self._allowed:
            of_file, row, column = self._first
            raise DataError(
                f"{of_file.place(row)}: column {column!r}: no value; {total:,} rows read so far lack a "
                "required value, and "
                f"{self._allowed:,} may be left out; expected a value in every row; fill it in, or leave out "
                "more rows (--skip-bad N; skip_bad=N in Python)"
            )
        rows = chunk.row + np.arange(len(lacking)) if isinstance(chunk.row, int) else chunk.row
        return replace(chunk, frame=chunk.frame.filter(pl.Series(~lacking)), row=rows[~lacking])


def _missing(values: pl.Series) -> NDArray[np.bool_]:
    """Mark null, NaN and empty text ``[n]``."""
    missing = values.is_null()
    if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        missing = missing | (values.cast(pl.String) == "").fill_null(False)
    elif values.dtype.is_float():
        missing = missing | values.is_nan().fill_null(False)
    return missing.to_numpy()
