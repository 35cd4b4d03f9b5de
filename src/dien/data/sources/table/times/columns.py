"""Where the time of a row is: in a column, in several that are joined, or in the order of the rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from dien.data.readers.messages import refuse, refuse_type
from dien.data.readers.reader import Chunk
from dien.errors import DataError

_ROW = ".row"
"""The column of the number of each row; no column of a schema begins with a dot."""


def name_of(columns: Sequence[str]) -> str:
    """Name the column that a parser of times gets.

    Args:
        columns: of the files; several are joined, none is the order of the rows.
    """
    return " + ".join(columns) if columns else _ROW


def with_times(chunk: Chunk, columns: Sequence[str], before: int) -> pl.DataFrame:
    """Add that column to a chunk.

    Args:
        chunk: with the columns that are joined.
        columns: as of :func:`name_of`; of one alone the chunk stays as it is.
        before: rows of the files before.

    Raises:
        DataError: a part of a time is missing or cannot be joined, or the joined column has the name of
            another.
    """
    frame, name = chunk.frame, name_of(columns)
    if len(columns) == 1:
        return frame
    if not columns:
        rows = chunk.row + np.arange(frame.height) if isinstance(chunk.row, int) else chunk.row
        return frame.with_columns(pl.Series(name, 1 + before + rows, pl.Int64))
    if name in frame.columns:
        raise DataError(f"{chunk.place(0)}: column {name!r}: has the name of the joined times; rename it")
    text = [chunk.parse(column, _text) for column in columns]
    return frame.with_columns(pl.select(pl.concat_str(text, separator=" ")).to_series().alias(name))


def _text(values: pl.Series) -> pl.Series:
    """Write a part of a time as text.

    Raises:
        BadValueError: it is missing, or no single value.
    """
    if values.dtype.is_nested():
        refuse_type(values, "text, dates or numbers, which are joined to a time")
    refuse(
        values,
        values.is_null(),
        "a part of the time; fill it in, or leave such rows out (--skip-bad N; skip_bad=N in Python)",
    )
    text: pl.Series = values.cast(pl.String).str.strip_chars()
    return text
