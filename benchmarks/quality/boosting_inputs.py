"""The numbers that boosting.py reads of each row: matches, popularity, recency and activity.

Whatever is counted lies strictly before the impression: nothing of its own second or later is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.batch import WINDOWS, match_numbers, popularity_numbers
from dien.data.batches import Batches
from dien.data.changing import values_at
from dien.data.dataset import Dataset
from dien.data.popularity import DAY, Counted, firsts
from dien.data.ragged import Ragged, row_of, searched
from dien.data.tables import SPLITS, Split, SplitName, begins

ACTIVE = 7, 28
"""Days before an impression in which behaviours of its user are counted."""

GROUPS = {
    "length": "how many behaviours the history has",
    "counts": "how many of them match the candidate, by each name",
    "steps": "how many steps back the newest of these is",
    "age": "how many seconds back",
    "popularity": "behaviours of all users with the candidate's item, and with its features",
    "recency": "seconds since anyone's first behaviour with the item, and since the last",
    "activity": "behaviours of the user in the last days",
}
"""Groups of inputs, which can be left out, and what they are."""


@dataclass(frozen=True)
class Inputs:
    """What is known of every row of a dataset.

    Attributes:
        names: of the inputs.
        groups: of each input, one of :data:`GROUPS`.
        values: by split ``[rows, inputs]`` float32, rows in their order on disk; NaN where there is none.
        notes: what was left out, in words.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: dict[SplitName, NDArray[np.float32]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Candidates:
    """The rows of a split, each with what it has from its impression; all ``[rows]``."""

    item: NDArray[np.int32]
    user: NDArray[np.int32]
    time: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


Column = tuple[str, str, Callable[[SplitName], NDArray[np.floating]]]
"""Group, name, and what computes an input of a split."""


class OthersTotal:
    """How often each value occurs among the behaviours of other users, where nothing is known of times.

    A row's own click cannot be among them, and neither can what its user did later.

    Args:
        value: ``[n]`` of each behaviour, >= 0.
        user: ``[n]``.
    """

    def __init__(self, value: NDArray[np.integer], user: NDArray[np.integer]) -> None:
        self._width = int(value.max(initial=0)) + 1
        self._total = np.bincount(value, minlength=self._width)
        self._pairs, self._own = np.unique(user.astype(np.int64) * self._width + value, return_counts=True)

    def count(self, value: NDArray[np.integer], user: NDArray[np.integer]) -> NDArray[np.int64]:
        """Count the behaviours ``[m]`` with a value, of others than a user ``[m]``."""
        known = value < self._width
        value = np.where(known, value, 0)
        pair = user.astype(np.int64) * self._width + value
        place = np.searchsorted(self._pairs, pair)
        found = np.append(self._pairs, -1)[place] == pair
        return np.where(known, self._total[value] - np.where(found, np.append(self._own, 0)[place], 0), 0)


def inputs_of(dataset: Dataset, match_history: int) -> Inputs:
    """Compute the inputs of every row.

    Args:
        dataset: where from.
        match_history: newest behaviours that matches are counted over.
    """
    rows = {name: _candidates(dataset, dataset.split(name)) for name in SPLITS}
    counted, notes = _counted(dataset)
    read = {name: _read(dataset, name, match_history, counted.timed) for name in SPLITS}
    columns = _match_columns(dataset, read, counted.timed)
    if counted.timed:
        columns += _popularity_columns(dataset, rows, read)
        columns += [("activity", f"user.{days}d", _activity(dataset, rows, days)) for days in ACTIVE]
    else:
        columns += _others_columns(dataset, rows, counted, notes)
    return Inputs(
        names=tuple(name for _, name, _ in columns),
        groups=tuple(group for group, _, _ in columns),
        values={
            split: np.stack([compute(split).astype(np.float32) for *_, compute in columns], axis=1)
            for split in SPLITS
        },
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Counted:
    """The behaviours that popularity is counted over; all ``[n]``."""

    place: NDArray[np.int64]
    user: NDArray[np.int64]
    timed: bool


def _counted(dataset: Dataset) -> tuple[_Counted, list[str]]:
    """Choose the behaviours to count, and say what is left out."""
    behaviours, notes = dataset.behaviours, []
    user = row_of(np.diff(behaviours.offsets))
    chosen = Counted.of(dataset)
    place, timed = chosen.place, len(chosen.place) > 0
    if timed:
        if chosen.untimed:
            notes.append(
                f"{chosen.untimed:,} behaviours have no time and are not counted in popularity and recency"
            )
        found = len(place) + chosen.repeated
    else:
        place = np.flatnonzero(_in_histories(dataset, dataset.split("train")))
        found = len(place)
        if dataset.info.own_histories:
            place = place[firsts(user[place], behaviours.item[place])]
        notes.append(
            "behaviours have no times: popularity is the count among the other users' training histories, "
            "and there is no age, recency or activity"
        )
    if dataset.info.own_histories:  # the rows of a user repeat what they have in common
        notes.append(
            f"rows carry their own histories: of {found:,} behaviours the {len(place):,} that differ in "
            "user, item or time are counted in popularity and recency"
        )
    return _Counted(place, user[place], timed), notes


def _in_histories(dataset: Dataset, split: Split) -> NDArray[np.bool_]:
    """Say of each behaviour ``[M]`` whether it lies in the history of any impression of a split."""
    size = len(dataset.behaviours.item) + 1
    begin, end = begins(dataset.behaviours, split), split.end
    steps = np.bincount(begin, minlength=size) - np.bincount(end, minlength=size)
    return np.cumsum(steps)[:-1] > 0


def _candidates(dataset: Dataset, split: Split) -> _Candidates:
    of = row_of(np.diff(split.offsets))
    begin = begins(dataset.behaviours, split)
    return _Candidates(split.item[:], split.user[of], split.time[of], begin[of], split.end[of])


def _read(
    dataset: Dataset, split: SplitName, match_history: int, timed: bool
) -> dict[str, NDArray[np.float32]]:
    """Take the numbers of matches and popularity of a split, as dien's own models read them."""
    batches = Batches(
        dataset, split, batch_size=4096, max_history=1, match_history=match_history, popularity=timed
    )
    F = len(dataset.schema.matched)
    widths = {"matches": match_numbers(F)} | ({"popularity": popularity_numbers(F)} if timed else {})
    found = {name: np.full((batches.rows, width), np.nan, np.float32) for name, width in widths.items()}
    for batch in batches.epoch(0):
        assert batch.rows is not None
        for name, values in found.items():
            values[batch.rows.numpy()] = getattr(batch, name).numpy()
    return found


def _match_columns(
    dataset: Dataset, read: dict[SplitName, dict[str, NDArray[np.float32]]], timed: bool
) -> list[Column]:
    names = dataset.schema.matched
    labels = [("length", "length")]
    labels += [(group, f"{name}.{group}") for group in ("counts", "steps", "age") for name in names]

    def column(place: int) -> Callable[[SplitName], NDArray[np.floating]]:
        return lambda split: read[split]["matches"][:, place]

    return [
        (group, label, column(place))
        for place, (group, label) in enumerate(labels)
        if timed or group != "age"
    ]


def _popularity_columns(
    dataset: Dataset, rows: dict[SplitName, _Candidates], read: dict[SplitName, dict[str, Any]]
) -> list[Column]:
    """Make the columns of popularity and recency; an unknown value has no numbers."""
    names = dataset.schema.matched
    known = {
        (split, name): _known(dataset, name, candidates.item, candidates.time)
        for split, candidates in rows.items()
        for name in names
    }

    def column(name: str, place: int) -> Callable[[SplitName], NDArray[np.floating]]:
        return lambda split: np.where(known[split, name], read[split]["popularity"][:, place], np.nan)

    labels = [("popularity", name, f"{name}.popularity") for name in names]
    labels += [("popularity", name, f"{name}.popularity_{days}d") for days in WINDOWS for name in names]
    labels += [("recency", "item", f"item.since_{what}") for what in ("first", "last")]
    return [(group, label, column(name, place)) for place, (group, name, label) in enumerate(labels)]


def _others_columns(
    dataset: Dataset, rows: dict[SplitName, _Candidates], counted: _Counted, notes: list[str]
) -> Iterator[Column]:
    """Make the columns of popularity of a dataset without times."""
    for name in dataset.schema.matched:
        item, time = dataset.behaviours.item[counted.place], dataset.behaviours.time[counted.place]
        values = _values(dataset, name, item, time)
        if isinstance(values, Ragged):
            notes.append(f"{name} has several values of an item, and no popularity is counted of it")
            continue
        others = OthersTotal(values, counted.user)

        def count(split: SplitName, name: str = name, others: OthersTotal = others) -> NDArray[np.floating]:
            wanted = _values(dataset, name, rows[split].item, rows[split].time)
            return np.where(wanted == 0, np.nan, others.count(wanted, rows[split].user))

        yield "popularity", f"{name}.popularity", count


def _known(
    dataset: Dataset, name: str, item: NDArray[np.integer], time: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Say of items ``[n]`` whether any value of theirs at some times ``[n]`` is known."""
    values = _values(dataset, name, item, time)
    if isinstance(values, Ragged):
        return np.bincount(row_of(np.diff(values.offsets)), values.values > 0, len(values)) > 0
    return values > 0


def _values(dataset: Dataset, name: str, item: NDArray[np.integer], time: NDArray[np.int64]) -> Any:
    """Take what items ``[n]`` had at some times ``[n]``: their rows, or a feature."""
    return item if name == "item" else values_at({name: dataset.items[name]}, item, time)[name]


def _activity(
    dataset: Dataset, rows: dict[SplitName, _Candidates], days: int
) -> Callable[[SplitName], NDArray[np.floating]]:
    """Count the user's own behaviours in the days before, of the whole history."""
    time = dataset.behaviours.time

    def count(split: SplitName) -> NDArray[np.floating]:
        of = rows[split]
        before = searched(time, of.begin, of.end, of.time, "left")
        old = searched(time, of.begin, of.end, of.time - days * DAY, "left")
        return (before - old).astype(np.float64)

    return count
