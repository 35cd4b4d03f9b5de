"""The numbers that boosting.py reads of each row: matches, popularity, recency and activity.

Whatever is counted lies strictly before the impression: nothing of its own second or later is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dien.data.batches import Batches
from dien.data.changing import LATEST, Changing, values_at
from dien.data.dataset import Dataset
from dien.data.matches import NO_TIME
from dien.data.ragged import Ragged, row_of, searched
from dien.data.tables import SPLITS, Split, SplitName, begins

DAY = 86_400
WINDOWS = 7, 28, 91
"""Days before an impression in which behaviours of the candidate's item and features are counted."""

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


class Occurrences:
    """When each value occurred.

    Args:
        value: ``[n]`` of each behaviour, >= 0.
        time: ``[n]`` seconds since 1970.
    """

    def __init__(self, value: NDArray[np.integer], time: NDArray[np.int64]) -> None:
        self._moments = np.unique(time)
        self._keys = np.sort(self._key(value, time))

    def count(
        self, value: NDArray[np.integer], time: NDArray[np.int64], days: int | None = None
    ) -> NDArray[np.int64]:
        """Count the behaviours ``[m]`` with a value before a time, strictly.

        Args:
            value: ``[m]``.
            time: ``[m]`` seconds since 1970.
            days: only so many before it, which the first second of them is in; None for all.
        """
        first = self._place(value, None if days is None else time - days * DAY)
        return self._place(value, time) - first

    def first_and_last(
        self, value: NDArray[np.integer], time: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Count the seconds ``[m]`` since the first and since the last behaviour that :meth:`count` counts.

        NaN where there is none.
        """
        begin, end = self._place(value, None), self._place(value, time)
        some = end > begin
        since = np.full((2, len(value)), np.nan)
        for row, place in zip(since, (begin, end - 1), strict=True):
            then = self._moments[self._keys[place[some]] % (len(self._moments) + 1)]
            row[some] = time[some] - then
        return since[0], since[1]

    def _place(self, value: NDArray[np.integer], time: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Find where the behaviours of each value begin that are not before a time; None for all."""
        return np.searchsorted(self._keys, self._key(value, time), "left")

    def _key(self, value: NDArray[np.integer], time: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Give one number for a value and a moment, by which both are in order."""
        moment = 0 if time is None else np.searchsorted(self._moments, time, "left")
        return value.astype(np.int64) * (len(self._moments) + 1) + moment


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
    matched = {name: _matches(dataset, name, match_history) for name in SPLITS}
    columns = list(
        chain(_match_columns(dataset, matched, counted.timed), _others(dataset, rows, counted, notes))
    )
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
    time: NDArray[np.int64]
    timed: bool


def _counted(dataset: Dataset) -> tuple[_Counted, list[str]]:
    """Choose the behaviours to count, and say what is left out."""
    behaviours, notes = dataset.behaviours, []
    time = np.asarray(behaviours.time)
    user = row_of(np.diff(behaviours.offsets))
    known = (time != NO_TIME) & (time != LATEST)
    timed = dataset.info.timed and bool(known.any())
    if timed:
        chosen = known
        if unknown := int((~known).sum()):
            notes.append(f"{unknown:,} behaviours have no time and are not counted in popularity and recency")
    else:
        chosen = _in_histories(dataset, dataset.split("train"))
        notes.append(
            "behaviours have no times: popularity is the count among the other users' training histories, "
            "and there is no age, recency or activity"
        )
    place = np.flatnonzero(chosen)
    if dataset.info.own_histories:  # the rows of a user repeat what they have in common
        moments = time[place] if timed else np.zeros(len(place), np.int64)
        whole = np.stack([user[place], behaviours.item[place], moments], axis=1)
        once = np.sort(np.unique(whole, axis=0, return_index=True)[1])
        notes.append(
            f"rows carry their own histories: of {len(place):,} behaviours the {len(once):,} that differ in "
            "user, item or time are counted in popularity and recency"
        )
        place = place[once]
    return _Counted(place, user[place], time[place], timed), notes


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


def _matches(dataset: Dataset, split: SplitName, match_history: int) -> NDArray[np.float32]:
    """Take the numbers of matches of a split, as dien's own models read them."""
    batches = Batches(dataset, split, batch_size=4096, max_history=1, match_history=match_history)
    found = np.full((batches.rows, 1 + 3 * len(dataset.schema.matched)), np.nan, np.float32)
    for batch in batches.epoch(0):
        assert batch.rows is not None
        assert batch.matches is not None
        found[batch.rows.numpy()] = batch.matches.numpy()
    return found


def _match_columns(
    dataset: Dataset, matched: dict[SplitName, NDArray[np.float32]], timed: bool
) -> Sequence[Column]:
    names = dataset.schema.matched
    labels = [("length", "length")]
    labels += [(group, f"{name}.{group}") for group in ("counts", "steps", "age") for name in names]

    def column(place: int) -> Callable[[SplitName], NDArray[np.floating]]:
        return lambda split: matched[split][:, place]

    return [
        (group, label, column(place))
        for place, (group, label) in enumerate(labels)
        if timed or group != "age"
    ]


def _others(
    dataset: Dataset, rows: dict[SplitName, _Candidates], counted: _Counted, notes: list[str]
) -> list[Column]:
    """Make the columns of popularity, recency and activity."""
    columns: list[Column] = []
    for name in dataset.schema.matched:
        values = _values(dataset, name, dataset.behaviours.item[counted.place], counted.time)
        if values is None:
            notes.append(f"{name} has several values of an item, and no popularity is counted of it")
            continue
        wanted = {
            split: _values(dataset, name, candidates.item, candidates.time)
            for split, candidates in rows.items()
        }
        columns += _popularity(name, values, wanted, rows, counted)
    if counted.timed:
        columns += [("activity", f"user.{days}d", _activity(dataset, rows, days)) for days in ACTIVE]
    return columns


def _popularity(
    name: str,
    values: NDArray[np.integer],
    wanted: dict[SplitName, NDArray[np.integer]],
    rows: dict[SplitName, _Candidates],
    counted: _Counted,
) -> list[Column]:
    """Make the columns of one name that candidates are matched by; an unknown value has no numbers."""

    def known(split: SplitName, numbers: NDArray[np.number]) -> NDArray[np.floating]:
        return np.where(wanted[split] == 0, np.nan, numbers)

    if not counted.timed:
        others = OthersTotal(values, counted.user)
        return [
            (
                "popularity",
                f"{name}.popularity",
                lambda split: known(split, others.count(wanted[split], rows[split].user)),
            )
        ]
    occurrences = Occurrences(values, counted.time)

    def count(days: int | None) -> Callable[[SplitName], NDArray[np.floating]]:
        return lambda split: known(split, occurrences.count(wanted[split], rows[split].time, days))

    def since(which: int) -> Callable[[SplitName], NDArray[np.floating]]:
        return lambda split: known(split, occurrences.first_and_last(wanted[split], rows[split].time)[which])

    columns: list[Column] = [("popularity", f"{name}.popularity", count(None))]
    columns += [("popularity", f"{name}.popularity_{days}d", count(days)) for days in WINDOWS]
    if name == "item":
        columns += [("recency", f"item.since_{what}", since(k)) for k, what in enumerate(("first", "last"))]
    return columns


def _values(
    dataset: Dataset, name: str, item: NDArray[np.integer], time: NDArray[np.int64]
) -> NDArray[np.integer] | None:
    """Take what items ``[n]`` had at some times ``[n]``: their rows, or a feature; None of several values."""
    if name == "item":
        return item
    column = dataset.items[name]
    if isinstance(column.values if isinstance(column, Changing) else column, Ragged):
        return None
    found = values_at({name: column}, item, time)[name]
    assert not isinstance(found, Ragged)
    return found


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
