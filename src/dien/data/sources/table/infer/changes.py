"""Whether a table of items or users has several rows of each, which hold from their times on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dien.data.sources.table.infer.head import HeadColumn, column_of
from dien.data.sources.table.infer.names import letters
from dien.data.sources.table.infer.roles import Found, find_role

_PROPERTIES = ("property", "prop", "propertyname", "attribute", "attr", "attributename", "field", "fieldname")
_VALUES = ("value", "val", "propertyvalue", "attributevalue", "fieldvalue")
_MOST = 20  # properties that a draft has
_DISTINCT = 0.9  # of the rows: so many are the only ones of their item and time


@dataclass(frozen=True)
class FoundChanges:
    """A table whose rows say from when on they hold.

    Attributes:
        time: its column of times.
        property: the column of names of properties; None where each has a column.
        value: the column of their values.
        columns: what features are made of: the other columns, or properties.
        others: properties that are none of them.
    """

    time: Found
    property: HeadColumn | None
    value: HeadColumn | None
    columns: tuple[HeadColumn, ...]
    others: tuple[str, ...] = ()


def find_changes(key: HeadColumn, table: Sequence[HeadColumn]) -> FoundChanges | None:
    """Tell whether a table has several rows of an item or user, each of another time.

    Args:
        key: its column of ids.
        table: its other columns.

    Returns:
        What it holds; None where each id has one row, or no time tells its rows apart.
    """
    if key.distinct == key.known:
        return None
    time = find_role("time", table, None)
    if time.column is None:
        return None
    by_name = {letters(column.name): column for column in reversed(table)}
    names = next((by_name[name] for name in _PROPERTIES if name in by_name), None)
    value = next((by_name[name] for name in _VALUES if name in by_name), None)
    long = names is not None and value is not None and len(names.values) == len(key.values)
    apart = [key, time.column, *([names] if long and names is not None else [])]
    rows = pl.DataFrame([one.values.alias(str(k)) for k, one in enumerate(apart)])
    if rows.select("0", "1").n_unique() == key.distinct or rows.n_unique() < _DISTINCT * rows.height:
        return None
    rest = tuple(column for column in table if column is not time.column)
    if not long or names is None or value is None:
        return FoundChanges(time, None, None, rest)
    counts = names.values.drop_nulls().cast(pl.String).value_counts(sort=True)
    found = counts[counts.columns[0]].to_list()
    words = [name for name in found if not name.isdigit()] or found
    chosen = words[:_MOST] if len(found) > _MOST else found
    columns = tuple(_of_property(name, names, value) for name in chosen)
    return FoundChanges(time, names, value, columns, tuple(name for name in found if name not in chosen))


def _of_property(name: str, names: HeadColumn, value: HeadColumn) -> HeadColumn:
    """Take the rows of one property."""
    parts = [
        (path, values.filter((of == name).fill_null(False)))
        for (path, values), of in zip(value.parts, _as_text(names), strict=True)
    ]
    return column_of(name, parts, "")


def _as_text(names: HeadColumn) -> list[pl.Series]:
    return [part.cast(pl.String) for _, part in names.parts]
