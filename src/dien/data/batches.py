"""From a dataset to batches: whole impressions, packed histories, negatives drawn anew each epoch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dien.data.batch import Batch, Columns
from dien.data.dataset import Dataset
from dien.data.negatives import PopularitySampler
from dien.data.prepared import FeatureTable, SplitName
from dien.data.ragged import ranges, row_of, to_offsets

T = TypeVar("T")


def assemble(
    items: FeatureTable,
    users: FeatureTable,
    *,
    history: NDArray[np.integer],
    offsets: NDArray[np.int64],
    target: NDArray[np.integer],
    history_of: NDArray[np.int64],
    user: NDArray[np.integer],
    context: FeatureTable,
    label: NDArray[np.int8] | None = None,
    negatives: NDArray[np.integer] | None = None,
) -> Batch:
    """Look up the features of item and user rows. Training and scoring both encode here.

    Args:
        items: item features by item row.
        users: user features by user row.
        history: ``[N]`` item rows of the behaviours, history after history.
        offsets: ``[R + 1]`` of the histories.
        target: ``[B]`` item rows of the candidates.
        history_of: ``[B]`` the history of each candidate.
        user: ``[R]`` user rows.
        context: ``[R]`` context features, as indices.
        label: ``[B]``.
        negatives: ``[N]`` item rows, one other than each behaviour.
    """
    return Batch(
        history=_gather(items, history),
        offsets=torch.from_numpy(offsets),
        history_of=torch.from_numpy(history_of),
        target=_gather(items, target),
        user=_gather(users, user),
        context={name: torch.from_numpy(column.astype(np.int64)) for name, column in context.items()},
        label=None if label is None else torch.from_numpy(label.astype(np.float32)),
        negatives=None if negatives is None else _gather(items, negatives),
        user_row=torch.from_numpy(user.astype(np.int64)),
    )


class Batches:
    """The batches of a split.

    A batch depends on the seed, its epoch and its index alone: a run that stopped goes on with the next
    index. Batches are cut between impressions, where the candidates so far pass a multiple of
    ``batch_size``; what is left at the end, if less than half of it, joins the batch before. There are
    equally many in every epoch.

    Args:
        dataset: where from.
        split: the rows of which split.
        batch_size: about how many candidates each holds.
        max_history: newest behaviours of each history.
        seed: order and drawn negatives follow from it, >= 0.
        shuffle: whether each epoch has its own order; otherwise that on disk.
        negatives: ``redrawn`` replaces the sampled negatives of training rows in each epoch; real negatives,
            and those of validation and test, are always as ``stored``.
        auxiliary: whether each behaviour gets a negative for the auxiliary loss, drawn anew in each epoch.

    Raises:
        ValueError: ``batch_size`` or ``max_history`` is below 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: SplitName,
        *,
        batch_size: int,
        max_history: int,
        seed: int = 0,
        shuffle: bool = False,
        negatives: Literal["redrawn", "stored"] = "stored",
        auxiliary: bool = False,
    ) -> None:
        if batch_size < 1 or max_history < 1:
            raise ValueError(f"batch_size {batch_size} and max_history {max_history} must be at least 1")
        self._dataset = dataset
        self._split = dataset.splits[split]
        self._batch_size = batch_size
        self._max_history = max_history
        self._seed = seed
        self._shuffle = shuffle
        self._redraw = negatives == "redrawn" and split == "train" and dataset.negatives_sampled
        self._auxiliary = auxiliary
        self._sampler = PopularitySampler(dataset.popularity) if self._redraw or auxiliary else None
        wanted = max(1, round(len(self._split.item) / batch_size))
        self._length = min(wanted, len(self._split))
        self._plan = lru_cache(maxsize=1)(self._make_plan)

    def __len__(self) -> int:
        return self._length

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Go through an epoch, from the batch ``start`` on."""
        return (self.batch(epoch, index) for index in range(start, len(self)))

    def batch(self, epoch: int, index: int) -> Batch:
        """Build one batch.

        Args:
            epoch: number of the epoch, >= 0.
            index: ``0 <= index < len(self)``.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        behaviours, split = self._dataset.behaviours, self._split
        order, cuts = self._plan(epoch if self._shuffle else 0)
        chosen = np.arange(cuts[index], cuts[index + 1])  # [R] impressions
        if order is not None:
            chosen = order[chosen]

        user, end = split.user[chosen], split.end[chosen]
        start = np.maximum(behaviours.offsets[user], end - self._max_history)
        history = behaviours.item[ranges(start, end - start)]  # [N]

        shown = split.offsets[chosen + 1] - split.offsets[chosen]  # [R] candidates of each
        candidate = ranges(split.offsets[chosen], shown)  # [B]
        history_of = row_of(shown)
        target, label = split.item[candidate], split.label[candidate]

        rng = np.random.default_rng([1, self._seed, epoch, index])
        if self._sampler and self._redraw:
            clicked = label == 1
            target[~clicked] = self._sampler.draw_outside(
                rng, history_of[~clicked], history_of[clicked], target[clicked]
            )
        return assemble(
            self._dataset.items,
            self._dataset.users,
            history=history,
            offsets=to_offsets(end - start),
            target=target,
            history_of=history_of,
            user=user,
            context={name: column[chosen] for name, column in split.context.items()},
            label=label,
            negatives=self._sampler.draw_other_than(rng, history)
            if self._sampler and self._auxiliary
            else None,
        )

    def _make_plan(self, epoch: int) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
        """Order the impressions ``[I]`` (None as on disk) and cut them into batches: ``[batches + 1]``."""
        impressions, batches = len(self._split), len(self)
        order, starts = None, self._split.offsets[:-1]  # starts [I]: candidates before each impression
        if self._shuffle:
            order = np.random.default_rng([0, self._seed, epoch, 0]).permutation(impressions)
            starts = to_offsets(np.diff(self._split.offsets)[order])[:-1]
        cuts = np.searchsorted(starts, np.arange(batches + 1) * self._batch_size)
        cuts[-1] = impressions
        # Impressions larger than a batch must leave none empty: every cut is past the one before.
        place = np.arange(batches + 1)
        cuts = np.maximum.accumulate(cuts - place) + place
        return order, np.minimum(cuts, impressions - batches + place)


@contextmanager
def core_for_prefetch() -> Iterator[None]:
    """Leave one core to the thread that builds batches.

    torch's threads wait for each other at every operation: one that shares its core holds all of them up, for
    milliseconds where the work takes microseconds.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, min(threads, (os.cpu_count() or 1) - 1)))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def prefetch(batches: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Build up to ``depth >= 1`` batches ahead in one thread, in order; what it raises is raised here."""
    iterator, done = iter(batches), object()
    with ThreadPoolExecutor(1) as worker:
        ahead: deque[Future[T | object]] = deque(worker.submit(next, iterator, done) for _ in range(depth))
        while (batch := ahead.popleft().result()) is not done:
            ahead.append(worker.submit(next, iterator, done))
            yield batch  # type: ignore[misc]  # not the sentinel


def _gather(table: FeatureTable, rows: NDArray[np.integer]) -> Columns:
    return {name: torch.from_numpy(column[rows].astype(np.int64)) for name, column in table.items()}
