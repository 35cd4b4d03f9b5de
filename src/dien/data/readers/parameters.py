"""Lists of keys and values, as ``event_params`` of GA4 and BigQuery: each key is a name of its own.

An entry is ``{key: page_location, value: {string_value: ..., int_value: ...}}``, of which one value is there,
or ``{key: color, value: red}``. ``event_params.page_location`` is the value of a row, and
``event_params.page_location.string_value`` one of the values of an entry. A map of Parquet is read likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from dien.data.readers.messages import shown

_ENTRY = {"key", "value"}
_TYPED = "_value"  # string_value, int_value, float_value, double_value


def entry_type(kind: pa.DataType) -> pa.DataType | None:
    """Give the type of the values of a list of keys and values; None of other types."""
    types = pa.types
    if types.is_map(kind):
        return kind.item_type if _is_text(kind.key_type) else None
    if not (types.is_list(kind) or types.is_large_list(kind)) or not types.is_struct(kind.value_type):
        return None
    entry = kind.value_type
    if {entry.field(i).name for i in range(entry.num_fields)} != _ENTRY:
        return None
    return entry.field("value").type if _is_text(entry.field("key").type) else None


def without_maps(table: pa.Table) -> pa.Table:
    """Make maps lists of keys and values, which Polars can look into."""
    for index, field in enumerate(table.schema):
        if pa.types.is_map(field.type):
            entry = pa.struct([("key", field.type.key_type), ("value", field.type.item_type)])
            table = table.set_column(index, field.name, table[field.name].cast(pa.list_(entry)))
    return table


def are_parameters(value: Any) -> bool:
    """Whether a value of JSON is a list of keys and values, with an entry at least."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(one, dict) and set(one) == _ENTRY and isinstance(one["key"], str) for one in value)
    )


def keys_of(values: pl.Series) -> list[str]:
    """List the keys of a column ``[n]`` of such lists."""
    keys = values.list.eval(pl.element().struct.field("key")).explode().drop_nulls()
    return keys.unique(maintain_order=True).to_list()


def parameter(entries: Any, path: Sequence[str]) -> Any:
    """Take the value of a key of one list of JSON; UNSET where it lacks the key.

    Args:
        entries: the list; None or an empty one lacks every key.
        path: the parts of a name with dots: the key, and maybe which of its values.

    Raises:
        ValueError: it is no such list, has the key twice, or not one value for it; the message says what.
    """
    if entries is None or entries is msgspec.UNSET or entries == []:
        return msgspec.UNSET
    if not are_parameters(entries):
        raise ValueError(f"found {shown(entries)}; expected a list of objects with key and value")
    for key, which in _readings(path):
        values = [entry["value"] for entry in entries if entry["key"] == key]
        if not values:
            continue
        if len(values) > 1:
            raise ValueError(f"found {len(values)} entries with the key {key!r}; expected one")
        value = values[0]
        if which is None:
            return _the_one(value)
        if not isinstance(value, dict):
            raise ValueError(_no_object(value, key, which))
        return value.get(which, msgspec.UNSET)
    return msgspec.UNSET


def parameters(values: pl.Series, path: Sequence[str]) -> list[Any] | None:
    """Take the value of a key of each list of a column ``[n]``, as :func:`parameter` does.

    Args:
        values: of the type that :func:`entry_type` tells.
        path: as of :func:`parameter`.

    Returns:
        ``[n]``, None where a list lacks the key; or None where all do.

    Raises:
        ParameterError: of the first row that cannot be read.
    """
    for key, which in _readings(path):
        is_key = pl.element().struct.field("key") == key
        entries = values.list.eval(pl.element().filter(is_key))
        count = entries.list.len().fill_null(0)
        if not (count > 0).any():
            continue
        if (count > 1).any():
            row = int((count > 1).arg_max() or 0)
            raise ParameterError(row, f"found {count[row]} entries with the key {key!r}; expected one")
        found = entries.list.first().struct.field("value")
        if which is not None:
            return _named(found, key, which)
        return _the_ones(found) if isinstance(found.dtype, pl.Struct) else found.to_list()
    return None


def _named(values: pl.Series, key: str, which: str) -> list[Any] | None:
    """Take one value of entries ``[n]`` by its name; None where no entry has such a one."""
    if not isinstance(values.dtype, pl.Struct):
        row = int(values.is_not_null().arg_max() or 0)
        raise ParameterError(row, _no_object(values[row], key, which))
    if which not in {field.name for field in values.dtype.fields}:
        return None
    return values.struct.field(which).to_list()


def _the_ones(values: pl.Series) -> list[Any]:
    """Do the same as :func:`_the_one` for structs ``[n]``."""
    names = [field.name for field in values.dtype.fields if field.name.endswith(_TYPED)]  # type: ignore[attr-defined]
    columns = [values.struct.field(name) for name in names]
    columns = [column for column in columns if column.null_count() < len(column)]
    if len(columns) == 1:
        return columns[0].to_list()
    found: list[Any] = []
    for row, value in enumerate(zip(*(column.to_list() for column in columns), strict=True)):
        known = [one for one in value if one is not None]
        if len(known) > 1:
            raise ParameterError(row, _several(values[row]))
        found.append(known[0] if known else None)
    if not names and (known_rows := values.is_not_null()).any():
        row = int(known_rows.arg_max() or 0)
        raise ParameterError(row, _several(values[row]))
    return found or [None] * len(values)


class ParameterError(ValueError):
    """A list of keys and values that cannot be read.

    Args:
        row: its index in the column.
        problem: what was found and expected.
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


def _the_one(value: Any) -> Any:
    """Take the value of an entry: of an object such as ``{string_value: a, int_value: null}`` the one known.

    Raises:
        ValueError: the object has several, or none by such a name.
    """
    if not isinstance(value, dict):
        return value
    typed = {name: one for name, one in value.items() if name.endswith(_TYPED)}
    known = [one for one in typed.values() if one is not None]
    if len(known) > 1 or (value and not typed):
        raise ValueError(_several(value))
    return known[0] if known else None


def _several(value: Any) -> str:
    return f"found {shown(value)}; expected an object with one value, as {{string_value: a}}"


def _no_object(value: Any, key: str, which: str) -> str:
    return f"found {shown(value)} at the key {key!r}; expected an object with {which!r}"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _readings(path: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Give the key that a name is of, and which of its values; a key may have dots."""
    if len(path) > 1 and path[-1].endswith(_TYPED):
        yield ".".join(path[:-1]), path[-1]
    yield ".".join(path), None
