"""A column of times, chunk by chunk, to whole seconds since 1970."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl

from dien.data.readers.messages import refuse, refuse_type, shown
from dien.data.readers.values import cast, evaluated
from dien.data.sources.table.times import compact_dates, formats, numbers
from dien.data.sources.table.times.columns import name_of
from dien.data.sources.table.times.spellings import SPELLINGS, Civil, certain, civil
from dien.data.sources.table.times.zones import to_utc
from dien.data.times import ORDER, UNITS, Times, compact, in_words
from dien.errors import DataError

LAST_TIME = 4_102_444_800
"""The year 2100 in seconds since 1970: a time from there on is a mistake."""

_YEAR_1990 = 631_152_000  # seconds since 1970: few logs are older, and mistakes are
_MOST = 0.9  # of the times of a column
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_EXAMPLES = (
    "a time as 2024-01-31, 2024-01-31T10:00:00 or 2024-01-31 10:00:00+02:00 (UTC where no zone is named)"
)
_TWICE = "times that came twice as the clocks were put back (kept, the first is taken)"


class TimeParser:
    """Converts columns of times to whole seconds since 1970; all files must write them alike.

    Args:
        unit: of numbers, or ``iso`` for text and typed times; None to detect it from the values of each file.
            Of two columns that are joined it is of the second, which counts from the start of the day.
        format: of text and of numbers that write a date, as :func:`formats.pattern_of` reads it; None for
            what can be read in one way alone.
        year: of a format that has none; None of others.
        zone: of times that name none, as Europe/Berlin; None for UTC.
        columns: of the files that hold the time; several are joined with a blank, of none the order of the
            rows is the time.
        key: of the schema that says all this, for errors.
        quiet: do not warn of times that are odd.

    Attributes:
        columns: as given.
        column: the one that it parses (:func:`columns.with_times`).
        clock: unit of the second of two columns, where it counts from the start of the day; else None.
        kept: what was odd and yet read, and how often.
        without_zone: whether a time named no zone.
    """

    def __init__(
        self,
        unit: str | None,
        *,
        format: str | None = None,
        year: int | None = None,
        zone: str | None = None,
        columns: Sequence[str] = ("time",),
        key: str = "interactions",
        quiet: bool = False,
    ) -> None:
        self.clock = unit if len(columns) == 2 and unit in UNITS else None
        self._given = unit if self.clock is None else None
        self._zone, self._key, self._quiet = zone, key, quiet
        self._written, self._year = format, None
        self._before = ""  # each text of the column
        if format is not None and year is not None:
            format, self._year = formats.dated(format), year
            self._before = formats.year_before(format, year)
        self._format = format
        self._pattern = formats.pattern_of(format) if format is not None else None
        self.columns, self.column = tuple(columns), name_of(columns)
        self._form: str | None = None
        self._file = ""
        self._first: tuple[str, str] | None = None
        self._warned: set[str] = set()
        self._spelling = SPELLINGS[0]  # that read the last chunk
        self.kept: dict[str, int] = {}
        self.without_zone = False

    def start_file(self, path: str) -> None:
        """Go on to the next file; how it writes times is not known yet."""
        self._file, self._form = path, None

    def end(self, excluded: dict[str, int]) -> None:
        """Say after the last file what was odd and yet read: counts go to ``excluded``."""
        for what, count in self.kept.items():
            excluded[what] = excluded.get(what, 0) + count
        if self._zone is not None and self._first is not None and not self.without_zone:
            warnings.warn(
                f"{self._key}.time_zone is {self._zone}, but no time needs it: each counts from 1970 or "
                "names its zone; leave it out, or mend the times",
                stacklevel=3,
            )

    @property
    def form(self) -> str | None:
        """How the file writes times: a unit, ``iso``, or a format as ``%Y%m%d``; None until one is parsed."""
        return self._form

    def parse(self, values: pl.Series) -> pl.Series:
        """Convert a column of the file.

        Args:
            values: ``[n]`` numbers in the unit, text, dates or typed times.

        Returns:
            ``[n]`` Int64 seconds.

        Raises:
            BadValueError: one is missing, no time, not written as the others, or not of 1970 to 2099; or
                it can be read in several ways.
            DataError: an earlier file writes them in another way.

        Times before 1990 or after tomorrow are warned of, once a file.
        """
        dtype = values.dtype
        if not self.columns:
            self._told(ORDER)
            return values
        if values.null_count():
            refuse(
                values,
                values.is_null(),
                "a time; fill it in, or leave such rows out (--skip-bad N; skip_bad=N in Python)",
            )
        if isinstance(dtype, pl.Datetime) or dtype == pl.Date:
            seconds = self._from_typed(values)
        elif isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
            given = values.cast(pl.String).str.strip_chars()
            if self._pattern is not None:
                seconds = self._from_format(values, self._digits(given))
            elif self._is_numeric(given):
                seconds = self._from_numbers(values, self._as_numbers(values, given))
            else:
                seconds = self._from_text(values, given)
        elif dtype.is_integer() or dtype.is_float() or dtype.is_decimal():
            if self._pattern is not None:
                seconds = self._from_format(values, self._digits(values.cast(pl.String)))
            else:
                seconds = self._from_numbers(values, numbers.plain_numbers(values))
        else:
            refuse_type(values, "seconds since 1970 (or ms, us, ns: time_unit), text as 2024-01-31, or times")
        self._look(values, seconds)
        bad = ~seconds.is_between(0, LAST_TIME - 1).fill_null(False)
        refuse(
            values,
            bad,
            f"a time of the years 1970 to 2099, read as {self._read_as}; mend it, or set time_unit",
        )
        return cast(seconds, pl.Int64())

    @property
    def times(self) -> Times:
        """How the files write times, once one was parsed."""
        zone = (self._zone or "UTC") if self.without_zone else None
        return Times(form=self._first[1] if self._first else "s", zone=zone, year=self._year)

    @property
    def _read_as(self) -> str:
        return in_words(self._form or "iso")

    # What the values are

    def _is_numeric(self, given: pl.Series) -> bool:
        """Whether text ``[n]`` holds numbers: as was told before, or by the first row."""
        told = self._given or self._form
        if told is not None:
            return told != "iso"
        return len(given) > 0 and bool(given.head(1).str.contains(_NUMBER)[0])

    def _as_numbers(self, values: pl.Series, given: pl.Series) -> pl.Series:
        found = given.cast(pl.Int64, strict=False)
        if found.null_count():
            found = given.cast(pl.Float64, strict=False)
        refuse(values, found.is_null(), "a number as in the rows before; mend it or drop the row")
        return numbers.plain_numbers(found.alias(values.name))

    def _digits(self, text: pl.Series) -> pl.Series:
        """Give digits back the zeros before them, where the format has nothing but digits; add the year."""
        width = formats.width_of(self._written or "")
        digits = text if width is None else text.str.replace(r"\.0+$", "").str.zfill(width)
        return evaluated(self._before + pl.lit(digits)) if self._before else digits

    def _told(self, form: str) -> None:
        """Note how the file writes times, once, and compare it with the files before."""
        if self._given is not None and (self._given == "iso") != (form == "iso"):
            raise DataError(
                f"{self._file}: time_unit is {self._given}, but its times are "
                f"{'typed times or text' if form == 'iso' else 'numbers'}; set it right, or leave it out"
            )
        self._form = self._form or self._given or form
        first = self._first = self._first or (self._file, self._form)
        if first[1] != self._form:
            raise DataError(
                f"{self._file}: its times are {self._read_as}, those of {first[0]} {in_words(first[1])}; "
                f"expected one unit in all files: convert one, or set {self._key}.time_unit if a unit was "
                "detected wrongly"
            )

    # Reading them

    def _from_typed(self, values: pl.Series) -> pl.Series:
        if self._format is not None:
            raise DataError(
                f"{self._file}: {self._key}.time_format is {self._written!r}, but its times are typed times; "
                "leave it out"
            )
        self._told("iso")
        zone = getattr(values.dtype, "time_zone", None)
        seconds = (values.cast(pl.Datetime("ms")) if values.dtype == pl.Date else values).dt.epoch("s")
        return cast(seconds, pl.Int64()) if zone else self._of_place(values, seconds)

    def _from_text(self, values: pl.Series, given: pl.Series) -> pl.Series:
        """Read text that can be read in one way alone."""
        self._told("iso")
        found, self._spelling = certain(given, self._spelling)
        bad = found.local.is_null()
        if bad.any():
            could_be = formats.suggested(given, str(given[bad.arg_max() or 0]))
            if could_be:
                mend = formats.advice(could_be, self._key)
                refuse(values, bad, f"a time whose day and month cannot be mixed up, as 2024-01-31; {mend}")
            mend = f"mend it, or set time_unit for numbers, or {self._key}.time_format for another order"
            if len(self.columns) == 2 and re.search(r" \d+$", str(given[bad.arg_max() or 0])):
                count = f"{self.columns[1]} counts from the start of the day"
                mend = f"where {count}, say {self._key}.time_unit: ms (or s)"
            refuse(values, bad, f"{_EXAMPLES}; {mend}")
        return self._absolute(values, found)

    def _from_format(self, values: pl.Series, given: pl.Series) -> pl.Series:
        assert self._format is not None
        assert self._pattern is not None
        self._told(self._format)
        found = civil(given, self._pattern)
        refuse(
            values,
            found.local.is_null(),
            f'a time as {self._key}.time_format says, "{self._written}"; mend it, or the format',
        )
        return self._absolute(values, found)

    def _absolute(self, values: pl.Series, found: Civil) -> pl.Series:
        """Convert civil times ``[n]`` to seconds since 1970."""
        named = found.ahead.is_not_null()
        if named.all():
            return cast(found.local - found.ahead, pl.Int64())
        if not named.any():
            return self._of_place(values, found.local)
        place = self._of_place(values, found.local, ~named)
        return evaluated(pl.when(named).then(found.local - found.ahead).otherwise(place))

    def _of_place(self, values: pl.Series, local: pl.Series, which: pl.Series | None = None) -> pl.Series:
        """Take the times of a clock ``[n]`` for those of the zone; ``which`` of them count, None for all."""
        self.without_zone = self.without_zone or len(local) > 0
        if self._zone is None:
            return local
        if which is not None:
            local = evaluated(pl.when(which).then(local))
        seconds, twice = to_utc(local, self._zone)
        if twice:
            self.kept[_TWICE] = self.kept.get(_TWICE, 0) + twice
        refuse(
            values,
            seconds.is_null() & local.is_not_null(),
            f"a time that {self._zone} had: its clocks were put forward over this one; mend it, or "
            f"{self._key}.time_zone",
        )
        return seconds

    def _from_numbers(self, values: pl.Series, found: pl.Series) -> pl.Series:
        if not len(found):
            return cast(found, pl.Int64())
        if self._form is None:
            self._told(self._compact(values, found) or numbers.unit_of(found[0]))
        form = self._form or "s"
        if form not in UNITS:
            return self._from_compact(values, found, form)
        if self._given is None:
            size = found.abs()
            bad = ~size.is_between(*numbers.SIZES[form], closed="left") & (found >= 0)
            if bad.any():
                other = UNITS[numbers.unit_of(found.filter(bad)[0])]
                refuse(
                    values,
                    bad,
                    f"{UNITS[form]} as in the file's first row, not {other}; convert it, or "
                    f"set {self._key}.time_unit if the unit was detected wrongly",
                )
        return numbers.seconds_of(found, form)

    def _from_compact(self, values: pl.Series, found: pl.Series, form: str) -> pl.Series:
        read = civil(found.cast(pl.Int64, strict=False).cast(pl.String), formats.pattern_of(form))
        whole = read.local.is_not_null() & (found == found.floor())
        refuse(
            values,
            ~whole.fill_null(False),
            f"a date as {compact(form)}, as most rows of the file; mend it, or set "
            f"{self._key}.time_unit if these are no dates",
        )
        return self._of_place(values, read.local)

    def _compact(self, values: pl.Series, found: pl.Series) -> str | None:
        """Tell the format of numbers that write dates; None where they count from 1970.

        As seconds (milliseconds, ...) such dates are of 1970, or of a time to come: only then they are dates.
        """
        if self._given is not None:
            return None
        unit = numbers.unit_of(found[0])
        seconds = numbers.seconds_of(found, unit)
        odd = _odd(seconds)
        if not odd.mean() > _MOST:  # type: ignore[operator]  # of booleans
            return None
        could_be = compact_dates.formats_of(found.cast(pl.Int64, strict=False).drop_nulls())
        if not could_be or compact_dates.certain(could_be):
            return could_be[0] if could_be else None
        words = " or ".join(map(compact, could_be))
        refuse(
            values,
            odd,
            f"a time; the numbers of this column seem to write dates ({words}), and as {UNITS[unit]} "
            f"since 1970 would be of {_day(seconds[int(odd.arg_max() or 0)])}; "
            f"{formats.advice(could_be, self._key)}; if they are {UNITS[unit]}, set "
            f"{self._key}.time_unit: {unit}",
        )
        return None

    # Looking at them

    def _look(self, values: pl.Series, seconds: pl.Series) -> None:
        """Warn of times before 1990 or after tomorrow."""
        odd = _odd(seconds)
        if not odd.any():
            return
        form, index = self._form or "iso", int(odd.arg_max() or 0)
        late = seconds > _tomorrow()
        dates = self._compact_in_vain(values, odd) if self._given in UNITS else None
        if late.any():
            index = int(late.fill_null(False).arg_max() or 0)
        if self._quiet or self._file in self._warned or (self._given in UNITS and not (late.any() or dates)):
            return
        self._warned.add(self._file)
        why = "mend them"
        if dates:
            why = f"they seem to write dates ({dates}): leave {self._key}.time_unit out"
        elif form in UNITS and not late.any():
            why = f"if they count from another start, set {self._key}.time_unit: {form}; else mend them"
        warnings.warn(
            f"{self._file}: column {values.name!r}: {int(odd.sum()):,} of {len(odd):,} times looked at are "
            f"{'later than tomorrow' if late.any() else 'before 1990'}, as {shown(values[index])}, read as "
            f"{self._read_as}: {_day(seconds[index])}; {why}",
            stacklevel=3,
        )

    def _compact_in_vain(self, values: pl.Series, odd: pl.Series) -> str | None:
        """Tell which dates numbers seem to write although a unit is given."""
        if not odd.mean() > _MOST:  # type: ignore[operator]  # of booleans
            return None
        text = values.cast(pl.String).str.strip_chars().str.replace(r"\.0+$", "")
        whole = text.cast(pl.Int64, strict=False)
        could_be = [] if whole.null_count() else compact_dates.formats_of(whole)
        return compact(could_be[0]) if could_be else None


def _tomorrow() -> float:
    return time.time() + 86_400


def _odd(seconds: pl.Series) -> pl.Series:
    """Mark times ``[n]`` before 1990 or after tomorrow."""
    return ~seconds.is_between(_YEAR_1990, _tomorrow()).fill_null(True)


def _day(seconds: float | None) -> str:
    """Write the day of a time."""
    days = int((seconds or 0) // 86_400)
    return str(np.datetime64(days, "D")) if abs(days) < 3_000_000 else "no year that there is"
