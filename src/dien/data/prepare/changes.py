"""Features of items and users that change over time: when each value holds, and how many events have one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.changing import Changing, Lines, entry_at, merged
from dien.data.features import Side
from dien.data.log import Log
from dien.data.prepare.events import Events
from dien.data.ragged import slices, to_offsets
from dien.errors import DataError

Known = Mapping[str, tuple[Changing, NDArray[np.bool_]]]
"""By feature: its values in an earlier log, and which of them ``[S]`` are known."""


def side_of(changes: pl.DataFrame) -> Side:
    """Tell whether a changing feature is of items or of users."""
    return "item" if "item" in changes.columns else "user"


def lines_of(log: Log, changes: pl.DataFrame) -> Lines:
    """Say since when each value of a changing feature holds; the first entry is the unknown value.

    Args:
        log: the log; its items or users have the rows.
        changes: of the feature, as in the log.

    Raises:
        DataError: they are not in order of rows and times, or name a row that there is not.
    """
    side = side_of(changes)
    table = log.items if side == "item" else log.users
    row, time = changes[side].to_numpy(), changes["time"].cast(pl.Int64).to_numpy()
    falls = (np.diff(row) < 0) | ((np.diff(row) == 0) & (np.diff(time) <= 0))
    if falls.any() or (len(row) and not 1 <= row[0] <= row[-1] <= table.height):
        raise DataError(
            f"feature {changes.columns[-1]}: its changes are not in order; expected rows of {side}s from 1 "
            f"to {table.height}, each row's times rising; sort by {side} and time, and keep one of each"
        )
    lengths = np.bincount(row, minlength=table.height + 1)
    lengths[0] = 1
    return np.append(np.zeros(1, np.int64), time), to_offsets(lengths)


def count_changing(
    log: Log,
    events: Events,
    of_items: NDArray[np.bool_],
    of_users: NDArray[np.integer],
    earlier: Known,
) -> tuple[dict[str, NDArray[np.int64]], dict[str, int]]:
    """Count the values of changing features that events have, each at its time.

    Args:
        log: the log.
        events: its events ``[E]``.
        of_items: ``[E]`` which of them count for features of items.
        of_users: ``[E]`` how often each counts for features of users.
        earlier: values of an earlier log that this one goes on with; empty where there is none.

    Returns:
        By feature, how often each value of the log counts ``[S]``. And what is worth telling: how many
        candidates and behaviours have no value at their time, and how many events are of the second of a
        change.
    """
    counted: dict[str, NDArray[np.int64]] = {}
    told: dict[str, int] = {}
    for name, changes in log.changes.items():
        side = side_of(changes)
        since, rows = lines_of(log, changes)
        known, before = np.append(False, known_values(changes[name])), 0
        new = np.append(False, _new_values(changes, side, name))
        if name in earlier:
            column, known_before = earlier[name]
            before = len(column.since)
            source, (since, rows) = merged((column.since, column.rows), (since, rows))
            known = np.append(known_before, known)[source]
            new = np.append(np.arange(before) > 0, new)[source]
        counts = np.zeros(len(since), np.int64)
        without, of_histories, at_once = 0, 0, 0
        for part in slices(len(events)):
            row = (events.item if side == "item" else events.user)[part]
            entry = entry_at(since, rows, row, events.time[part])
            weight = of_items[part] if side == "item" else of_users[part]
            counts += np.bincount(entry, weight, len(counts)).astype(np.int64)
            shown = np.ones(len(row), bool) if events.shown is None else events.shown[part]
            without += int((~known[entry] & shown).sum())
            of_histories += int((~known[entry] & events.behaviour[part]).sum())
            at_once += int(((since[entry] == events.time[part]) & new[entry]).sum())
        if name in earlier:
            of_source = np.zeros(before + changes.height + 1, np.int64)
            of_source[source] = counts
            counts = of_source[before:]
        counted[name] = counts
        told[f"candidates whose {side} has no {name} at that time (kept, unknown)"] = without
        if side == "item":
            told[f"behaviours whose item has no {name} at that time (kept, unknown)"] = of_histories
        told[f"events in the second of a change of {name} (the new value counts)"] = at_once
    return counted, told


def later_changes(
    changes: Mapping[str, pl.DataFrame],
    rows: Mapping[Side, NDArray[np.int32]],
    known: Mapping[Side, int],
    newest: int,
) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    """Take the changes that a dataset does not have yet, with its rows.

    Args:
        changes: of a later log, by feature.
        rows: of each item and user of that log: its row in the dataset.
        known: items and users that the dataset has already, row 0 included.
        newest: second of its newest event: what happened up to it is fixed.

    Returns:
        The changes of new items and users, and those after that second. And how many were left out.
    """
    later: dict[str, pl.DataFrame] = {}
    excluded: dict[str, int] = {}
    for name, frame in changes.items():
        side = side_of(frame)
        moved = frame.with_columns(pl.Series(side, rows[side][frame[side].to_numpy() - 1]))
        found = moved.filter((pl.col("time") > newest) | (pl.col(side) >= known[side])).sort(side, "time")
        left = moved.filter((pl.col("time") <= newest) & (pl.col("time") > 0) & (pl.col(side) < known[side]))
        if left.height:
            excluded[f"values of {name} not later than the dataset, of {side}s that it has"] = left.height
        later[name] = found
    return later, excluded


def _new_values(changes: pl.DataFrame, side: Side, name: str) -> NDArray[np.bool_]:
    """Mark the values ``[n]`` that are not the one before again, which held before its time already."""
    columns = (pl.col(key) for key in (side, name))
    new = pl.any_horizontal(column.ne_missing(column.shift()) for column in columns)
    return np.asarray(changes.select(new).to_series().to_numpy(), bool)


def known_values(values: pl.Series) -> NDArray[np.bool_]:
    """Mark the values ``[n]`` of a raw column that are known: an empty list and NaN are not."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    known = values.list.len() > 0 if isinstance(values.dtype, pl.List) else values.is_not_null()
    found: NDArray[np.bool_] = known.fill_null(False).to_numpy()
    return found
