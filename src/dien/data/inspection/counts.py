"""Count what is in a split: one pass over its memory-mapped columns, some million rows at a time.

Memory grows with items, users and vocabularies, never with behaviours, impressions or rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dien.data.changing import Changing, entry_at
from dien.data.dataset import Dataset
from dien.data.features import Feature, Side
from dien.data.features.columns import rows_of
from dien.data.ragged import Column, slices
from dien.data.tables import Behaviours, Split, SplitName, begins, newest_time

T = TypeVar("T")
Place = Literal["target", "history", "user", "context"]
"""Where a feature's values are: of a row's candidate, of a step of a history, of an impression's user or
of its context. A step counts once for each impression in whose history it is."""


class FeatureCounts:
    """What a feature holds in one place of a split, counted part by part.

    Attributes:
        feature: the feature.
        place: where its values are.
        split: in which split.
        rows: how many rows were counted.
        unknown: of them, those whose index is 0, whose list has no known value, or whose number is missing.
        counts: ``[size]`` how often each index occurred, in lists too; 0 for numbers.
    """

    def __init__(self, feature: Feature, place: Place, split: SplitName) -> None:
        self.feature, self.place, self.split = feature, place, split
        self.rows = self.unknown = 0
        self.counts = np.zeros(feature.size, np.int64)
        self._moments: list[float] = []  # sum and sum of squares, of numbers alone

    def add(self, column: Column, weight: NDArray[np.int64]) -> None:
        """Count a column ``[n]``, each row as often as ``weight [n]`` says."""
        kind = self.feature.stored
        known = kind.known(column)
        if (indices := kind.indices(column, weight)) is not None:
            values, times = indices
            # bincount sums weights as float64, exactly up to 2^53
            self.counts += np.bincount(values, times, minlength=len(self.counts)).astype(np.int64)
        if (moments := kind.moments(column, weight)) is not None:
            self._moments = [a + b for a, b in zip(self._moments or (0.0, 0.0), moments, strict=True)]
        self.rows += int(weight.sum())
        self.unknown += int(weight[~known].sum())

    def add_table(self, column: Column, weight: NDArray[np.int64]) -> None:
        """Count a column of items or users ``[n]``, in parts."""
        for rows in slices(len(weight)):
            self.add(rows_of(column, rows), weight[rows])

    def mean_and_std(self) -> tuple[float, float] | tuple[None, None]:
        """Mean and standard deviation of the numbers that are known."""
        known = self.rows - self.unknown
        if not self._moments or not known:
            return None, None
        mean = self._moments[0] / known
        return mean, float(max(0.0, self._moments[1] / known - mean**2) ** 0.5)


@dataclass(frozen=True)
class SplitCounts:
    """What one pass over a split counts.

    Attributes:
        items: ``[items]`` rows of each item as a candidate.
        clicks: ``[items]`` of them, those that were clicked.
        users: ``[users]`` impressions of each.
        user_rows: ``[users]`` rows of each.
        leaks: impressions whose history is not strictly before them.
        times: the first and the last, None where there is no impression.
        features: of every feature, in each place.
    """

    items: NDArray[np.int64]
    clicks: NDArray[np.int64]
    users: NDArray[np.int64]
    user_rows: NDArray[np.int64]
    leaks: int
    times: tuple[int, int] | None
    features: list[FeatureCounts]


def count_split(dataset: Dataset, name: SplitName) -> SplitCounts:
    """Count a split: its rows, its impressions, and the behaviours of its histories."""
    split, behaviours = dataset.splits[name], dataset.behaviours
    n_items, n_users = len(dataset.popularity), len(behaviours.offsets) - 1

    def counts_of(side: Side, place: Place, table: Mapping[str, T]) -> list[tuple[FeatureCounts, T]]:
        features = [feature for feature in dataset.schema.of(side) if feature.name in table]
        return [(FeatureCounts(feature, place, name), table[feature.name]) for feature in features]

    items, clicks = np.zeros((2, n_items), np.int64)
    for rows in slices(len(split.item)):
        items += np.bincount(split.item[rows], minlength=n_items)
        clicks += np.bincount(split.item[rows][split.label[rows] != 0], minlength=n_items)

    users, user_rows = np.zeros((2, n_users), np.int64)
    contexts = counts_of("context", "context", split.context)
    leaks, times = 0, []
    for rows in slices(len(split)):
        part = replace(split, user=split.user[rows], end=split.end[rows], time=split.time[rows])
        shown = np.diff(split.offsets[rows.start : rows.stop + 1])
        users += np.bincount(part.user, minlength=n_users)
        user_rows += np.bincount(part.user, shown, minlength=n_users).astype(np.int64)
        newest = newest_time(behaviours, begins(behaviours, split, rows), part.end)
        leaks += int((newest >= part.time).sum())
        times += [int(part.time.min()), int(part.time.max())]
        for counts, column in contexts:
            counts.add(rows_of(column, rows), np.ones(len(part), np.int64))

    history_items = np.zeros(n_items, np.int64)
    own = counts_of("behaviour", "history", behaviours.features)
    for rows in slices(len(behaviours.item)):
        weight = _occurrences(behaviours, split, rows)
        history_items += np.bincount(behaviours.item[rows], weight, minlength=n_items).astype(np.int64)
        for counts, column in own:
            counts.add(rows_of(column, rows), weight)

    targets = counts_of("item", "target", dataset.items)
    histories = counts_of("item", "history", dataset.items)
    owners = counts_of("user", "user", dataset.users)
    for counted, weight in ((targets, items), (histories, history_items), (owners, users)):
        for of_side, values in counted:
            if isinstance(values, Changing):
                of_side.add_table(values.values, _entries(values, of_side.place, behaviours, split))
            else:
                of_side.add_table(values, weight)
    return SplitCounts(
        items=items,
        clicks=clicks,
        users=users,
        user_rows=user_rows,
        leaks=leaks,
        times=(min(times), max(times)) if times else None,
        features=[counts for counts, _ in (*targets, *histories, *own, *owners, *contexts)],
    )


def _entries(column: Changing, place: Place, behaviours: Behaviours, split: Split) -> NDArray[np.int64]:
    """Count how often each value ``[S]`` of a changing feature holds in a place of a split."""
    counts = np.zeros(len(column.since), np.int64)

    def count(rows: NDArray[np.integer], times: NDArray[np.int64], weight: NDArray[np.int64] | None) -> None:
        entry = entry_at(column.since, column.rows, rows, times)
        counts[:] += np.bincount(entry, weight, len(counts)).astype(np.int64)

    if place == "history":
        for rows in slices(len(behaviours.item)):
            weight = _occurrences(behaviours, split, rows)
            count(behaviours.item[rows], behaviours.time[rows], weight)
        return counts
    for rows in slices(len(split)):
        if place == "user":
            count(split.user[rows], split.time[rows], None)
            continue
        offsets = split.offsets[rows.start : rows.stop + 1]
        count(split.item[offsets[0] : offsets[-1]], np.repeat(split.time[rows], np.diff(offsets)), None)
    return counts


def _occurrences(behaviours: Behaviours, split: Split, rows: slice) -> NDArray[np.int64]:
    """Count the histories of a split that hold each of some behaviours.

    Impressions are in order of user and of end: behaviour ``k`` of user ``u`` is in the histories of those of
    users up to ``u`` (where they say where they begin, of those that begin by ``k``), less those that end by
    ``k``.

    Returns:
        ``[rows]`` int64.
    """
    ended = np.searchsorted(split.end, np.arange(rows.start, rows.stop, dtype=np.int64), "right")
    if split.start is not None:
        return np.searchsorted(split.start, np.arange(rows.start, rows.stop, dtype=np.int64), "right") - ended
    first = int(np.searchsorted(behaviours.offsets, rows.start, "right")) - 1
    last = int(np.searchsorted(behaviours.offsets, rows.stop, "left"))
    edges = np.clip(behaviours.offsets[first : last + 1], rows.start, rows.stop)
    # keys of the column's own type: searchsorted would copy the column to widen it
    begun = np.searchsorted(split.user, np.arange(first, last, dtype=np.int32), "right")
    return np.repeat(begun, edges[1:] - edges[:-1]) - ended


def lengths_of(offsets: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Lengths of slices, from offsets ``[n + 1]``, in parts."""
    return (np.diff(offsets[rows.start : rows.stop + 1]) for rows in slices(len(offsets) - 1))
