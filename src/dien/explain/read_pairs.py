"""What the behaviours of a batch are to its candidates: at which place, how old, of the same item or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dien.data.batch import Batch
from dien.data.dataset import Dataset
from dien.data.history_filter import wanted_values
from dien.data.matches import NO_TIME
from dien.data.ragged import Column, Ragged, ranges, row_of
from dien.data.tables import Split

SAME_ITEM, SAME_CATEGORY, OTHER = KINDS = "same item", "same category", "other"
"""What a behaviour may be to a candidate. Of the same category is another item."""


@dataclass(frozen=True)
class ReadPairs:
    """The pairs ``[P]`` of rows and behaviours of a batch, row after row, oldest behaviour first.

    Attributes:
        clicked: ``[B]`` 1 where the row was clicked.
        row: ``[P]``.
        position: ``[P]`` from the end of the history, from 1. Behaviours that are not read, as ``filter_by``
            leaves them out, count too.
        age: ``[P]`` seconds, -1 where it is not known.
        kind: ``[P]`` place in :data:`KINDS`.
    """

    clicked: NDArray[np.float64]
    row: NDArray[np.int64]
    position: NDArray[np.int64]
    age: NDArray[np.int64]
    kind: NDArray[np.int64]

    @classmethod
    def of(cls, batch: Batch, dataset: Dataset, split: Split, by: str | None) -> ReadPairs:
        """Look up what the behaviours of a batch are to its rows."""
        assert batch.rows is not None
        assert batch.places is not None
        assert batch.label is not None
        behaviours, items = dataset.behaviours, dataset.items
        offsets, history_of = batch.offsets.numpy(), batch.history_of.numpy()
        place, rows = batch.places.numpy(), batch.rows.numpy()  # [N], [B]
        lengths = np.diff(offsets)[history_of]  # [B]
        row, step = row_of(lengths), ranges(offsets[history_of], lengths)  # [P]
        impression = np.searchsorted(split.offsets, rows, "right") - 1  # [B]
        position = split.end[impression][row] - place[step]
        now = split.time[impression]
        then = behaviours.time[place]  # [N]
        known = (then != NO_TIME)[step] & dataset.info.timed
        age = np.where(known, np.maximum(now[row] - then[step], 0), -1)
        target, history = split.item[rows], behaviours.item[place]
        same_item = (target[row] == history[step]) & (target != 0)[row]
        kind = np.full(len(row), KINDS.index(OTHER))
        if by is not None:
            wanted = wanted_values(by, items, target, now)
            same = _in_common(wanted, wanted_values(by, items, history, then), row, step)
            kind[same] = KINDS.index(SAME_CATEGORY)
        kind[same_item] = KINDS.index(SAME_ITEM)
        return cls(batch.label.numpy().astype(np.float64), row, position, age, kind)


def _in_common(
    targets: Column, behaviours: Column, row: NDArray[np.int64], step: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Mark the pairs ``[P]`` whose row and behaviour have a value in common that is not unknown (0)."""
    if not isinstance(targets, Ragged):
        values = np.asarray(targets)
        return np.asarray((values[row] == np.asarray(behaviours)[step]) & (values != 0)[row])
    assert isinstance(behaviours, Ragged)
    of_steps = behaviours[step]
    width = 1 + max(int(targets.values.max(initial=0)), int(behaviours.values.max(initial=0)))
    counts = np.diff(of_steps.offsets)
    wanted = row_of(np.diff(targets.offsets)) * width + targets.values
    found = np.isin(row[row_of(counts)] * width + of_steps.values, wanted) & (of_steps.values != 0)
    return np.bincount(row_of(counts)[found], minlength=len(row)) > 0
