"""Values inside objects and structs, named with dots: ``device.category``; of a list of objects, lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from dien.data.readers.messages import shown


def leaves_of_type(name: str, kind: pa.DataType) -> Iterator[str]:
    """Name the values inside a column of an Arrow type; one without structs is itself the only one."""
    inner = kind.value_type if _is_list(kind) else kind
    if not pa.types.is_struct(inner):
        yield name
        return
    for field in (inner.field(i) for i in range(inner.num_fields)):
        yield from leaves_of_type(f"{name}.{field.name}", field.type)


def type_of(kind: pa.DataType, path: Sequence[str]) -> pa.DataType | None:
    """Find the type of a value inside a type; of a list of structs, a list. None where there is none."""
    if not path:
        return kind
    if _is_list(kind):
        inner = type_of(kind.value_type, path)
        return None if inner is None else pa.list_(inner)
    if not pa.types.is_struct(kind) or kind.get_field_index(path[0]) < 0:
        return None
    return type_of(kind.field(path[0]).type, path[1:])


def inside(values: pl.Series, path: Sequence[str]) -> pl.Series:
    """Take a value inside each struct of a column ``[n]``."""
    if not path:
        return values
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    return pl.select(_inside(pl.lit(values), values.dtype, path)).to_series()


def _inside(values: pl.Expr, dtype: Any, path: Sequence[str]) -> pl.Expr:
    if not path:
        return values
    if isinstance(dtype, pl.List):
        return values.list.eval(_inside(pl.element(), dtype.inner, path))
    inner = next(field.dtype for field in dtype.fields if field.name == path[0])
    return _inside(values.struct.field(path[0]), inner, path[1:])


def leaves_of_value(name: str, value: Any) -> Iterator[str]:
    """Name the values inside one of JSON; one without objects is itself the only one."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for one in value:
            yield from leaves_of_value(name, one if isinstance(one, dict) else {})
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from leaves_of_value(f"{name}.{key}", one)
    else:
        yield name


def value_inside(value: Any, path: Sequence[str]) -> Any:
    """Take a value inside one of JSON; of a list of objects, a list. UNSET where a key is missing.

    Raises:
        ValueError: there is something else where an object is expected; the message says what.
    """
    if not path or value is None or value is msgspec.UNSET:
        return value
    if isinstance(value, list):
        found = [value_inside(one, path) for one in value]
        return [None if one is msgspec.UNSET else one for one in found]
    if not isinstance(value, dict):
        raise ValueError(shown(value))
    return value_inside(value.get(path[0], msgspec.UNSET), path[1:])


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
