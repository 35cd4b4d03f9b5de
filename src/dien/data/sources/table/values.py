"""Raw columns as the log wants them: ids, labels, splits and features, each value checked."""

from __future__ import annotations

import polars as pl

from dien.data.features import Definition, Multi, Numeric
from dien.data.readers.messages import refuse, refuse_type


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
        refuse_type(values, f"{expected}: store it as integers or text", values != values.floor())
    if dtype.is_integer():
        return cast(values, pl.String())
    if dtype != pl.Null and not isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        refuse_type(values, expected)
    return _filled(values.cast(pl.String))


def ids(values: pl.Series) -> pl.Series:
    """Read ids of which none may be missing.

    Raises:
        BadValueError: one is, or the column holds something else.
    """
    found = text(values)
    if found.null_count():
        refuse(found, found.is_null(), "an id; fill it in or drop the row")
    return found


def impressions(values: pl.Series, codes: Codes) -> pl.Series:
    """Read impression ids: Int64, whole numbers as they are and text as numbers below 0.

    Raises:
        BadValueError: one is missing, or the column holds something else.
    """
    if values.dtype.is_integer() and not values.null_count() and values.is_between(0, 10**18 - 1).all():
        return cast(values, pl.Int64())
    found = ids(values)
    whole = found.str.contains(r"^(0|[1-9]\d{0,17})$")
    numbers = evaluated(pl.when(whole).then(found).otherwise(None)).cast(pl.Int64)
    rest = codes.encode(evaluated(pl.when(whole).then(None).otherwise(found)))
    return evaluated(pl.coalesce(numbers, -1 - rest.cast(pl.Int64)))


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
        refuse_type(values, expected)
    bad = ~((numbers == 0) | (numbers == 1)).fill_null(False)
    refuse(values, bad, expected)
    return cast(numbers, pl.Int8())


def at_least(values: pl.Series, threshold: float) -> pl.Series:
    """Make labels of numbers: Int8, 1 from the threshold on and 0 below.

    Raises:
        BadValueError: one is missing or no number.
    """
    numbers = _numbers(values, pl.Float64())
    if numbers.null_count():
        refuse(values, numbers.is_null(), "a number to tell a click by; fill it in or drop the row")
    return cast(numbers >= threshold, pl.Int8())


def splits(values: pl.Series) -> pl.Series:
    """Read splits: Int8, 0 train, 1 valid, 2 test, 3 anything else.

    Raises:
        BadValueError: the column holds lists or times.
    """
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        refuse_type(values, "the text train, valid or test (anything else is in no split)")
    found = text(values, "the text train, valid or test (anything else is in no split)")
    known = pl.when(found == "train").then(0).when(found == "valid").then(1).when(found == "test").then(2)
    return evaluated(known.otherwise(3).cast(pl.Int8))


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
        refuse(values, bad.fill_null(False), "text or whole numbers, or say kind: numeric")
        return cast(filled.cast(pl.Int64), pl.String())
    if dtype == pl.Boolean or dtype == pl.Date:
        return cast(values, pl.String())
    return text(values, "text or whole numbers (say kind: multi for lists, numeric for numbers)")


def _numbers(values: pl.Series, precision: pl.DataType) -> pl.Series:
    expected = "a number, or nothing where it is unknown (an empty field, null); mend it or change kind"
    dtype = values.dtype
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        given = _filled(values.cast(pl.String).str.strip_chars())
        numbers = given.cast(pl.Float64, strict=False)
        bad = numbers.is_null() & given.is_not_null()
        refuse(values, bad, expected)
    elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        numbers = values.cast(pl.Float64)
    else:
        refuse_type(values, expected)
    numbers = cast(numbers, precision).fill_nan(None)
    bad = numbers.is_infinite().fill_null(False)
    refuse(values, bad, f"{expected} (a finite one)")
    return cast(numbers, precision)


def _lists(values: pl.Series, separator: str) -> pl.Series:
    expected = f"a list of text, or text with {separator!r} between values; convert it or change kind"
    dtype = values.dtype
    if isinstance(dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        inner = values.dtype.inner
        if not (inner.is_integer() or isinstance(inner, pl.String | pl.Categorical | pl.Enum | pl.Null)):
            fraction = pl.element() != pl.element().floor()
            telling = values.list.eval(fraction).list.any() if inner.is_float() else None
            refuse_type(values, expected, telling)
        lists = values.cast(pl.List(pl.String))
    elif dtype == pl.Null or isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        lists = values.cast(pl.String).str.split(separator)
    else:
        refuse_type(values, expected)
    known = lists.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != "")))
    return evaluated(pl.when(known.list.len() > 0).then(known))


def evaluated(made: pl.Expr) -> pl.Series:
    """Work out an expression over whole columns."""
    return pl.select(made).to_series()


def cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Convert a column to a type that holds all its values."""
    made: pl.Series = values.cast(dtype)  # untyped in Polars
    return made


def _filled(values: pl.Series) -> pl.Series:
    """Empty text is null."""
    empty = values == ""
    if not empty.any():
        return values
    return evaluated(pl.when(~empty).then(values).alias(values.name))
