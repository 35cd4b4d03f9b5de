"""Numbers that count from 1970: their unit is told by their size."""

from __future__ import annotations

import polars as pl

from dien.data.readers.messages import refuse
from dien.data.readers.values import cast

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
SIZES = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17), "ns": (10**17, (1 << 63) - 1)}
"""Sizes of numbers by unit, to detect it: right from 1973 to 5138."""


def unit_of(number: float) -> str:
    """Tell the unit of a time by its size."""
    return next((unit for unit, (low, high) in SIZES.items() if low <= abs(number) < high), "ns")


def plain_numbers(values: pl.Series) -> pl.Series:
    """Make numbers ``[n]`` Int64, or Float64 where they are no whole ones.

    Raises:
        BadValueError: one does not fit.
    """
    if values.dtype.is_float() or values.dtype.is_decimal():
        floats: pl.Series = values.cast(pl.Float64)
        refuse(
            values,
            ~(floats.abs() < 1 << 63).fill_null(False),
            "a time: a number; mend it or drop the row",
        )
        return floats
    numbers: pl.Series = values.cast(pl.Int64, strict=False)
    too_large = numbers.is_null() & values.is_not_null()
    refuse(values, too_large, "a time: a number of 64 bits; mend it or drop the row")
    return numbers


def seconds_of(numbers: pl.Series, unit: str) -> pl.Series:
    """Convert numbers ``[n]`` of a unit to whole seconds, rounded down."""
    if numbers.dtype == pl.Int64:
        return cast(numbers // PER_SECOND[unit], pl.Int64())
    return cast((numbers / PER_SECOND[unit]).floor(), pl.Int64())
