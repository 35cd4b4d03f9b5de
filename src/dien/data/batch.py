"""A batch: what the data hands to a model, in training and in serving alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.data.ragged import to_offsets, whole_rows
from dien.packed import Packed

Values = Tensor | Packed
Columns = dict[str, Values]
"""Feature name -> values, one for each item, user or impression: int64 indices (categorical), float32
numbers, NaN where missing (numeric), or packed int64 indices (multi)."""


def match_numbers(names: int) -> int:
    """Count the numbers of a candidate that is matched by so many names (:attr:`Batch.matches`)."""
    return 1 + 3 * names


WINDOWS = 7, 28, 91
"""Days before an impression in which popularity is counted, beside all time."""


def popularity_numbers(names: int) -> int:
    """Count the numbers of a candidate's popularity by so many names (:attr:`Batch.popularity`)."""
    return (1 + len(WINDOWS)) * names + 2


STEPS_AT_ONCE = 1 << 20
"""Steps that the candidates scored at once read at most, all together: a gigabyte of a DIEN of hidden 36."""


ENTRIES_AT_ONCE = 1 << 22
"""Behaviours that are searched at once for steps and matches, at most: some hundred bytes each, where a step
takes a thousand. By default it is more than 4,096 histories have."""


def rows_at_once(most: int, max_history: int, longest: int) -> int:
    """Bound the candidates that are scored at once: memory does not grow with the length of histories.

    Args:
        most: candidates where histories are short.
        max_history: behaviours that each reads at most.
        longest: behaviours that are searched for these and for matches, at most.

    Returns:
        From 1 to ``most``.
    """
    return max(1, min(most, STEPS_AT_ONCE // max_history, ENTRIES_AT_ONCE // longest))


def candidates_at_once(
    counts: NDArray[np.integer], lengths: NDArray[np.integer], most: int, max_history: int
) -> Iterator[slice]:
    """Cut the candidates of ``R`` requests so that memory is bounded, however many and long they are.

    Args:
        counts: ``[R]`` candidates of each request.
        lengths: ``[R]`` behaviours of each that are searched; its candidates share them.
        most: candidates at once where histories are short.
        max_history: behaviours that each reads at most.

    Returns:
        Slices of the candidates, in order.
    """
    at_once = rows_at_once(most, max_history, 1)
    if 0 < (all_of_them := int(counts.sum())) <= at_once and lengths.sum() <= ENTRIES_AT_ONCE:
        yield slice(0, all_of_them)
        return
    ends = to_offsets(counts)
    for requests in whole_rows(to_offsets(lengths), ENTRIES_AT_ONCE):
        end = int(ends[requests.stop])
        for start in range(int(ends[requests.start]), end, at_once):
            yield slice(start, min(start + at_once, end))


@dataclass(frozen=True)
class Batch:
    """``B`` candidates over ``R`` shared, packed histories of ``N`` behaviours in all.

    Attributes:
        history: item and behaviour features ``[N]``, history after history, oldest first.
        offsets: ``[R + 1]`` int64; history ``r`` is the steps ``offsets[r] : offsets[r + 1]``.
        history_of: ``[B]`` int64, the history (and user, and context) of each candidate.
        target: item features ``[B]`` of the candidates.
        user: user features ``[R]``.
        context: features ``[R]`` of the impression; empty where the data has none.
        label: ``[B]`` float32, 1 clicked and 0 not; None when scoring.
        negatives: item features ``[N]``, for each behaviour an item other than it (auxiliary loss, eq. 6);
            None when scoring.
        supervised: ``[N]`` bool, the behaviours that the auxiliary loss has states predict; None for all of
            them.
        shown: whether the candidates without a click were shown to their users; else they were sampled.
        weight: ``[B]`` float32, how much each candidate counts in the loss and the metrics, over the mean of
            the training rows; None where all count alike.
        matches: ``[B, 1 + 3 F]`` float32, how often the longer history has what each candidate has, and how
            long ago (:func:`dien.data.matches.matches_of`); None where no model asks for them.
        popularity: ``[B, 4 F + 2]`` float32, how often everyone had what each candidate has before the
            impression (:meth:`dien.data.popularity.Popularity.numbers`); None likewise.
        conversion: ``[B]`` float32, 1 where a click led to what it is for, 0 where not (so without a click),
            NaN where that is not known; None where the data does not say, and when scoring.
        user_row: ``[R]`` int64, the dataset's row of each user, by which GAUC groups: as a feature, users who
            are not in train are all alike. No model reads it.
        rows: ``[B]`` int64, the row of each candidate in its split, as of its ``label.npy``:
            whatever else is known of a row is found by it. A negative that was drawn anew has the row of the
            one it stands for. None when scoring. No model reads it.
        places: ``[N]`` int64, where each behaviour stands among those of the dataset: whatever else is known
            of it is found by it. None when scoring. No model reads it.
    """

    history: Columns
    offsets: Tensor
    history_of: Tensor
    target: Columns
    user: Columns
    context: Columns
    label: Tensor | None = None
    negatives: Columns | None = None
    user_row: Tensor | None = None
    rows: Tensor | None = None
    places: Tensor | None = None
    weight: Tensor | None = None
    conversion: Tensor | None = None
    matches: Tensor | None = None
    popularity: Tensor | None = None
    supervised: Tensor | None = None
    shown: bool = False

    def __len__(self) -> int:
        return self.history_of.shape[0]

    def __repr__(self) -> str:
        histories, behaviours = self.offsets.shape[0] - 1, sum(self.offsets[-1:].tolist())
        given = [name for name in ("label", "negatives") if getattr(self, name) is not None]
        return (
            f"Batch({len(self)} candidates, {histories} histories of {behaviours} behaviours in all"
            f"{', with ' + ' and '.join(given) if given else ''})"
        )

    def to(self, device: torch.device | str) -> Batch:
        """Copy to a device."""

        def move(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: move(column) for name, column in value.items()}
            if isinstance(value, Packed):
                return Packed(value.values.to(device), value.offsets.to(device))
            return value.to(device) if isinstance(value, Tensor) else value

        return Batch(**{field.name: move(getattr(self, field.name)) for field in fields(self)})
