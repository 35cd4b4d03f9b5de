"""Which impressions each batch of an epoch holds: shuffled, and cut between impressions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dien.data.ragged import ranges, to_offsets
from dien.data.tables import Split

WINDOW = 2**20
"""Impressions that are permuted fully, and held in memory, at once."""
BLOCK = 256
"""Consecutive impressions that stay together in one window, where a split has several."""


class BatchSampler:
    """The impressions of each batch, as torch's sampler of this name, in any epoch at once.

    Up to ``WINDOW`` impressions an epoch is one full permutation. More are cut into blocks of about ``BLOCK``
    consecutive ones; an epoch shuffles the blocks, takes equal parts of them, of at most about ``WINDOW``
    impressions, as windows, and permutes the impressions of a window fully. So memory does not grow with the
    split, and a window reads few stretches of each file.

    How good that shuffle is: every impression is equally likely in every batch, up to the rounding of the
    cuts. Two impressions of different blocks come into one batch as often as in a full permutation, to a part
    in ``WINDOW / BLOCK`` = 4,096. Only the impressions of one block (neighbours on disk: of one user, or the
    next) meet more often: two impressions of a batch come from one block with probability
    ``(BLOCK - 1) / (W - 1)`` where windows hold ``W`` impressions (``WINDOW``, or at worst half of it just
    above the limit), in a full permutation ``(BLOCK - 1) / (impressions - 1)``. With a hundred million that
    is 1 in 4,100 instead of 1 in 390,000: a batch of 128 impressions has 2 such pairs among its 8,128. The
    impressions of a user mostly come within one window: what a model learns of a user, it learns there.

    Batches are cut between impressions: within the only window where the candidates so far pass a multiple of
    ``batch_size`` (what is left at the end, if less than half of it, joins the batch before), within one of
    many where they pass equal parts of the window. There are equally many in every epoch.

    Args:
        split: the impressions.
        batch_size: about how many candidates a batch holds, >= 1.
        seed: what shuffles follow from, >= 0.
        shuffle: whether each epoch has its own order; otherwise that on disk.
        since: only impressions at or after this time, in seconds since 1970; None for all.

    Attributes:
        rows: candidates of an epoch.
    """

    def __init__(
        self, split: Split, batch_size: int, *, seed: int = 0, shuffle: bool = False, since: int | None = None
    ) -> None:
        self._offsets, self._seed, self._shuffle = split.offsets, seed, shuffle
        self._batch_size = batch_size
        self._chosen = None if since is None else _chosen(split.time, since)
        self._impressions = len(split) if self._chosen is None else len(self._chosen)
        self.rows = len(split.item) if self._chosen is None else self._count_rows(self._chosen)
        wanted = max(1, round(self.rows / batch_size))
        self._windows = max(1, min(-(-self._impressions // WINDOW), wanted))
        self._blocks = -(-self._impressions // BLOCK)
        if self._windows == 1:
            self._batches = min(wanted, self._impressions)
        else:  # the smallest window must have an impression for each of its batches
            smallest = (self._blocks // self._windows) * (self._impressions // self._blocks)
            self._batches = min(wanted, self._windows * smallest)
        self._window = lru_cache(maxsize=2)(self._make_window)

    def __len__(self) -> int:
        return self._batches

    def window_of(self, index: int) -> int:
        """Give the window a batch is cut from; batches of a window read the same stretches of each file."""
        return ((index + 1) * self._windows - 1) // self._batches

    def batch(self, epoch: int, index: int) -> NDArray[np.int64]:
        """List the impressions of a batch.

        Args:
            epoch: number of the epoch, >= 0.
            index: ``0 <= index < len(self)``.

        Returns:
            ``[R]``.
        """
        window = self.window_of(index)
        impressions, cuts = self._window(epoch if self._shuffle else 0, window)
        place = index - window * self._batches // self._windows
        return impressions[cuts[place] : cuts[place + 1]]

    def _make_window(self, epoch: int, window: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """List the impressions ``[n]`` of a window, and its cuts into batches ``[batches + 1]``."""
        if self._windows == 1:
            impressions = np.arange(self._impressions)
            if self._shuffle:
                impressions = self._rng(epoch, 0).permutation(self._impressions)
        else:
            blocks = np.arange(self._blocks)
            if self._shuffle:
                blocks = self._rng(epoch, 0).permutation(self._blocks)
            blocks = blocks[_part(self._blocks, self._windows, window)]
            starts, ends = (which * self._impressions // self._blocks for which in (blocks, blocks + 1))
            impressions = ranges(starts, ends - starts)
            if self._shuffle:
                self._rng(epoch, 1 + window).shuffle(impressions)
        if self._chosen is not None:
            impressions = self._chosen[impressions].astype(np.int64)

        batches = len(range(self._batches)[_part(self._batches, self._windows, window)])
        shown = to_offsets(self._offsets[impressions + 1] - self._offsets[impressions])  # [n + 1] so far
        each = self._batch_size if self._windows == 1 else shown[-1] / batches
        return impressions, _cut(shown, batches, each)

    def _rng(self, epoch: int, number: int) -> np.random.Generator:
        return np.random.default_rng([0, self._seed, epoch, number])

    def _count_rows(self, chosen: NDArray[np.integer]) -> int:
        parts = (chosen[start : start + WINDOW] for start in range(0, len(chosen), WINDOW))
        return sum(int((self._offsets[part + 1] - self._offsets[part]).sum()) for part in parts)


def _part(total: int, parts: int, which: int) -> slice:
    """Cut a list of ``total`` into consecutive, equal parts, and take one."""
    return slice(which * total // parts, (which + 1) * total // parts)


def _cut(shown: NDArray[np.int64], batches: int, each: float) -> NDArray[np.int64]:
    """Cut impressions into batches of about ``each`` candidates.

    Args:
        shown: ``[n + 1]`` candidates before each impression, and of all.
        batches: how many, at most ``n``.
        each: candidates; the last batch takes what is left.

    Returns:
        ``[batches + 1]`` impressions.
    """
    impressions = len(shown) - 1
    cuts = np.searchsorted(shown[:-1], np.arange(batches + 1) * each)
    cuts[-1] = impressions
    # Impressions larger than a batch must leave none empty: every cut is past the one before.
    place = np.arange(batches + 1)
    cuts = np.maximum.accumulate(cuts - place) + place
    return np.minimum(cuts, impressions - batches + place)


def _chosen(time: NDArray[np.int64], since: int) -> NDArray[np.integer] | None:
    """List the impressions at or after a time, in the smallest integers that hold them; None for all."""
    starts = range(0, len(time), WINDOW)  # in parts: what lies between is never all in memory
    counts = [np.count_nonzero(time[start : start + WINDOW] >= since) for start in starts]
    if sum(counts) == len(time):
        return None
    chosen = np.empty(sum(counts), np.min_scalar_type(len(time)))
    ends = to_offsets(np.array(counts, np.int64))
    for k, start in enumerate(starts):
        chosen[ends[k] : ends[k + 1]] = start + np.flatnonzero(time[start : start + WINDOW] >= since)
    return chosen
