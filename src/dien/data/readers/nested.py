"""Values inside objects and structs, named with dots: ``device.category``; of a list of objects, lists.

A key may have dots itself. So a name can stand for several values: then it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from dien.data.readers.messages import shown
from dien.data.readers.parameters import entry_type


def leaves_of_type(name: str, kind: pa.DataType) -> Iterator[str]:
    """Name the values inside a column of an Arrow type; one without structs is itself the only one."""
    inner = kind.value_type if _is_list(kind) else kind
    if not pa.types.is_struct(inner) or entry_type(kind) is not None:
        yield name
        return
    for field in (inner.field(i) for i in range(inner.num_fields)):
        yield from leaves_of_type(f"{name}.{field.name}", field.type)


def paths_of_type(kind: pa.DataType, parts: Sequence[str]) -> Iterator[list[str]]:
    """Find the fields that lead to a value inside a type.

    Args:
        kind: the type.
        parts: of a name with dots; several may be one field.

    Returns:
        The names of the fields, in each way in which the name can be read.
    """
    if not parts:
        yield []
        return
    kind = kind.value_type if _is_list(kind) else kind
    if not pa.types.is_struct(kind):
        return
    for end in range(1, len(parts) + 1):
        if kind.get_field_index(field := ".".join(parts[:end])) >= 0:
            yield from ([field, *rest] for rest in paths_of_type(kind.field(field).type, parts[end:]))


def type_of(kind: pa.DataType, path: Sequence[str]) -> pa.DataType:
    """Give the type of a value inside a type by its fields; of a list of structs, a list."""
    if not path:
        return kind
    if _is_list(kind):
        return pa.list_(type_of(kind.value_type, path))
    return type_of(kind.field(path[0]).type, path[1:])


def inside(values: pl.Series, path: Sequence[str]) -> pl.Series:
    """Take a value inside each struct of a column ``[n]`` by its fields."""
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

    Args:
        value: as it was decoded.
        path: the parts of a name with dots; several may be one key.

    Raises:
        ValueError: there is something else where an object is expected, or the name stands for several
            values; the message says what.
    """
    if not path or value is None or value is msgspec.UNSET:
        return value
    if isinstance(value, list):
        found = [value_inside(one, path) for one in value]
        return [None if one is msgspec.UNSET else one for one in found]
    if not isinstance(value, dict):
        raise ValueError(
            f"found {shown(value)}; expected an object, or a list of objects, before .{'.'.join(path)}"
        )
    if len(path) == 1:
        return value.get(path[0], msgspec.UNSET)
    keys = {end: ".".join(path[:end]) for end in range(1, len(path) + 1)}
    return the_only({key: value_inside(value[key], path[end:]) for end, key in keys.items() if key in value})


def the_only(found: dict[str, Any]) -> Any:
    """Take the value that a name stands for.

    Args:
        found: by the key that the name begins with; UNSET where the rest of the name is not there.

    Raises:
        ValueError: there are several.
    """
    there = {key: value for key, value in found.items() if value is not None and value is not msgspec.UNSET}
    if len(there) > 1:
        first, second, *_ = map(repr, there)
        raise ValueError(
            f"found two values of this name, one at the key {first} and one at {second}; expected one, "
            "rename a key"
        )
    values = list(there.values()) or [value for value in found.values() if value is None]
    return values[0] if values else msgspec.UNSET


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
