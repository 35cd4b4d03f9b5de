"""The times of requests, read as those of the log: in any unit by their size, as text, or typed.

A number that can be a time of 1970 to 2099 in one unit can be none in another, so each number is read by
itself. (Milliseconds of the first weeks of 1970 are the exception: they are taken for seconds.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

from dien.data.readers.values import evaluated
from dien.data.sources.table.times import LAST_TIME
from dien.data.sources.table.times.formats import pattern_of, undated, width_of, year_before
from dien.data.sources.table.times.numbers import PER_SECOND, SIZES, unit_of
from dien.data.sources.table.times.spellings import SPELLINGS, certain, civil, civil_of
from dien.data.sources.table.times.zones import second_of, to_utc
from dien.data.times import ORDER, UNITS, Times

_YEAR_1990 = 631_152_000
_EARLY = "seconds, before 1990"
_DIGITS = r"^([+-]?[0-9]{1,18})(\.0+)?$"  # with a fraction, as pandas writes integers with gaps


@dataclass(frozen=True)
class Clock:
    """Reads times of requests.

    Attributes:
        times: how the run's log writes its own; None where it is not known: text without a zone is of UTC.

    Raises:
        ValueError: the form is none.
    """

    times: Times | None = None

    def __post_init__(self) -> None:
        if self._format is not None:
            pattern_of(self._format)

    @property
    def _format(self) -> str | None:
        """The format of the log, where it has one."""
        form = None if self.times is None else self.times.form
        return None if form is None or form in (*UNITS, "iso", ORDER) else form

    @property
    def _year(self) -> str:
        """What stands before a time as the log writes it, which lacks the year; empty where it has it."""
        if self._format is None or self.times is None or self.times.year is None:
            return ""
        return year_before(self._format, self.times.year)

    @property
    def _zone(self) -> str:
        return (self.times.zone if self.times is not None else None) or "UTC"

    def are_seconds(self, values: Sequence[int]) -> bool:
        """Whether whole numbers are the seconds that :meth:`second` reads in each of them, told at once."""
        dates = self._format is not None and width_of(self._format) is not None
        return not dates and (not values or (min(values) >= 0 and max(values) < LAST_TIME))

    def second(self, value: Any) -> int | None:
        """Read a value of Python, without Polars, whose threads a forked process lacks.

        Returns:
            Seconds since 1970; None where the value is no time of 1970 to 2099.
        """
        found: int | None = None
        if isinstance(value, np.datetime64):
            value = None if np.isnat(value) else value.astype("datetime64[s]").astype(datetime)
        if isinstance(value, str):
            found = self._of_text(value.strip())
        elif isinstance(value, date):
            found = self._of_typed(value)
        elif _is_whole(value):
            found = self._of_number(int(value))
        return found if found is not None and 0 <= found < LAST_TIME else None

    def _of_number(self, number: int) -> int | None:
        if self._format is not None and (width := width_of(self._format)) is not None:
            text = str(number)
            if self._year and len(text) <= (short := width_of(undated(self._format)) or 0):
                text = self._year + text.zfill(short)
            second = self._of_civil(civil_of(text.zfill(width), pattern_of(self._format)))
            if second is not None and 0 <= second < LAST_TIME:
                return second
        return number // PER_SECOND[unit_of(number)]

    def _of_text(self, text: str) -> int | None:
        if digits := re.match(_DIGITS, text):
            return self._of_number(int(digits[1]))
        texts = [(text, pattern) for pattern in SPELLINGS]
        if self._format is not None:
            own = pattern_of(self._format)
            texts = [(self._year + text, own), (text, own), *texts]
        return next((self._of_civil(read) for one in texts if (read := civil_of(*one)) is not None), None)

    def _of_civil(self, read: tuple[int, int | None] | None) -> int | None:
        if read is None:
            return None
        local, ahead = read
        return local - ahead if ahead is not None else second_of(local, self._zone)

    def _of_typed(self, value: date) -> int | None:
        if value != value:  # NaT, which pandas calls a date
            return None
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # of the zone
        if value.tzinfo is not None:
            return int(value.timestamp() // 1)
        return second_of(int(value.replace(tzinfo=timezone.utc).timestamp() // 1), self._zone)

    def seconds(self, values: pl.Series) -> tuple[pl.Series, dict[str, int]]:
        """Read a column of a file.

        Args:
            values: ``[n]`` whole numbers, text, or typed times.

        Returns:
            ``[n]`` Int64 seconds since 1970, null where a value is null or no time of 1970 to 2099; and how
            many were written in which way.
        """
        dtype, said = values.dtype, {}
        if isinstance(dtype, pl.Datetime) or dtype == pl.Date:
            found = (values.cast(pl.Datetime("ms")) if dtype == pl.Date else values).dt.epoch("s")
            if getattr(dtype, "time_zone", None) is None:
                found = to_utc(found, self._zone)[0]
            said = {"typed times": len(found) - found.null_count()}
        elif dtype.is_integer() or dtype == pl.Null:
            found, said = self._of_numbers(values.cast(pl.Int64, strict=False))
        else:
            text = values.cast(pl.String).str.strip_chars()
            numbers = text.str.extract(_DIGITS).cast(pl.Int64, strict=False)
            digits = numbers.is_not_null()
            found, said = self._of_numbers(numbers)
            if not digits.all():
                written = self._of_texts(text.filter(~digits))
                found = found.scatter((~digits).arg_true(), written)
                said["text"] = len(written) - written.null_count()
        found = evaluated(pl.when(found.is_between(0, LAST_TIME - 1)).then(found))
        return found.alias(values.name), {form: count for form, count in said.items() if count}

    def _of_numbers(self, numbers: pl.Series) -> tuple[pl.Series, dict[str, int]]:
        said: dict[str, int] = {}
        dates = numbers.clear(len(numbers))
        if self._format is not None and (width := width_of(self._format)) is not None:
            text = numbers.cast(pl.String)
            if self._year:
                short = width_of(undated(self._format)) or 0
                with_year = self._year + pl.lit(text).str.zfill(short)
                text = evaluated(pl.when(text.str.len_bytes() <= short).then(with_year).otherwise(text))
            text = text.str.zfill(width)
            dates = to_utc(civil(text, pattern_of(self._format)).local, self._zone)[0]
            dates = evaluated(pl.when(dates.is_between(0, LAST_TIME - 1)).then(dates))
            said["dates"] = len(dates) - dates.null_count()
        found = dates
        for unit, (low, high) in SIZES.items():
            of_unit = numbers.abs().is_between(low, high, closed="left").fill_null(False) & dates.is_null()
            if of_unit.any():
                said[UNITS[unit]] = int(of_unit.sum())
                if unit == "s":
                    said[_EARLY] = int((of_unit & (numbers < _YEAR_1990)).sum())
                    said[UNITS[unit]] -= said[_EARLY]
                found = evaluated(pl.when(of_unit).then(numbers // PER_SECOND[unit]).otherwise(found))
        return found, said

    def _of_texts(self, text: pl.Series) -> pl.Series:
        first = SPELLINGS[0] if self._format is None else pattern_of(self._format)
        if self._year:
            dated = evaluated(self._year + pl.lit(text))
            text = evaluated(pl.when(civil(dated, first).local.is_not_null()).then(dated).otherwise(text))
        read = certain(text, first)[0]
        place = to_utc(evaluated(pl.when(read.ahead.is_null()).then(read.local)), self._zone)[0]
        return evaluated(pl.when(read.ahead.is_not_null()).then(read.local - read.ahead).otherwise(place))


def _is_whole(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return float(value).is_integer()
    return isinstance(value, Integral) and not isinstance(value, bool)


UNKNOWN = Clock()
"""Of a run that does not say how its log writes times."""
