"""Dates that are written as whole numbers: 20240131 is a day of 2024, as seconds one of 1970."""

from __future__ import annotations

import polars as pl

from dien.data.readers.values import evaluated

_MOST = 0.9  # of the numbers of a column, to be sure

_PARTS = {"yyyy": 4, "yy": 2, "mm": 2, "dd": 2, "HH": 2, "MM": 2, "SS": 2, "fff": 3}  # digits
_RANGES = {"yyyy": (1990, 2099), "yy": (0, 99), "mm": (1, 12), "dd": (1, 31), "HH": (0, 23), "MM": (0, 59),
           "SS": (0, 59), "fff": (0, 999)}  # fmt: skip
_FORMS = (
    "yyyy mm dd",
    "yyyy mm dd HH",
    "yyyy mm dd HH MM",
    "yyyy mm dd HH MM SS",
    "yyyy mm dd HH MM SS fff",
    "yy mm dd",
    "yy mm dd HH",
    "yy mm dd HH MM",
    "yy mm dd HH MM SS",
    "dd mm yyyy",
    "mm dd yyyy",
)


def form_of(numbers: pl.Series) -> str | None:
    """Tell how whole numbers write a date, as ``yyyymmdd``; None where they are none.

    Args:
        numbers: ``[n]`` Int64.
    """
    if not len(numbers):
        return None
    for form in _FORMS:
        parts = form.split()
        fits = pl.lit(True)
        rest = pl.lit(numbers)
        for part in reversed(parts):
            size = 10 ** _PARTS[part]
            value = rest % size if part is not parts[0] else rest
            fits &= value.is_between(*_RANGES[part])
            rest = rest // size
        if parts[0] == "yy":  # a year of one digit would make any number a date
            fits &= pl.lit(numbers) >= 10 ** (sum(_PARTS[part] for part in parts) - 1)
        if (evaluated(fits).mean() or 0) >= _MOST:  # type: ignore[operator]  # of booleans
            return form.replace(" ", "")
    return None
