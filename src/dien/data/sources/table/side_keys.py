"""The keys of a schema for the tables of items and users."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from dien.data.features.definition import Text
from dien.data.sources.table.table_text import TableText
from dien.data.sources.table.time_keys import (
    Order,
    TimeColumns,
    TimeFormat,
    TimeUnit,
    TimeYear,
    TimeZone,
    check_times,
)


class SideTable(TableText):
    """Keys that both tables have.

    Attributes:
        keep: which row counts of an item or user that has several; None where that is an error.
        time: from when on the values of a row hold: its features change over time; None where they do not.
        time_unit: of the time, as of the interactions; likewise ``time_format``, ``time_year`` and
            ``time_zone``.
        property: the name of a property, where a row has one value of one property; None where it has a
            column for each feature.
        value: the value of that property.
        before: what holds before the first value of an item or user: ``unknown``, which None is, too, or
            ``first``, that value, as where a table has what never changes once, at any time.
    """

    keep: Literal["first", "last"] | None = None
    time: TimeColumns | None = None
    time_unit: TimeUnit | None = None
    time_format: TimeFormat | None = None
    time_year: TimeYear | None = None
    time_zone: TimeZone | None = None
    property: Text | None = None
    value: Text | None = None
    before: Literal["unknown", "first"] | None = None

    @model_validator(mode="after")
    def _keys_go_together(self) -> SideTable:
        if isinstance(self.time, Order):
            raise ValueError("time: {order: file} is for the interactions alone; name a column of times")
        for key in "time_unit", "time_format", "time_year", "time_zone", "property", "value", "before":
            if self.time is None and getattr(self, key) is not None:
                raise ValueError(
                    f"{key} is for a table whose rows say from when on they hold; name that column as time, "
                    f"or leave {key} out"
                )
        if (self.property is None) != (self.value is None):
            raise ValueError("property and value go together: a row has one value of one property; name both")
        if self.time is not None and self.keep is not None:
            raise ValueError("keep is for rows without time; with time each row counts from then on")
        check_times(self)
        return self


class Items(SideTable):
    """The items' table.

    Attributes:
        item: its key column.
        name: what the item is called, as its title: shown to people, and read by no model. None where no
            column says it.
    """

    item: Text = "item"
    name: Text | None = None

    @model_validator(mode="after")
    def _one_name(self) -> Items:
        if self.name is not None and self.time is not None:
            raise ValueError(
                "name is for a table with one row for each item, and with time an item has several; leave "
                "one of them out"
            )
        return self

    @property
    def key(self) -> str:
        """The column of ids."""
        return self.item


class Users(SideTable):
    """The users' table.

    Attributes:
        user: its key column.
    """

    user: Text = "user"

    @property
    def key(self) -> str:
        """The column of ids."""
        return self.user
