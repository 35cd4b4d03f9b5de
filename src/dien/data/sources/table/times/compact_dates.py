"""Dates that are written as whole numbers: 20240131 is a day of 2024, as seconds one of 1970."""

from __future__ import annotations

import polars as pl

from dien.data.readers.values import evaluated

_MOST = 0.9  # of the numbers of a column, to be sure

_PARTS = {"%Y": 4, "%y": 2, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2, "%f": 3}  # digits
_RANGES = {"%Y": (1990, 2099), "%y": (0, 99), "%m": (1, 12), "%d": (1, 31), "%H": (0, 23), "%M": (0, 59),
           "%S": (0, 59), "%f": (0, 999)}  # fmt: skip
_FORMATS = (
    "%Y%m%d",
    "%Y%m%d%H",
    "%Y%m%d%H%M",
    "%Y%m%d%H%M%S",
    "%Y%m%d%H%M%S%f",
    "%y%m%d",
    "%y%m%d%H",
    "%y%m%d%H%M",
    "%y%m%d%H%M%S",
    "%d%m%Y",
    "%m%d%Y",
)


def formats_of(numbers: pl.Series) -> list[str]:
    """List the formats in which whole numbers may write a date, as ``%Y%m%d``; empty where they are none.

    Args:
        numbers: ``[n]`` Int64.
    """
    return [format for format in _FORMATS if len(numbers) and _share(numbers, format) >= _MOST]


def certain(formats: list[str]) -> bool:
    """Whether numbers of these formats can be read in one way alone: the year is first, of four digits."""
    return len(formats) == 1 and formats[0].startswith("%Y")


def _share(numbers: pl.Series, format: str) -> float:
    """Give the share of numbers whose digits are all within what they stand for."""
    parts = format.replace("%", " %").split()
    fits = pl.lit(True)
    rest = pl.lit(numbers)
    for part in reversed(parts):
        size = 10 ** _PARTS[part]
        value = rest % size if part is not parts[0] else rest
        fits &= value.is_between(*_RANGES[part])
        rest = rest // size
    if parts[0] == "%y":  # a year of one digit would make any number a date
        fits &= pl.lit(numbers) >= 10 ** (sum(_PARTS[part] for part in parts) - 1)
    return float(evaluated(fits).mean() or 0)  # type: ignore[arg-type]  # of booleans
