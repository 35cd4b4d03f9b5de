"""Columns of JSON values: a type that holds them all, and the values as that type.

A file is read in chunks, and it must not matter where they end. So a column holds values of one kind in all
lines: booleans, text and whole numbers, numbers, or lists. A few values of the chunks before stand for these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, cast

import polars as pl
import pyarrow as pa

from dien.data.readers.messages import BadValueError, shown
from dien.data.readers.nulls import LIKELY

_WHOLE = 1 << 53  # below it, floats hold every whole number
_NUMBER = re.compile(r"\s*(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan|NaN)?\s*")
"""Text that writes a number, or nothing."""


def column_of(
    name: str, values: Sequence[Any], before: Sequence[Any] = (), *, checked: bool = False
) -> pl.Series:
    """Make a typed column of JSON values: of text, numbers, booleans, or lists of text or of numbers.

    Text holds whole numbers, too; a number with a fraction goes with text that writes numbers alone.

    Args:
        name: of the column.
        values: decoded; None is null.
        before: of the chunks before, as :func:`telling` picks them: these values must go with them.
        checked: whether each value was held to a type already: then booleans may stand beside others.

    Raises:
        BadValueError: a value is an object, or of another kind than those before it.
    """
    if _dtype_of([*before, *values], checked=checked) is not None:
        return _series(name, values, cast(pl.DataType, _dtype_of(values, checked=checked)))
    alike, mixed = 0, len(values)  # so many from the first on are of one kind, and so many are not
    while mixed - alike > 1:
        middle = (alike + mixed) // 2
        fits = _dtype_of([*before, *values[:middle]], checked=checked) is not None
        alike, mixed = (middle, mixed) if fits else (alike, middle)
    value = values[alike]
    known = _dtype_of([*before, *values[:alike]], checked=checked)
    expected = _expected(known, value)
    if isinstance(value, dict | list) and "{" in shown(value):
        mend = "name a value inside an object by its dotted name, as device.os"
    elif isinstance(value, str) and value in LIKELY:
        mend = f"say nulls: [{value}] of this table in the schema, where it marks a missing one"
    else:
        mend = "write every line alike"
    raise BadValueError(alike, shown(value), f"{expected}; {mend}")


def telling(values: Sequence[Any]) -> list[Any]:
    """Pick a few values that go with others just where all of them do."""
    known = [value for value in values if value is not None]
    types = set(map(type, known))
    if types == {list}:
        return [[value] for value in telling(list(chain.from_iterable(known)))] or [[]]
    picked = [
        next((value for value in known if isinstance(value, bool)), None) if bool in types else None,
        next(_fractions(known), None) if float in types else None,
        next(_words(known), None) if str in types else None,
        next((value for value in known if not isinstance(value, bool)), None),
    ]
    return [value for value in picked if value is not None]


def _expected(known: pl.DataType | None, value: Any) -> str:
    """Say what a value must be to go with those before it."""
    as_before = ", as in the lines before"
    match known:
        case pl.List():
            return f"a list of such values{as_before}"
        case pl.Boolean():
            return f"true or false{as_before}"
        case pl.Float64():
            return f"a number{as_before}"
        case pl.String() if isinstance(value, float):
            return f"text or a whole number{as_before}"
        case pl.String() | pl.Int64():
            return f"text or a number{as_before}"
        case _:
            return "text, a number, or a list of text or of numbers"


def _dtype_of(values: Sequence[Any], in_list: bool = False, *, checked: bool = False) -> pl.DataType | None:
    """Find the type of column that holds JSON values, None where none does.

    Args:
        values: decoded; None is of every type.
        in_list: whether they stand in lists, where booleans are text.
        checked: as of :func:`column_of`.
    """
    types = set(map(type, values)) - {type(None)}
    if not types:
        return pl.Null()
    if types == {list}:
        flat = list(chain.from_iterable(one for one in values if one is not None))
        inner = _dtype_of(flat, in_list=True, checked=checked)
        return None if inner is None else pl.List(inner)
    if types & {list, dict}:
        return None
    if types == {bool} and not in_list:
        return pl.Boolean()
    if bool in types and not in_list and not checked:
        return None
    if types == {float}:
        return pl.Float64()
    if types == {int} or (types == {int, float} and next(_fractions(values), None) is None):
        return pl.Int64() if _fits_64_bits(values) else pl.String()
    if float not in types or next(_fractions(values), None) is None:
        return pl.String()
    numbers = bool not in types and next(_words(values), None) is None and _fits_floats(values)
    return pl.Float64() if numbers else None


def _fractions(values: Sequence[Any]) -> Iterator[float]:
    """Give the numbers that are not whole, or so large that a float may not hold them."""
    return (one for one in values if isinstance(one, float) and not (one.is_integer() and abs(one) < _WHOLE))


def _words(values: Sequence[Any]) -> Iterator[str]:
    """Give the text that writes no number."""
    return (one for one in values if isinstance(one, str) and not _NUMBER.fullmatch(one))


def _fits_floats(values: Sequence[Any]) -> bool:
    try:
        sum(float(value) for value in values if isinstance(value, int))
    except OverflowError:  # an integer beyond all floats
        return False
    return True


def _fits_64_bits(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return min(known) >= -(1 << 63) and max(known) < 1 << 63


def _series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """Make a column of JSON values, of a type that holds them."""
    if not isinstance(dtype, pl.List):
        convert = _CONVERT.get(type(dtype))
        return pl.Series(name, values if convert is None else list(map(convert, values)), dtype=dtype)
    arrow = _arrow_type(dtype)
    try:
        lists = pa.array(values, arrow)
    except pa.ArrowException:  # not every value is of the type itself
        lists = pa.array([_converted(value, dtype) for value in values], arrow)
    return pl.Series(name, pl.from_arrow(lists))


def _arrow_type(dtype: pl.DataType) -> pa.DataType:
    if isinstance(dtype, pl.List):
        return pa.large_list(_arrow_type(cast(pl.DataType, dtype.inner)))
    types = {pl.Null: pa.null(), pl.Int64: pa.int64(), pl.Float64: pa.float64()}
    return types.get(type(dtype), pa.large_string())


def _converted(value: Any, dtype: pl.DataType) -> Any:
    """Make a JSON value one of a column's type, lists within lists too."""
    if isinstance(dtype, pl.List):
        inner = cast(pl.DataType, dtype.inner)
        return None if value is None else [_converted(one, inner) for one in value]
    return _CONVERT[type(dtype)](value)


def _text(value: str | int | float | bool | None) -> str | None:
    """Write a value as JSON does, text without its quotes, whole numbers without a fraction."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) else value)


def _float(value: float | str | None) -> float | None:
    blank = isinstance(value, str) and not value.strip()
    return None if value is None or blank else float(value)


def _int(value: float | None) -> int | None:
    return None if value is None else int(value)


_CONVERT: dict[type[pl.DataType], Callable[[Any], Any]] = {
    pl.String: _text,
    pl.Float64: _float,
    pl.Int64: _int,
}
