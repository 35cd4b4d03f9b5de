"""Raw columns as the log wants them: ids, labels and splits, each value checked."""

from __future__ import annotations

import polars as pl

from dien.data.readers.messages import refuse, refuse_type
from dien.data.readers.values import cast, evaluated, floats, numbers, text
from dien.data.spelling import Spelling

_FILL = "fill it in, or leave such rows out (--skip-bad N; skip_bad=N in Python)"
_CUT = r"^-?[0-9](\.[0-9]+)?[eE]\+[0-9]{2,}$"  # as Excel and pandas write long numbers: 1.23457E+11


class Codes:
    """Integer codes of text, from 0 in order of first appearance, the same over any number of columns.

    Polars' categories, which store each text once, in its one spelling.

    Args:
        spelling: counts what had another.
    """

    def __init__(self, spelling: Spelling) -> None:
        self.spelling = spelling
        self._dtype = pl.Categorical(pl.Categories.random())
        self._column = pl.Series([], dtype=self._dtype)  # Polars forgets categories that no column uses
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def categories(self, text: pl.Series) -> pl.Series:
        """Convert a column of text to categories."""
        made: pl.Series = self.spelling(text).cast(self._dtype)
        last: int | None = made.to_physical().max()  # type: ignore[assignment]  # of integers
        self._size = max(self._size, 0 if last is None else last + 1)
        return made

    def encode(self, text: pl.Series) -> pl.Series:
        """Encode a column of text as codes (UInt32); null stays null."""
        return self.categories(text).to_physical()

    def values(self) -> pl.Series:
        """List all text by code."""
        # not of the categories themselves, which hand them out one by one, as objects of Python
        codes = pl.int_range(self._size, dtype=pl.UInt32, eager=True)
        text: pl.Series = codes.cat.to(self._dtype).cast(pl.String)
        return text


def ids(values: pl.Series) -> pl.Series:
    """Read ids of which none may be missing.

    Raises:
        BadValueError: one is, or is a long number that lost its last digits, or the column holds something
            else.
    """
    found = text(values)
    if found.null_count():
        refuse(found, found.is_null(), f"an id; {_FILL}")
    plus = found.str.contains("+", literal=True)  # few: the pattern is slow
    if plus.any():
        rows = plus.arg_true()
        cut = plus.scatter(rows, found.gather(rows).str.contains(_CUT))
        refuse(
            found,
            cut,
            "an id with all of its digits: a program, as Excel or pandas, has written a long number so, and "
            "several ids may have become one; write the ids again, as text or as whole numbers (int64 in "
            "pandas)",
        )
    return found


def impressions(values: pl.Series, codes: Codes) -> pl.Series:
    """Read impression ids: Int64, whole numbers as they are and text as numbers below 0.

    Raises:
        BadValueError: one is missing, or the column holds something else.
    """
    if values.dtype.is_integer():
        small: pl.Series = values.cast(
            pl.Int64, strict=False
        )  # of a narrow type the bound would be beyond it
        if small.is_between(0, 10**18 - 1).fill_null(False).all():
            return small
    found = codes.spelling(ids(values))
    whole = found.str.contains(r"^(0|[1-9][0-9]{0,17})$")
    numbers = evaluated(pl.when(whole).then(found).otherwise(None)).cast(pl.Int64)
    rest = codes.encode(evaluated(pl.when(whole).then(None).otherwise(found)))
    return evaluated(pl.coalesce(numbers, -1 - rest.cast(pl.Int64)))


def labels(values: pl.Series) -> pl.Series:
    """Read labels: Int8, 1 clicked and 0 not.

    Raises:
        BadValueError: one is neither.
    """
    return _zero_or_one(values, "mend it, or leave label out where every row is a click")


def conversions(values: pl.Series) -> pl.Series:
    """Read whether clicks led to what they are for: Int8, 1 or 0; null where it is not known.

    Raises:
        BadValueError: one is something else.
    """
    unknown = values.is_null()
    if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        unknown = unknown | (values.cast(pl.String).str.strip_chars() == "").fill_null(False)
    elif values.dtype.is_float():
        unknown = unknown | values.is_nan().fill_null(False)
    mend = (
        "or null (in CSV an empty field) where it is not known; mend it, or leave interactions.conversion out"
    )
    return _zero_or_one(values, mend, unknown)


def _zero_or_one(values: pl.Series, mend: str, unknown: pl.Series | None = None) -> pl.Series:
    """Read 0 and 1, false and true: Int8.

    Args:
        values: the column ``[n]``.
        mend: how to mend what is something else.
        unknown: booleans ``[n]``: which are null; None for none.

    Raises:
        BadValueError: one is something else, and not unknown.
    """
    expected = f"0 or 1, or false or true{',' if unknown is not None else ';'} {mend}"
    dtype = values.dtype
    if dtype == pl.String and not values.null_count() and ((values == "0") | (values == "1")).all():
        return cast(values == "1", pl.Int8())  # as most text has it: nothing to strip or to convert
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        given = values.cast(pl.String).str.strip_chars().str.to_lowercase()
        found = given.replace({"true": "1", "false": "0"}).cast(pl.Float64, strict=False)
    elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        found = values.cast(pl.Float64)
    else:
        refuse_type(values, expected)
    bad = ~((found == 0) | (found == 1)).fill_null(False)
    if unknown is not None:
        bad = bad & ~unknown
    refuse(values, bad, expected)
    return cast(found.fill_nan(None), pl.Int8())


def at_least(values: pl.Series, threshold: float) -> pl.Series:
    """Make labels of numbers: Int8, 1 from the threshold on and 0 below.

    Raises:
        BadValueError: one is missing or no number.
    """
    found = numbers(values, pl.Float64())
    if found.null_count():
        refuse(
            values,
            found.is_null(),
            f"a number to compare with the threshold; {_FILL}",
        )
    return cast(found >= threshold, pl.Int8())


def weights(values: pl.Series) -> pl.Series:
    """Read weights of rows: Float32; null where one is missing.

    Raises:
        BadValueError: one is below 0, not finite, too large for 32 bits, or no number.
    """
    expected = "a weight: a finite number of at least 0, or null (in CSV an empty field), which counts as 1"
    expected += "; mend it, or leave interactions.weight out"
    found = cast(floats(values, expected), pl.Float32())
    refuse(values, (found.is_infinite() | (found < 0)).fill_null(False), expected)
    return found


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
