"""Where the time of a row is: in a column, in several that are joined, or in the order of the rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from dien.data.readers.messages import refuse, refuse_type
from dien.data.readers.reader import Chunk
from dien.data.readers.values import floats
from dien.data.sources.table.times.numbers import PER_SECOND
from dien.data.times import UNITS
from dien.errors import DataError

_ROW = ".row"
"""The column of the number of each row; no column of a schema begins with a dot."""


def name_of(columns: Sequence[str]) -> str:
    """Name the column that a parser of times gets.

    Args:
        columns: of the files; several are joined, none is the order of the rows.
    """
    return " + ".join(columns) if columns else _ROW


def with_times(chunk: Chunk, columns: Sequence[str], before: int, unit: str | None = None) -> pl.DataFrame:
    """Add that column to a chunk.

    Args:
        chunk: with the columns that are joined.
        columns: as of :func:`name_of`; of one alone the chunk stays as it is.
        before: rows of the files before.
        unit: of the second of two columns, where it counts from the start of the day, as ``ms``; None where
            it is written as text.

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
    text = [chunk.parse(column, _text) for column in columns[: None if unit is None else 1]]
    if unit is not None:
        text.append(chunk.parse(columns[1], lambda values: _clock(values, unit)))
    return frame.with_columns(pl.select(pl.concat_str(text, separator=" ")).to_series().alias(name))


def _text(values: pl.Series) -> pl.Series:
    """Write a part of a time as text.

    Raises:
        BadValueError: it is missing, or no single value.
    """
    if values.dtype.is_nested():
        refuse_type(values, "text, dates or numbers, which are joined to a time")
    _expect_all(values)
    if isinstance(values.dtype, pl.Datetime) and (values.dt.truncate("1d") == values).all():
        values = values.dt.date()  # a day, as pandas holds it
    elif values.dtype.is_float() and (values == values.floor()).all():
        values = values.cast(pl.Int64, strict=False)  # an hour, beside a gap
    text: pl.Series = values.cast(pl.String).str.strip_chars()
    return text


def _clock(values: pl.Series, unit: str) -> pl.Series:
    """Write what counts from the start of a day as the time of the day, as 07:30:00.

    Raises:
        BadValueError: it is missing, no number, or not of one day.
    """
    day = 86_400 * PER_SECOND[unit]
    expected = (
        f"{UNITS[unit]} from the start of the day, less than {day:,}; mend it, set time_unit right, or take "
        "it out where the column writes the time of the day"
    )
    _expect_all(values)
    count = floats(values, expected)
    refuse(values, ~(count.is_between(0, day, closed="left")).fill_null(False), expected)
    seconds = (count / PER_SECOND[unit]).floor().cast(pl.Int64)
    text: pl.Series = pl.from_epoch(seconds, "s").dt.strftime("%H:%M:%S")
    return text


def _expect_all(values: pl.Series) -> None:
    """Refuse a part of a time that is missing."""
    refuse(
        values,
        values.is_null(),
        "a part of the time; fill it in, or leave such rows out (--skip-bad N; skip_bad=N in Python)",
    )
