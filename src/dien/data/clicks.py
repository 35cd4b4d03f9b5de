"""Clicks and the behaviours around them: which clicks repeat, and which steps of histories are targets.

Both are counted over whole users, some million behaviours at a time: memory grows with the behaviours of one
user, never with those of all. Behaviours are sorted by item once, so that time grows a little faster than
their number, however many a user has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset import Dataset
from dien.data.ragged import searched, slices, whole_rows
from dien.data.tables import Behaviours, Split, SplitName, begins


def repeated_clicks(dataset: Dataset, name: SplitName) -> int:
    """Count the clicks whose item is in the history before them, however long that is.

    Args:
        dataset: where from.
        name: of the split.

    Returns:
        How many of the split's rows that were clicked.
    """
    behaviours, split = dataset.behaviours, dataset.split(name)
    repeated = 0
    for users in whole_rows(behaviours.offsets):
        of_items = _ByItem.of(behaviours, users)
        for impression, item in _clicks(split, users):
            begin, end = begins(behaviours, split, impression), split.end[impression]
            repeated += int(np.count_nonzero(of_items.before(item, begin) < of_items.before(item, end)))
    return repeated


def training_targets(dataset: Dataset) -> NDArray[np.bool_] | None:
    """Mark the behaviours that are training targets of their own.

    A behaviour is a target if it is the one that a training click has become: one of the click's user and
    item, not before the end of the click's history, and of the same second as the first such one. Where
    impressions are named, that second may be later than theirs. Where histories hold a log of their own, it
    must be the impression's: what a user buys a day after the click is another event.

    Args:
        dataset: where from; its train split is read, and no other.

    Returns:
        A mark for each behaviour of the dataset; None where rows carry their own histories, whose steps are
        no events of the log.
    """
    if dataset.info.own_histories:
        return None
    behaviours = dataset.behaviours
    marked = np.zeros(len(behaviours.item), np.bool_)
    for users in whole_rows(behaviours.offsets):
        of_items = _ByItem.of(behaviours, users)
        marked[of_items.places] = _are_targets(dataset, users, of_items)
    return marked


def steps_as_targets(dataset: Dataset, max_history: int) -> float | None:
    """Find which share of the steps of training histories are training targets of their own.

    The auxiliary loss teaches a model to tell each step from another item. Where the step is a target, too,
    the target's loss teaches the same. It is 0 where only the last behaviour of each user is a target, and 1
    where each behaviour was clicked in some row of train.

    A step is a behaviour among the newest ``max_history`` of some training impression, and counts once,
    whatever the number of these. What a target is says :func:`training_targets`.

    Args:
        dataset: where from; its train split is read, and no other.
        max_history: newest behaviours of each history that are read, as ``model.max_history``, at least 1.

    Returns:
        The share; None where no training history has a step, and where rows carry their own histories, whose
        steps are no events of the log.

    Raises:
        ValueError: ``max_history`` is below 1.
    """
    if max_history < 1:
        raise ValueError(f"max_history is {max_history}, expected at least 1")
    if dataset.info.own_histories:
        return None
    behaviours, split = dataset.behaviours, dataset.split("train")
    steps = targets = 0
    for users in whole_rows(behaviours.offsets):
        of_items = _ByItem.of(behaviours, users)
        read = _read(behaviours, split, users, max_history)
        steps += int(np.count_nonzero(read))
        is_target = _are_targets(dataset, users, of_items)
        targets += int(np.count_nonzero(read[of_items.places - of_items.first] & is_target))
    return targets / steps if steps else None


@dataclass(frozen=True)
class _ByItem:
    """The behaviours of some users in order of item, those of an item in order of place.

    Attributes:
        first: place of the first of them among all behaviours.
        keys: ``[n]`` int64, item times ``width`` plus how many places after ``first``.
        width: above every difference of two places.
    """

    first: int
    keys: NDArray[np.int64]
    width: int

    @classmethod
    def of(cls, behaviours: Behaviours, users: slice) -> _ByItem:
        """Sort the behaviours of users, who follow each other."""
        first, last = int(behaviours.offsets[users.start]), int(behaviours.offsets[users.stop])
        width = last - first + 1
        keys = behaviours.item[first:last].astype(np.int64) * width + np.arange(last - first)
        keys.sort()
        return cls(first, keys, width)

    @property
    def places(self) -> NDArray[np.int64]:
        """The places ``[n]`` among all behaviours, in this order."""
        return self.first + self.keys % self.width

    def before(self, item: NDArray[np.integer], place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the behaviours that stand, in this order, before some items and places ``[m]``."""
        return np.searchsorted(self.keys, item.astype(np.int64) * self.width + (place - self.first))


def _clicks(split: Split, users: slice) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Find the clicks of users, in parts: impression ``[m]`` and item ``[m]`` of each."""
    # keys of the column's own type: searchsorted would copy the column to widen it
    first, last = np.searchsorted(split.user, np.array([users.start, users.stop], split.user.dtype))
    begin, end = int(split.offsets[first]), int(split.offsets[last])
    for rows in slices(end - begin):
        label = split.label[begin + rows.start : begin + rows.stop]
        clicked = begin + rows.start + np.flatnonzero(label)
        yield np.searchsorted(split.offsets, clicked, "right") - 1, split.item[clicked]


def _are_targets(dataset: Dataset, users: slice, of_items: _ByItem) -> NDArray[np.bool_]:
    """Tell which behaviours of users, in order of item, are targets (:func:`training_targets`)."""
    behaviours, split = dataset.behaviours, dataset.split("train")
    same_second = dataset.info.recipe.history == "behaviours"
    length = len(of_items.keys) + 1
    change = np.zeros(length, np.int64)  # +1 where a run of targets begins by item, -1 behind it
    for impression, item in _clicks(split, users):
        first, behind = _become(behaviours, split, of_items, impression, item, same_second)
        change += np.bincount(first, minlength=length) - np.bincount(behind, minlength=length)
    return np.cumsum(change[:-1]) > 0


def _read(behaviours: Behaviours, split: Split, users: slice, max_history: int) -> NDArray[np.bool_]:
    """Mark the behaviours ``[n]`` of users that some history of a split holds as one of its newest.

    Impressions are in order of user and of end. Of those that end after a behaviour the first ends, and so
    begins, the earliest: if its history does not hold the behaviour, no other does.
    """
    place = np.arange(behaviours.offsets[users.start], behaviours.offsets[users.stop], dtype=np.int64)
    # keys of the column's own type: searchsorted would copy the column to widen it
    first, last = np.searchsorted(split.user, np.array([users.start, users.stop], split.user.dtype))
    end = split.end[first:last]
    begin = np.maximum(begins(behaviours, split, np.arange(first, last)), end - max_history)
    after = np.searchsorted(end, place, "right")
    return np.append(begin, np.iinfo(np.int64).max)[after] <= place


def _become(
    behaviours: Behaviours,
    split: Split,
    of_items: _ByItem,
    impression: NDArray[np.int64],
    item: NDArray[np.int32],
    same_second: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the behaviours that clicks ``[m]`` have become, as ranges in the order of items.

    Args:
        behaviours: of all users.
        split: the impressions.
        of_items: the behaviours of the clicks' users.
        impression: of each click.
        item: of each click.
        same_second: whether behaviours must be of the second of the impression.

    Returns:
        Where each range begins and ends ``[found]``; clicks that no behaviour is of have none.
    """
    last = behaviours.offsets[split.user[impression].astype(np.int64) + 1]
    first = of_items.before(item, split.end[impression])
    found = np.flatnonzero(first < of_items.before(item, last))
    place = of_items.first + of_items.keys[first[found]] % of_items.width
    second = behaviours.time[place]
    if same_second:
        same = second == split.time[impression[found]]
        found, place, second = found[same], place[same], second[same]
    behind = searched(behaviours.time, place, last[found], second, "right")
    return first[found], of_items.before(item[found], behind)
