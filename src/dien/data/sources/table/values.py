"""Raw columns as the log wants them: ids, times, labels and features, each value checked."""

from __future__ import annotations

from typing import NoReturn

import polars as pl

from dien.data.features import Definition, Multi, Numeric
from dien.data.sources.table.spec import TimeUnit
from dien.errors import DataError

LAST_TIME = 4_102_444_800
"""The year 2100 in seconds since 1970: a time from there on is a mistake."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SIZES = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17), "ns": (10**17, (1 << 63) - 1)}
"""Of numbers by unit, where nobody says it: right from 1973 to 5138."""
_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "iso": "moments"}
_ISO = (
    r"^(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,]\d+)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?)?$"
)
_MOMENT = (
    "a moment as 2024-01-31, 2024-01-31T10:00:00 or 2024-01-31 10:00:00+02:00 (UTC where no zone is named)"
)


class BadValueError(Exception):
    """A value that is not what its column should hold.

    Args:
        index: of the first such row.
        found: what is there.
        expected: what should be, and how to mend it.
    """

    def __init__(self, index: int, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.index = index


class Codes:
    """Numbers for text, from 0 in order of first appearance, over any number of columns.

    A thin hold on Polars' categories, which keep each text once.
    """

    def __init__(self) -> None:
        self._dtype = pl.Categorical(pl.Categories.random())
        self._held = pl.Series([], dtype=self._dtype)  # Polars forgets categories that no column uses

    def __len__(self) -> int:
        return len(self.values())

    def categories(self, text: pl.Series) -> pl.Series:
        """Make a column of text one of categories."""
        made: pl.Series = text.cast(self._dtype)
        return made

    def encode(self, text: pl.Series) -> pl.Series:
        """Give numbers (UInt32) to a column of text; null stays null."""
        return self.categories(text).to_physical()

    def values(self) -> pl.Series:
        """All texts by number."""
        return self._dtype.categories.to_series()


def text(values: pl.Series, expected: str = "text or whole numbers") -> pl.Series:
    """Read ids: text or integers; empty text is null.

    Raises:
        BadValueError: the column holds something else.
    """
    dtype = values.dtype
    if dtype.is_float():
        fractions = (values != values.floor()).fill_null(False)
        index = _first(fractions if fractions.any() else values.is_not_null())
        raise BadValueError(
            index, f"{values[index]!r} in a column of floats", f"{expected}: store it as integers or text"
        )
    if dtype.is_integer():
        return _cast(values, pl.String())
    if dtype == pl.Null or isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return _filled(values.cast(pl.String))
    return _wrong_type(values, expected)


def ids(values: pl.Series) -> pl.Series:
    """Read ids of which none may be missing.

    Raises:
        BadValueError: one is, or the column holds something else.
    """
    found = text(values)
    if found.null_count():
        raise BadValueError(_first(found.is_null()), "nothing", "an id; fill it in or drop the row")
    return found


def impressions(values: pl.Series, codes: Codes) -> pl.Series:
    """Read impression ids: Int64, whole numbers as they are and text as numbers below 0.

    Raises:
        BadValueError: one is missing, or the column holds something else.
    """
    if values.dtype.is_integer() and not values.null_count() and values.is_between(0, 10**18 - 1).all():
        return _cast(values, pl.Int64())
    found = ids(values)
    whole = found.str.contains(r"^(0|[1-9]\d{0,17})$")
    numbers = _series(pl.when(whole).then(found).otherwise(None)).cast(pl.Int64)
    rest = codes.encode(_series(pl.when(whole).then(None).otherwise(found)))
    return _series(pl.coalesce(numbers, -1 - rest.cast(pl.Int64)))


def labels(values: pl.Series) -> pl.Series:
    """Read labels: Int8, 1 clicked and 0 not.

    Raises:
        BadValueError: one is neither.
    """
    expected = "0 or 1, or false or true; mend it, or leave label out where every row is a click"
    dtype = values.dtype
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        given = values.cast(pl.String).str.strip_chars().str.to_lowercase()
        numbers = given.replace({"true": "1", "false": "0"}).cast(pl.Float64, strict=False)
    elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        numbers = values.cast(pl.Float64)
    else:
        _wrong_type(values, expected)
    bad = ~((numbers == 0) | (numbers == 1)).fill_null(False)
    if bad.any():
        _bad(values, bad, expected)
    return _cast(numbers, pl.Int8())


def at_least(values: pl.Series, threshold: float) -> pl.Series:
    """Make labels of numbers: Int8, 1 from the threshold on and 0 below.

    Raises:
        BadValueError: one is missing or no number.
    """
    numbers = _numbers(values, pl.Float64())
    if numbers.null_count():
        _bad(values, numbers.is_null(), "a number to tell a click by; fill it in or drop the row")
    return _cast(numbers >= threshold, pl.Int8())


def splits(values: pl.Series) -> pl.Series:
    """Read splits: Int8, 0 train, 1 valid, 2 test, 3 anything else.

    Raises:
        BadValueError: the column holds lists or times.
    """
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        _wrong_type(values, "the text train, valid or test (anything else is in no split)")
    found = text(values, "the text train, valid or test (anything else is in no split)")
    known = pl.when(found == "train").then(0).when(found == "valid").then(1).when(found == "test").then(2)
    return _series(known.otherwise(3).cast(pl.Int8))


def feature(values: pl.Series, spec: Definition, precision: pl.DataType) -> pl.Series:
    """Read a feature: String, lists of String, or floats; null is unknown.

    Args:
        values: its raw column.
        spec: its kind.
        precision: of numbers.

    Raises:
        BadValueError: a value is not of this kind.
    """
    if isinstance(spec, Numeric):
        return _numbers(values, precision)
    if isinstance(spec, Multi):
        return _lists(values, spec.separator)
    dtype = values.dtype
    if dtype.is_float():  # integers with gaps, as pandas stores them
        filled = values.fill_nan(None)
        bad = (filled != filled.floor()) | (filled.abs() >= 1 << 53)
        if bad.any():
            _bad(values, bad.fill_null(False), "text or whole numbers, or say kind: numeric")
        return _cast(filled.cast(pl.Int64), pl.String())
    if dtype == pl.Boolean or dtype == pl.Date:
        return _cast(values, pl.String())
    return text(values, "text or whole numbers (say kind: multi for lists, numeric for numbers)")


def _numbers(values: pl.Series, precision: pl.DataType) -> pl.Series:
    expected = "a number, or nothing where it is unknown (an empty field, null); mend it or change kind"
    dtype = values.dtype
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        given = _filled(values.cast(pl.String).str.strip_chars())
        numbers = given.cast(pl.Float64, strict=False)
        bad = numbers.is_null() & given.is_not_null()
        if bad.any():
            _bad(values, bad, expected)
    elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        numbers = values.cast(pl.Float64)
    else:
        _wrong_type(values, expected)
    numbers = _cast(numbers, precision).fill_nan(None)
    bad = numbers.is_infinite().fill_null(False)
    if bad.any():
        _bad(values, bad, f"{expected} (a finite one)")
    return _cast(numbers, precision)


def _lists(values: pl.Series, separator: str) -> pl.Series:
    expected = f"a list of text, or text with {separator!r} between values; convert it or change kind"
    dtype = values.dtype
    if isinstance(dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        inner = values.dtype.inner
        if not (inner.is_integer() or isinstance(inner, pl.String | pl.Categorical | pl.Enum | pl.Null)):
            _wrong_type(values, expected)
        lists = values.cast(pl.List(pl.String))
    elif dtype == pl.Null or isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        lists = values.cast(pl.String).str.split(separator)
    else:
        _wrong_type(values, expected)
    known = lists.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != "")))
    return _series(pl.when(known.list.len() > 0).then(known))


class Clock:
    """Makes times whole seconds since 1970, and holds all files to one unit.

    Args:
        unit: of numbers, or ``iso``; None to tell by each file's values.
    """

    def __init__(self, unit: TimeUnit | None) -> None:
        self._given = unit
        self._unit: str | None = None
        self._file = ""
        self._first: tuple[str, str] | None = None

    def start(self, file: str) -> None:
        """Go on to a file."""
        self._file, self._unit = file, None

    @property
    def unit(self) -> str | None:
        """Unit of the file's times, as far as read."""
        return self._unit

    def seconds(self, values: pl.Series) -> pl.Series:
        """Read times ``[n]`` of the file: Int64 seconds.

        Raises:
            BadValueError: one is missing, no time, not in the unit of the others, or not of 1970 to 2099.
            DataError: an earlier file has another unit.
        """
        dtype = values.dtype
        if values.null_count():
            raise BadValueError(_first(values.is_null()), "nothing", "a time; fill it in or drop the row")
        if dtype in (pl.Datetime, pl.Date):
            self._take("iso")
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
            _wrong_type(values, "seconds since 1970 (or ms, us, ns: time_unit), text as 2024-01-31, or times")
        bad = ~seconds.is_between(0, LAST_TIME - 1).fill_null(False)
        if bad.any():
            unit = _NAMES[self._unit or "iso"]
            _bad(values, bad, f"a time of the years 1970 to 2099, read as {unit}; mend it, or set time_unit")
        return _cast(seconds, pl.Int64())

    def _take(self, unit: str) -> None:
        """Settle the file's unit, once, and compare it with the one of the files before."""
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
                "expected one unit in all files: convert one, or set interactions.time_unit if this is a "
                "wrong guess"
            )

    def _from_text(self, values: pl.Series, given: pl.Series) -> pl.Series:
        numbers = given.cast(pl.Int64, strict=False)
        if numbers.null_count():
            numbers = given.cast(pl.Float64, strict=False)
        bad = numbers.is_null()
        if bad.any():
            _bad(values, bad, "a number as in the rows before; mend it or drop the row")
        return self._from_numbers(values, numbers)

    def _from_iso(self, values: pl.Series, given: pl.Series) -> pl.Series:
        self._take("iso")
        parts = given.str.extract_groups(_ISO).struct.unnest()
        day, hour, minute, second, zone = (parts.to_series(i) for i in range(5))
        days = day.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
        offset = zone.str.replace(":", "").str.replace("(?i)z", "+0000")
        ahead = offset.str.slice(1, 2).cast(pl.Int64) * 3600 + offset.str.slice(3, 2).cast(pl.Int64) * 60
        sign = _series(pl.when(offset.str.starts_with("-")).then(-1).otherwise(1))
        seconds = (
            days * 86_400
            + hour.cast(pl.Int64).fill_null(0) * 3600
            + minute.cast(pl.Int64).fill_null(0) * 60
            + second.cast(pl.Int64).fill_null(0)
            - (ahead * sign).fill_null(0)
        )
        bad = seconds.is_null()
        if bad.any():
            _bad(values, bad, f"{_MOMENT}; mend it, or set time_unit for numbers")
        return _cast(seconds, pl.Int64())

    def _from_numbers(self, values: pl.Series, numbers: pl.Series) -> pl.Series:
        if numbers.dtype.is_float() or numbers.dtype.is_decimal():
            numbers = numbers.cast(pl.Float64)
            bad = ~(numbers.abs() < 1 << 63).fill_null(False)
            if bad.any():
                _bad(values, bad, "a time: a number; mend it or drop the row")
        else:
            wide, numbers = numbers, numbers.cast(pl.Int64, strict=False)
            bad = numbers.is_null() & wide.is_not_null()
            if bad.any():
                _bad(values, bad, "a time: a number of 64 bits; mend it or drop the row")
        if not len(numbers):
            return _cast(numbers, pl.Int64())
        self._take(_unit_of(numbers[0]) if self._unit is None else self._unit)
        if self._given is None:
            size = numbers.abs()
            bad = ~size.is_between(*_SIZES[self._unit or "s"], closed="left") & (numbers >= 0)
            if bad.any():
                other = _NAMES[_unit_of(numbers.filter(bad)[0])]
                _bad(values, bad, f"{_NAMES[self._unit or 's']} as in the file's first row, not {other}; "
                     "convert it, or set interactions.time_unit if this is a wrong guess")  # fmt: skip
        if numbers.dtype == pl.Int64:
            return _cast(numbers // _PER_SECOND[self._unit or "s"], pl.Int64())
        return _cast((numbers / _PER_SECOND[self._unit or "s"]).floor(), pl.Int64())


def _unit_of(number: float) -> str:
    return next((unit for unit, (low, high) in _SIZES.items() if low <= abs(number) < high), "ns")


def _series(made: pl.Expr) -> pl.Series:
    """Work out an expression over whole columns."""
    return pl.select(made).to_series()


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    cast: pl.Series = values.cast(dtype)  # untyped in Polars
    return cast


def _filled(values: pl.Series) -> pl.Series:
    """Empty text is null."""
    empty = values == ""
    if not empty.any():
        return values
    return _series(pl.when(~empty).then(values).alias(values.name))


def _first(bad: pl.Series) -> int:
    return bad.arg_max() or 0


def _bad(values: pl.Series, bad: pl.Series, expected: str) -> NoReturn:
    index = _first(bad)
    found = values[index]
    shown = "nothing" if found is None else repr(found)
    raise BadValueError(index, shown if len(shown) <= 60 else shown[:57] + "...", expected)


def _wrong_type(values: pl.Series, expected: str) -> NoReturn:
    index = _first(values.is_not_null())
    found = "nothing" if values.is_empty() else repr(_plain(values[index]))
    kinds = {pl.List: "lists", pl.Boolean: "booleans", pl.Datetime: "times", pl.Date: "dates"}
    kind = next((name for dtype, name in kinds.items() if values.dtype == dtype), str(values.dtype))
    raise BadValueError(
        index, f"{found if len(found) <= 60 else found[:57] + '...'} in a column of {kind}", expected
    )


def _plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value
