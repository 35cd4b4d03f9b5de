"""Scores and their weights in unnamed temporary files: sorted there, and read in parts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 14
OF_SCORE = np.uint64(0xFFFFFFFF)
"""In a key, the bits of the weight: all below those of the score."""


class Spool:
    """Scores of one label in a temporary file, 4 bytes each; 8 bytes with weights.

    Attributes:
        rows: how many.
    """

    def __init__(self) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # removed when closed or killed
        self.rows = 0
        self._sorted: NDArray[Any] | None = None

    def write(self, scores: NDArray[np.float32], weights: NDArray[np.float64] | None) -> None:
        """Add scores ``[n]``; weights are given always or never."""
        kept: NDArray[Any] = scores if weights is None else _keys(scores, weights)
        self._file.write(kept.tobytes())
        self.rows += len(kept)
        self._kind = kept.dtype

    def sorted(self) -> NDArray[Any]:
        """Sort in place, in the file: the pages are the system's to keep in memory or not.

        Returns:
            The scores, rising; with weights keys that rise with the score. Nothing is written afterwards.
        """
        if not self.rows:
            return np.empty(0, np.float32)
        if self._sorted is None:
            self._file.flush()
            self._sorted = np.memmap(self._file, self._kind, "r+")
            self._sorted.sort()
        return self._sorted

    def parts(
        self, rows: slice = slice(None)
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64] | None]]:
        """Read sorted scores and their weights ``[n]``, None without, a part at a time."""
        found = self.sorted()[rows]
        for start in range(0, len(found), CHUNK):
            part = found[start : start + CHUNK]
            if part.dtype == np.uint64:
                yield scores_of(part).astype(np.float64), weights_of(part)
            else:
                yield part.astype(np.float64), None


def rows_of(
    others: Spool,
    clicks: Spool,
    some: tuple[slice, slice] = (slice(None), slice(None)),
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Read the label, the scores ``[n]`` and the weights ``[n]`` of rows in parts, each of one label.

    Args:
        others: scores of the rows that were not clicked.
        clicks: of those that were.
        some: which rows of both, by their order.
    """
    for clicked, (spool, rows) in enumerate(zip((others, clicks), some, strict=True)):
        for scores, weights in spool.parts(rows):
            yield clicked, scores, np.ones(len(scores)) if weights is None else weights


def _keys(scores: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Put score and weight of each row into one number that rises with the score, so that both are sorted."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0 is level with 0
    rising = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))
    keys: NDArray[np.uint64] = rising.astype(np.uint64) << np.uint64(32)
    return keys | weights.astype(np.float32).view(np.uint32)


def scores_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Take the scores out of keys."""
    rising = (keys >> np.uint64(32)).astype(np.uint32)
    top = np.uint32(1 << 31)
    bits: NDArray[np.uint32] = np.where(rising & top, rising ^ top, ~rising)
    return bits.view(np.float32)


def weights_of(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Take the weights out of keys."""
    return keys.astype(np.uint32).view(np.float32).astype(np.float64)
