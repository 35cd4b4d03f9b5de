"""What must hold of the values in the columns of a dataset. Each is read once, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.changing import Changing
from dien.data.features import Feature
from dien.data.ragged import Column, row_of, slices
from dien.data.tables import Split, SplitName, Tables, begins, newest_time

Wrong = Iterator[tuple[str, str]]
"""File and what is wrong in it."""


def wrong_values(data: Tables, splits: Sequence[SplitName], per_positive: int | None) -> Wrong:
    """Find what is wrong in a dataset.

    Args:
        data: the dataset; its columns have the right types and lengths.
        splits: those to read.
        per_positive: how many negatives were sampled for each positive; None where they are real.

    Yields:
        The file and what is wrong in it. What comes after the first is found on the assumption that all
        before it is right, and may not be asked for.
    """
    features = data.schema.features
    behaviours, items = data.behaviours, len(data.popularity)
    yield from wrong_features(features, "items", data.items)
    yield from wrong_features(features, "users", data.users)
    yield from wrong_features(features, "behaviours/features", behaviours.features)
    yield from _range("items/popularity.npy", data.popularity, 0)
    if data.popularity[0] != 0:
        yield "items/popularity.npy", f"row 0: {data.popularity[0]}, expected 0"

    yield from _rising("behaviours/offsets.npy", behaviours.offsets)
    yield from _range("behaviours/item.npy", behaviours.item, 1, items)
    if all(data.splits[name].start is None for name in splits):  # else each history has its own order
        yield from _times_of_rows("behaviours/time.npy", behaviours.time, behaviours.offsets)
    if (unclicked := behaviours.unclicked) is not None:
        yield from _range("behaviours/unclicked/item.npy", unclicked.item, 1, items)
        yield from _range("behaviours/unclicked/start.npy", unclicked.start, 0, len(unclicked.item) + 1)
        yield from _range("behaviours/unclicked/end.npy", unclicked.end, 0, len(unclicked.item) + 1)
        for block in slices(len(unclicked.start)):
            yield from _first(
                "behaviours/unclicked/end.npy",
                unclicked.end,
                block,
                unclicked.start[block] > unclicked.end[block],
            )
    for name in splits:
        split = data.splits[name]
        yield from _split(data, features, name, split)
        if per_positive is not None:
            yield from _sampled(name, split, per_positive)


def _split(data: Tables, features: Sequence[Feature], name: str, split: Split) -> Wrong:
    behaviours = data.behaviours
    offsets = behaviours.offsets
    yield from wrong_features(features, f"{name}/context", split.context)
    yield from _rising(f"{name}/offsets.npy", split.offsets, strictly=True)
    yield from _range(f"{name}/item.npy", split.item, 1, len(data.popularity))
    yield from _range(f"{name}/label.npy", split.label, 0, 2)
    if split.weight is not None:
        for block in slices(len(split.weight)):
            weight = split.weight[block]
            yield from _first(
                f"{name}/weight.npy", split.weight, block, ~(np.isfinite(weight) & (weight >= 0))
            )
    if split.conversion is not None:
        yield from _range(f"{name}/conversion.npy", split.conversion, -1, 2)
        for block in slices(len(split.conversion)):
            without = (split.conversion[block] != 0) & (split.label[block] == 0)
            yield from _first(f"{name}/conversion.npy", split.conversion, block, without)
    yield from _range(f"{name}/user.npy", split.user, 1, len(offsets) - 1)
    yield from _rising(f"{name}/user.npy", split.user)
    yield from _rising(f"{name}/end.npy", split.end)
    if split.start is not None:
        yield from _rising(f"{name}/start.npy", split.start)
    earlier = np.zeros(0, np.int64) if split.start is None else _earlier_than_before(behaviours.time)
    for block in slices(len(split)):
        user, end, time = split.user[block], split.end[block], split.time[block]
        first, last = offsets[user], offsets[user + 1]
        yield from _first(f"{name}/end.npy", split.end, block, (end < first) | (end > last))
        start = begins(behaviours, split, block)
        if split.start is not None:
            yield from _first(f"{name}/start.npy", split.start, block, (start < first) | (start > end))
        early = newest_time(behaviours, start, end) > time
        yield from _first(f"{name}/time.npy", split.time, block, early)
        if split.start is not None:
            inside = np.searchsorted(earlier, start + 1)  # the first of a history may be earlier
            unsorted = np.searchsorted(earlier, end) > inside
            if unsorted.any():
                at = int(earlier[inside[unsorted][0]])
                yield from _first("behaviours/time.npy", behaviours.time, slice(at, at + 1), np.array([True]))
        before = slice(max(block.start - 1, 0), block.stop)
        time, user = split.time[before], split.user[before]
        falls = (time[1:] < time[:-1]) & (user[1:] == user[:-1])
        yield from _first(f"{name}/time.npy", split.time, slice(before.start + 1, block.stop), falls)


def _sampled(name: str, split: Split, per_positive: int) -> Wrong:
    """Each impression has its positives first, then so many negatives for each."""
    for block in slices(len(split)):
        offsets = split.offsets[block.start : block.stop + 1]
        label = split.label[offsets[0] : offsets[-1]]
        lengths = np.diff(offsets)
        impression = row_of(lengths)
        positives = np.bincount(impression, label, minlength=len(lengths)).astype(np.int64)
        place = np.arange(len(label)) - (offsets[:-1] - offsets[0])[impression]
        misplaced = np.zeros(len(lengths), np.bool_)
        misplaced[impression[(place < positives[impression]) != (label == 1)]] = True
        misplaced |= positives * (1 + per_positive) != lengths
        if misplaced.any():
            row = block.start + int(misplaced.argmax())
            yield (
                f"{name}/label.npy",
                f"impression {row}: expected the positives first, then {per_positive} negatives for each",
            )


def wrong_features(features: Sequence[Feature], folder: str, table: Mapping[str, Column | Changing]) -> Wrong:
    """Find the columns of features that hold what no feature of their kind and size has.

    Args:
        features: those of the columns, and others.
        folder: the columns lie in, for the name of the file.
        table: the columns; it may lack features, as ``time_since``, which has none.

    Yields:
        As :func:`wrong_values`.
    """
    for feature in features:
        column = table.get(feature.name)
        if isinstance(column, Changing):
            yield from _rising(f"{folder}/{feature.name}.rows.npy", column.rows)
            yield from _times_of_rows(f"{folder}/{feature.name}.since.npy", column.since, column.rows)
            column = column.values
        if column is not None and not feature.fits(column):
            yield f"{folder}/{feature.files[0]}", "a value is out of range"


def _times_of_rows(file: str, time: NDArray[np.int64], offsets: NDArray[np.int64]) -> Wrong:
    """Find times ``[M]`` that fall within a row, as within the behaviours of a user."""
    begins = np.unique(offsets)
    for block in slices(len(time) - 1):
        falls = time[block.start + 1 : block.stop + 1] < time[block]
        at = begins[np.searchsorted(begins, block.start + 1) : np.searchsorted(begins, block.stop, "right")]
        falls[at - block.start - 1] = False  # another row begins
        yield from _first(file, time, slice(block.start + 1, block.stop + 1), falls)


def _earlier_than_before(time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the behaviours that are earlier than the one before, where histories have an order each."""
    blocks = slices(len(time) - 1)
    found = [b.start + 1 + np.flatnonzero(time[b.start + 1 : b.stop + 1] < time[b]) for b in blocks]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _rising(file: str, column: NDArray[np.integer], strictly: bool = False) -> Wrong:
    for block in slices(len(column) - 1):
        after, before = column[block.start + 1 : block.stop + 1], column[block]
        falls = after <= before if strictly else after < before
        yield from _first(file, column, slice(block.start + 1, block.stop + 1), falls)


def _range(file: str, column: NDArray[np.integer], least: int, size: int | None = None) -> Wrong:
    """Every value is at least ``least`` and below ``size``."""
    for block in slices(len(column)):
        values = column[block]
        if values.min() < least or (size is not None and values.max() >= size):
            yield from _first(file, column, block, (values < least) | (size is not None and values >= size))


def _first(file: str, column: NDArray[Any], block: slice, wrong: NDArray[np.bool_]) -> Wrong:
    if wrong.any():
        row = block.start + int(wrong.argmax())
        yield file, f"row {row}: {column[row]} is out of range or out of order"
