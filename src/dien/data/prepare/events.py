"""The events of a log in arrays: sorted by user and time, with rows in place of raw ids.

Every recipe starts here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.log import CONVERSION, HISTORY, WEIGHT, YEAR_10000, Log
from dien.data.vocabulary import Ids
from dien.errors import DataError
from dien.forks import expect_polars

NOT_FEATURES = ("user", "item", "time", "label", "impression", "split", WEIGHT, CONVERSION, HISTORY)
"""Columns of the events that are no feature."""
History = Literal["clicked", "all", "behaviours", "row"]
"""Which events are a user's behaviours: those that were clicked, all that were shown (as in RecBole), those
of a log of behaviours of its own, or those that stand in the row of each impression."""

EVENTS_AT_ONCE = 1 << 22
"""Recipes go through users in slices of about this many events, so that memory stays bounded."""


@dataclass(frozen=True)
class Events:
    """Events sorted by user, then time; events of one user and time keep the order of the source.

    Attributes:
        user: ``[E]`` int32 rows of ``user_ids``.
        item: ``[E]`` int32 rows of ``item_ids``.
        time: ``[E]`` int64 seconds since 1970.
        clicked: ``[E]`` bool; all true where the log has no labels.
        behaviour: ``[E]`` bool, whether it is a behaviour: part of later histories.
        labelled: whether the log has real negatives.
        impression: ``[E]`` int64, equal for what was shown together; None where the log does not say.
        split: ``[E]`` int8, 0 train, 1 valid, 2 test, 3 none; None where the log does not say.
        weight: ``[E]`` float32, how much each counts as a row; None where all count alike.
        conversion: ``[E]`` int8, 1 where a click led to what it is for, 0 where not, -1 where that is not
            known; None where the log does not say.
        features: columns ``[E]`` of the context and of behaviours.
        context: names of the context features with one value each; events of one moment that differ in one of
            them are different impressions.
        lists: names of those with several values, which tell no impressions apart.
        user_ids: row 0 is unknown, then the log's users in its order.
        item_ids: row 0 is unknown, then the log's items in its order.
        ordered: whether times are the numbers of rows: the log has an order and no time.
        shown: ``[E]`` bool, whether it is a candidate; None where all are. The others are behaviours alone.
        history: ``[E]`` int64, number of the history that a candidate has and a behaviour is in, where rows
            carry their own; None where they do not. Each history stands before its candidates, and in no
            order of time among the others.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    clicked: NDArray[np.bool_]
    behaviour: NDArray[np.bool_]
    labelled: bool
    impression: NDArray[np.int64] | None
    split: NDArray[np.int8] | None
    weight: NDArray[np.float32] | None
    conversion: NDArray[np.int8] | None
    features: pl.DataFrame
    context: tuple[str, ...]
    lists: tuple[str, ...]
    user_ids: Ids
    item_ids: Ids
    shown: NDArray[np.bool_] | None = None
    ordered: bool = False
    history: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, log: Log, history: History = "clicked") -> Events:
        """Encode and sort the events of a log.

        Args:
            log: the log.
            history: which events are behaviours; without labels all are clicked.

        Raises:
            DataError: the log has no clicks, has behaviours of their own where the histories hold others or
                the other way round, lacks a column, has a null where none may be, a time that cannot
                be seconds since 1970, a label other than 0 and 1, or an event whose user or item has no row.
        """
        _check(log)
        events, shown = _events_of(log)
        user_ids, item_ids = Ids.of(log.users["user"]), Ids.of(log.items["item"])
        user = _encode(events["user"], user_ids, "users")
        time = events["time"].cast(pl.Int64).to_numpy()
        labelled = "label" in events.columns
        clicked = events["label"].to_numpy() == 1 if labelled else np.ones(len(events), bool)
        own = events[HISTORY].to_numpy() if HISTORY in events.columns else None
        if (shown is not None) != (history in ("behaviours", "row")) or (own is None) != (history != "row"):
            raise DataError(
                f"there is {'no' if shown is None else 'a'} log of behaviours of their own, where histories "
                f"hold {'them' if shown is None else 'what the interactions say'} (history {history!r}); "
                "prepare every part of a log alike"
            )
        if not (clicked if shown is None else clicked & shown).any():
            raise DataError("events: none is a click (label 1); without clicks there are no behaviours")
        order = np.lexsort((time, user)) if own is None else _by_history(user, time, own, shown)  # stable
        clicked = clicked[order]
        features = events.select(pl.exclude(*NOT_FEATURES))
        defined = {column.name: log.definition(column) for column in features}
        of_context = {name: one for name, one in defined.items() if one.side in (None, "context")}
        return cls(
            user=user[order],
            item=_encode(events["item"], item_ids, "items")[order],
            time=time[order],
            clicked=clicked,
            behaviour=_behaviour(clicked, None if shown is None else shown[order], history),
            labelled=labelled,
            impression=events["impression"].cast(pl.Int64).to_numpy()[order]
            if "impression" in events.columns
            else None,
            split=events["split"].cast(pl.Int8).to_numpy()[order] if "split" in events.columns else None,
            weight=events[WEIGHT].cast(pl.Float32).to_numpy()[order] if WEIGHT in events.columns else None,
            conversion=events[CONVERSION].cast(pl.Int8).to_numpy()[order]
            if CONVERSION in events.columns
            else None,
            features=features[order] if features.width else features,
            context=tuple(name for name, one in of_context.items() if one.one_value),
            lists=tuple(name for name, one in of_context.items() if not one.one_value),
            user_ids=user_ids,
            item_ids=item_ids,
            shown=None if shown is None else shown[order],
            ordered=log.times is not None and log.times.ordered,
            history=None if own is None else own[order],
        )

    def __len__(self) -> int:
        return len(self.user)

    def features_of(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> pl.DataFrame:
        """Take the features of some events, by number or by mask ``[E]``."""
        if not self.features.width:
            return self.features
        return self.features[chosen.nonzero()[0] if chosen.dtype == bool else chosen]

    def slices(self) -> Iterator[tuple[int, Events]]:
        """Cut between users into slices of about :data:`EVENTS_AT_ONCE` events.

        Yields:
            Each slice and the number of its first event.
        """
        begin = 0
        while begin < len(self):
            last = min(begin + EVENTS_AT_ONCE, len(self)) - 1
            end = int(np.searchsorted(self.user, self.user[last], side="right"))
            part = slice(begin, end)
            yield (
                begin,
                replace(
                    self,
                    user=self.user[part],
                    item=self.item[part],
                    time=self.time[part],
                    clicked=self.clicked[part],
                    behaviour=self.behaviour[part],
                    impression=None if self.impression is None else self.impression[part],
                    split=None if self.split is None else self.split[part],
                    weight=None if self.weight is None else self.weight[part],
                    conversion=None if self.conversion is None else self.conversion[part],
                    features=self.features[part] if self.features.width else self.features,
                    shown=None if self.shown is None else self.shown[part],
                    history=None if self.history is None else self.history[part],
                ),
            )
            begin = end


def _events_of(log: Log) -> tuple[pl.DataFrame, NDArray[np.bool_] | None]:
    """Put behaviours of a log of their own after what was shown, and mark the latter ``[E]``."""
    if log.behaviours is None:
        return log.events, None
    of_log = {"label": pl.lit(1, pl.Int8), "impression": pl.lit(0, pl.Int64), "split": pl.lit(3, pl.Int8)}
    of_log |= {WEIGHT: pl.lit(1, pl.Float32), CONVERSION: pl.lit(0, pl.Int8)}
    filled = [value.alias(name) for name, value in of_log.items() if name in log.events.columns]
    events = pl.concat([log.events, log.behaviours.with_columns(*filled)], how="diagonal_relaxed")
    return events, np.arange(events.height) < log.events.height


def _by_history(
    user: NDArray[np.int32],
    time: NDArray[np.int64],
    history: NDArray[np.int64],
    shown: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """Order events by user and by the time of candidates, each history before its candidates: ``[E]``."""
    assert shown is not None
    of_candidates = np.zeros(int(history.max()) + 1, np.int64)
    of_candidates[history[shown]] = time[shown]
    return np.lexsort((shown, history, of_candidates[history], user))


def _behaviour(
    clicked: NDArray[np.bool_], shown: NDArray[np.bool_] | None, history: History
) -> NDArray[np.bool_]:
    """Mark the events that are behaviours: ``[E]``."""
    if shown is not None:
        return ~shown
    return clicked if history == "clicked" else np.ones(len(clicked), bool)


def first_of_moment(events: Events) -> NDArray[np.bool_]:
    """Mark the first event of each user and time: ``[E]``."""
    first = np.ones(len(events), bool)
    first[1:] = (np.diff(events.user) != 0) | (np.diff(events.time) != 0)
    return first


def first_of_history(events: Events) -> NDArray[np.bool_]:
    """Mark the first event of each history, where rows carry their own: ``[E]``."""
    assert events.history is not None
    first = np.ones(len(events), bool)
    first[1:] = np.diff(events.history) != 0
    return first


def first_of_user(events: Events) -> NDArray[np.bool_]:
    """Mark the first event of each user: ``[E]``."""
    first = np.ones(len(events), bool)
    first[1:] = np.diff(events.user) != 0
    return first


def _check(log: Log) -> None:
    expect_polars("the log cannot be prepared")
    alone = [] if log.behaviours is None else [("behaviours", log.behaviours, ("user", "item", "time"))]
    for what, table, columns in (
        ("events", log.events, ("user", "item", "time")),
        *alone,
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
        if len(columns) == 1 and table[columns[0]].n_unique() < len(table):
            repeated = table[columns[0]].filter(table[columns[0]].is_duplicated())[0]
            raise DataError(f"{what}: {columns[0]} {repeated!r} has several rows; keep one for each")
    for what, time in [("events", log.events["time"]), *((what, table["time"]) for what, table, _ in alone)]:
        if not time.dtype.is_integer():
            raise DataError(f"{what}: time is {time.dtype}, expected integers: seconds since 1970")
        bad = (time < 0) | (time >= YEAR_10000)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(f"{what}: row {row}: time is {time[row]}, expected seconds since 1970")
    if "label" in log.events.columns:
        bad = ~log.events["label"].is_in([0, 1]).fill_null(False)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(f"events: row {row}: label is {log.events['label'][row]}, expected 0 or 1")
    if WEIGHT in log.events.columns:
        weight = log.events[WEIGHT]
        bad = ~(weight.is_finite() & (weight >= 0)).fill_null(False)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(
                f"events: row {row}: the weight is {weight[row]}, expected a finite number of at least 0"
            )
    if CONVERSION in log.events.columns:
        conversion = log.events[CONVERSION]
        bad = ~conversion.is_in([-1, 0, 1]).fill_null(False)
        if "label" in log.events.columns:
            bad |= (conversion != 0) & (log.events["label"] != 1)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(
                f"events: row {row}: the conversion is {conversion[row]}, expected 1, 0 or -1 (not known) "
                "of a click, and 0 without one"
            )


def _encode(values: pl.Series, ids: Ids, what: str) -> NDArray[np.int32]:
    if values.dtype == pl.Int32:  # rows already
        rows: NDArray[np.int32] = values.to_numpy()
        if rows.min() < 1 or rows.max() >= len(ids):
            raise DataError(f"events: {values.name} holds rows outside 1 to {len(ids) - 1}, those of {what}")
        return rows
    rows = ids.encode(values)
    if not rows.all():
        value = values[int(rows.argmin())]
        raise DataError(f"events: {values.name} {value!r} has no row in {what}; add one, its features null")
    return rows
