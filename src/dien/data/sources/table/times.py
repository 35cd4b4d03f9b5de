"""Times as the log wants them: whole seconds since 1970, whatever unit the files have."""

from __future__ import annotations

import time
import warnings

import numpy as np
import polars as pl

from dien.data.readers.messages import refuse, refuse_type, shown
from dien.data.readers.values import cast, evaluated
from dien.data.sources.table.compact_dates import form_of
from dien.data.sources.table.spec import TimeUnit
from dien.errors import DataError

LAST_TIME = 4_102_444_800
"""The year 2100 in seconds since 1970: a time from there on is a mistake."""

_YEAR_1990 = 631_152_000  # seconds since 1970: few logs are older, and mistakes are
_MOST = 0.9  # of the times of a column

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SIZES = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17), "ns": (10**17, (1 << 63) - 1)}
"""Sizes of numbers by unit, to detect it: right from 1973 to 5138."""
_NAMES = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "iso": "ISO 8601 text or typed times",
}
_ISO = (
    r"^(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,]\d+)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?)?$"
)
_ISO_EXAMPLES = (
    "a time as 2024-01-31, 2024-01-31T10:00:00 or 2024-01-31 10:00:00+02:00 (UTC where no zone is named)"
)


class TimeParser:
    """Converts columns of times to whole seconds since 1970; all files must have one unit.

    Args:
        unit: of numbers, or ``iso``; None to detect it from the values of each file.
        quiet: do not warn of times that are odd.
    """

    def __init__(self, unit: TimeUnit | None, quiet: bool = False) -> None:
        self._given = unit
        self._quiet = quiet
        self._unit: str | None = None
        self._file = ""
        self._first: tuple[str, str] | None = None
        self._warned: set[str] = set()

    def start_file(self, path: str) -> None:
        """Go on to the next file; its unit is not known yet."""
        self._file, self._unit = path, None

    @property
    def unit(self) -> str | None:
        """Unit of the file's times: given, or detected from what was parsed; None before."""
        return self._unit

    def parse(self, values: pl.Series) -> pl.Series:
        """Convert a column of the file.

        Args:
            values: ``[n]`` numbers in the unit, text (ISO 8601 or numbers), dates or typed times.

        Returns:
            ``[n]`` Int64 seconds.

        Raises:
            BadValueError: one is missing, no time, not in the unit of the others, or not of 1970 to 2099; or
                the numbers write dates, as 20240131.
            DataError: an earlier file has another unit.

        Times before 1990 or after tomorrow are warned of, once a file.
        """
        dtype = values.dtype
        if values.null_count():
            refuse(values, values.is_null(), "a time; fill it in or drop the row")
        if dtype in (pl.Datetime, pl.Date):
            self._set_unit("iso")
            seconds = values.cast(pl.Datetime("ms")) if dtype == pl.Date else values
            seconds = seconds.dt.epoch("s")
        elif isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
            given = values.cast(pl.String).str.strip_chars()
            numeric = self._given not in (None, "iso")
            if self._given is None and len(given):
                numeric = given[0] is not None and given[0].lstrip("+-")[:5].replace(".", "").isdigit()
            seconds = self._from_text(values, given) if numeric else self._from_iso(values, given)
        elif dtype.is_integer() or dtype.is_float() or dtype.is_decimal():
            seconds = self._from_numbers(values, values)
        else:
            refuse_type(values, "seconds since 1970 (or ms, us, ns: time_unit), text as 2024-01-31, or times")
        self._look(values, seconds)
        bad = ~seconds.is_between(0, LAST_TIME - 1).fill_null(False)
        unit = _NAMES[self._unit or "iso"]
        refuse(values, bad, f"a time of the years 1970 to 2099, read as {unit}; mend it, or set time_unit")
        return cast(seconds, pl.Int64())

    def _set_unit(self, unit: str) -> None:
        """Note the unit of the file, once, and compare it with that of the files before."""
        if self._given is not None and (self._given == "iso") != (unit == "iso"):
            raise DataError(
                f"{self._file}: time_unit is {self._given}, but its times are "
                f"{'typed times or text' if unit == 'iso' else 'numbers'}; set it right, or leave it out"
            )
        self._unit = self._unit or self._given or unit
        first = self._first = self._first or (self._file, self._unit)
        if first[1] != self._unit:
            raise DataError(
                f"{self._file}: its times are {_NAMES[self._unit]}, those of {first[0]} {_NAMES[first[1]]}; "
                "expected one unit in all files: convert one, or set interactions.time_unit if a unit was "
                "detected wrongly"
            )

    def _look(self, values: pl.Series, seconds: pl.Series) -> None:
        """Refuse numbers that write dates, and warn of times before 1990 or after tomorrow."""
        tomorrow = time.time() + 86_400
        odd = ~seconds.is_between(_YEAR_1990, tomorrow).fill_null(True)
        if not odd.any():
            return
        unit, index = self._unit or "iso", int(odd.arg_max() or 0)
        form = None
        if unit != "iso" and odd.mean() > _MOST:  # type: ignore[operator]  # of booleans
            whole = (
                values.cast(pl.String)
                .str.strip_chars()
                .str.replace(r"\.0+$", "")
                .cast(pl.Int64, strict=False)
            )
            form = form_of(whole) if not whole.null_count() else None
        if form is not None and self._given is None:
            refuse(
                values,
                odd,
                f"a time; the numbers of this column seem to write dates ({form}), and as {_NAMES[unit]} "
                f"since 1970 would be of {_day(seconds[index])}; write them as 2024-01-31 or "
                "2024-01-31T10:00:00, or as seconds since 1970; if they are "
                f"{_NAMES[unit]}, set interactions.time_unit: {unit}",
            )
        late = bool((seconds > tomorrow).any())
        index = int((seconds > tomorrow).fill_null(False).arg_max() or 0) if late else index
        if (
            self._quiet
            or self._file in self._warned
            or (self._given not in (None, "iso") and not (late or form))
        ):
            return
        self._warned.add(self._file)
        why = f"they seem to write dates ({form}): write them as 2024-01-31" if form else "mend them"
        if unit != "iso" and not form and not late:
            why = f"if they count from another start, set interactions.time_unit: {unit}; else mend them"
        warnings.warn(
            f"{self._file}: column {values.name!r}: {int(odd.sum()):,} of {len(odd):,} times looked at are "
            f"{'later than tomorrow' if late else 'before 1990'}, as {shown(values[index])}, read as "
            f"{_NAMES[unit]}: {_day(seconds[index])}; {why}",
            stacklevel=2,
        )

    def _from_text(self, values: pl.Series, given: pl.Series) -> pl.Series:
        numbers = given.cast(pl.Int64, strict=False)
        if numbers.null_count():
            numbers = given.cast(pl.Float64, strict=False)
        bad = numbers.is_null()
        refuse(values, bad, "a number as in the rows before; mend it or drop the row")
        return self._from_numbers(values, numbers)

    def _from_iso(self, values: pl.Series, given: pl.Series) -> pl.Series:
        self._set_unit("iso")
        parts = given.str.extract_groups(_ISO).struct.unnest()
        day, hour, minute, second, zone = (parts.to_series(i) for i in range(5))
        days = day.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
        offset = zone.str.replace(":", "").str.replace("(?i)z", "+0000")
        ahead = offset.str.slice(1, 2).cast(pl.Int64) * 3600 + offset.str.slice(3, 2).cast(pl.Int64) * 60
        sign = evaluated(pl.when(offset.str.starts_with("-")).then(-1).otherwise(1))
        seconds = (
            days * 86_400
            + hour.cast(pl.Int64).fill_null(0) * 3600
            + minute.cast(pl.Int64).fill_null(0) * 60
            + second.cast(pl.Int64).fill_null(0)
            - (ahead * sign).fill_null(0)
        )
        bad = seconds.is_null()
        refuse(values, bad, f"{_ISO_EXAMPLES}; mend it, or set time_unit for numbers")
        return cast(seconds, pl.Int64())

    def _from_numbers(self, values: pl.Series, numbers: pl.Series) -> pl.Series:
        if numbers.dtype.is_float() or numbers.dtype.is_decimal():
            numbers = numbers.cast(pl.Float64)
            bad = ~(numbers.abs() < 1 << 63).fill_null(False)
            refuse(values, bad, "a time: a number; mend it or drop the row")
        else:
            wide, numbers = numbers, numbers.cast(pl.Int64, strict=False)
            bad = numbers.is_null() & wide.is_not_null()
            refuse(values, bad, "a time: a number of 64 bits; mend it or drop the row")
        if not len(numbers):
            return cast(numbers, pl.Int64())
        self._set_unit(_unit_of(numbers[0]) if self._unit is None else self._unit)
        if self._given is None:
            size = numbers.abs()
            bad = ~size.is_between(*_SIZES[self._unit or "s"], closed="left") & (numbers >= 0)
            if bad.any():
                other = _NAMES[_unit_of(numbers.filter(bad)[0])]
                refuse(
                    values,
                    bad,
                    f"{_NAMES[self._unit or 's']} as in the file's first row, not {other}; convert it, or "
                    "set interactions.time_unit if the unit was detected wrongly",
                )
        if numbers.dtype == pl.Int64:
            return cast(numbers // _PER_SECOND[self._unit or "s"], pl.Int64())
        return cast((numbers / _PER_SECOND[self._unit or "s"]).floor(), pl.Int64())


def _day(seconds: float | None) -> str:
    """Write the day of a time."""
    days = int((seconds or 0) // 86_400)
    return str(np.datetime64(days, "D")) if abs(days) < 3_000_000 else "no year that there is"


def _unit_of(number: float) -> str:
    return next((unit for unit, (low, high) in _SIZES.items() if low <= abs(number) < high), "ns")
