"""Columns of JSON values: a type that holds them all, and the values as that type."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, cast

import polars as pl
import pyarrow as pa

from dien.data.readers.messages import BadValueError, shown
from dien.data.readers.values import WHOLE


def column_of(name: str, values: Sequence[Any]) -> pl.Series:
    """Make a typed column of JSON values: of text, numbers, booleans, or lists of text or of numbers.

    Text holds what is mixed; in lists only text, whole numbers (3.0, too) and booleans may be mixed.

    Args:
        name: of the column.
        values: decoded; None is null.

    Raises:
        BadValueError: a value is an object, or lists and others are mixed.
    """
    dtype = _dtype_of(values)
    if dtype is not None:
        return _series(name, values, dtype)
    alike, mixed = 0, len(values)  # so many from the first on are of one type, and so many are not
    while mixed - alike > 1:
        middle = (alike + mixed) // 2
        alike, mixed = (middle, mixed) if _dtype_of(values[:middle]) is not None else (alike, middle)
    before = _dtype_of(values[:alike])
    expected = "text, a number, or a list of text or of numbers"
    if before != pl.Null():
        expected = "a list of such values" if isinstance(before, pl.List) else "text or a number"
        expected += ", as in the lines before"
    objects = isinstance(values[alike], dict | list) and "{" in shown(values[alike])
    mend = (
        "name a value inside an object by its dotted name, as device.os"
        if objects
        else "write every line alike"
    )
    raise BadValueError(alike, shown(values[alike]), f"{expected}; {mend}")


def _dtype_of(values: Sequence[Any], in_list: bool = False) -> pl.DataType | None:
    """Find the type of column that holds JSON values, None where none does.

    Args:
        values: decoded; None is of every type.
        in_list: whether they stand in lists.
    """
    types = set(map(type, values)) - {type(None)}
    if not types:
        return pl.Null()
    if types == {list}:
        inner = _dtype_of(list(chain.from_iterable(one for one in values if one is not None)), in_list=True)
        return None if inner is None else pl.List(inner)
    if types & {list, dict}:
        return None
    if types == {bool} and not in_list:
        return pl.Boolean()
    if float in types and types <= {int, float} and _fits_floats(values):
        return pl.Float64()
    if types == {int} and _fits_64_bits(values):
        return pl.Int64()
    fractions = in_list and any(type(one) is float and not _is_whole(one) for one in values)
    return None if fractions else pl.String()


def _is_whole(number: float) -> bool:
    return number.is_integer() and abs(number) < WHOLE


def _fits_floats(values: Sequence[float | None]) -> bool:
    try:
        sum(map(float, filter(None, values)))
    except OverflowError:  # an integer beyond all floats
        return False
    return True


def _fits_64_bits(values: Sequence[int | None]) -> bool:
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
    """Write a value as JSON does, text without its quotes."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


_CONVERT: dict[type[pl.DataType], Callable[[Any], Any]] = {pl.String: _text, pl.Float64: _float}
