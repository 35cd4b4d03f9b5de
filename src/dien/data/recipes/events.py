"""The log in arrays: events by user and time, with rows in place of raw ids. Every recipe starts here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.log import DataError, Log
from dien.data.prepared import Behaviours
from dien.data.ragged import to_offsets
from dien.data.vocabulary import Ids

_NOT_CONTEXT = ("user", "item", "time", "label")
_YEAR_10000 = 253_402_300_800  # also catches milliseconds


@dataclass(frozen=True)
class Events:
    """Events sorted by user, then time; events of one user and time keep the order of the source.

    Attributes:
        user: ``[E]`` int32 rows of ``user_ids``.
        item: ``[E]`` int32 rows of ``item_ids``.
        time: ``[E]`` int64 seconds since 1970.
        clicked: ``[E]`` bool; all true where the log has no labels.
        labelled: whether the log has real negatives.
        context: String columns ``[E]``.
        user_ids: row 0 is unknown, then the log's users in its order.
        item_ids: row 0 is unknown, then the log's items in its order.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    clicked: NDArray[np.bool_]
    labelled: bool
    context: pl.DataFrame
    user_ids: Ids
    item_ids: Ids

    @classmethod
    def of(cls, log: Log) -> Events:
        """Encode and sort the events of a log.

        Raises:
            DataError: the log has no clicks, lacks a column, has a null where none may be, a time that cannot
                be seconds since 1970, a label other than 0 and 1, or an event whose user or item has no row.
        """
        events = log.events
        _check(log)
        user_ids, item_ids = Ids.of(log.users["user"]), Ids.of(log.items["item"])
        user = _encode(events["user"], user_ids, "users")
        item = _encode(events["item"], item_ids, "items")
        time = events["time"].cast(pl.Int64).to_numpy()
        labelled = "label" in events.columns
        clicked = events["label"].to_numpy() == 1 if labelled else np.ones(len(events), bool)
        if not clicked.any():
            raise DataError("events: none is a click (label 1); without clicks there are no behaviours")
        order = np.lexsort((time, user))
        context = events.select(pl.exclude(*_NOT_CONTEXT).cast(pl.String))
        return cls(
            user=user[order],
            item=item[order],
            time=time[order],
            clicked=clicked[order],
            labelled=labelled,
            context=context[order] if context.width else context,
            user_ids=user_ids,
            item_ids=item_ids,
        )

    def behaviours(self) -> Behaviours:
        """Keep the clicks: the ``k``-th clicked event is behaviour ``k``."""
        clicks = np.bincount(self.user[self.clicked], minlength=len(self.user_ids))
        return Behaviours(
            item=self.item[self.clicked], time=self.time[self.clicked], offsets=to_offsets(clicks)
        )


def _check(log: Log) -> None:
    for what, table, columns in (
        ("events", log.events, ("user", "item", "time")),
        ("items", log.items, ("item",)),
        ("users", log.users, ("user",)),
    ):
        for name in columns:
            if name not in table.columns:
                raise DataError(f"{what}: no column {name!r}; found {', '.join(table.columns)}")
            if table[name].null_count():
                row = int(table[name].is_null().to_numpy().argmax())
                raise DataError(f"{what}: row {row}: {name} is missing; drop the row or fill it in")
        if table.is_empty():
            raise DataError(f"{what}: none are left to prepare; check what the source excluded")
        if what != "events" and table[columns[0]].n_unique() < len(table):
            repeated = table[columns[0]].filter(table[columns[0]].is_duplicated())[0]
            raise DataError(f"{what}: {columns[0]} {repeated!r} has several rows; keep one for each")
    time = log.events["time"]
    if not time.dtype.is_integer():
        raise DataError(f"events: time is {time.dtype}, expected integers: seconds since 1970")
    bad = (time < 0) | (time >= _YEAR_10000)
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise DataError(f"events: row {row}: time is {time[row]}, expected seconds since 1970")
    if "label" in log.events.columns:
        bad = ~log.events["label"].is_in([0, 1]).fill_null(False)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(f"events: row {row}: label is {log.events['label'][row]}, expected 0 or 1")


def _encode(values: pl.Series, ids: Ids, what: str) -> NDArray[np.int32]:
    rows = ids.encode(values)
    if not rows.all():
        value = values[int(rows.argmin())]
        raise DataError(f"events: {values.name} {value!r} has no row in {what}; add one, its features null")
    return rows
