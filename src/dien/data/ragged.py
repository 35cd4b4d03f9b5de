"""Rows of different lengths in numpy: a column of them (torchrec's jagged tensor), and index arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 20
"""Rows of a long column that are read at once: memory stays flat."""


@dataclass(frozen=True)
class Ragged:
    """A column with any number of values a row.

    Attributes:
        values: ``[V]`` int32, row after row.
        offsets: ``[n + 1]`` int64; row ``r`` has the values ``offsets[r] : offsets[r + 1]``.
    """

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: NDArray[np.integer]) -> Ragged:
        """Take rows ``[m]``, in their order."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        return Ragged(self.values[ranges(starts, lengths)], to_offsets(lengths))


Column = NDArray[np.int32] | NDArray[np.float32] | Ragged
"""Values of a feature ``[n]``: indices (categorical), numbers (numeric) or lists of indices (multi)."""


def to_offsets(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Turn lengths ``[R]`` into offsets ``[R + 1]``; row ``r`` owns ``offsets[r] : offsets[r + 1]``."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ranges(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Join the index ranges ``starts[r] : starts[r] + lengths[r]``, both ``[R]``.

    Returns:
        ``[N]`` int64 with ``N = lengths.sum()``.
    """
    offsets = to_offsets(lengths)
    indices = np.repeat(starts - offsets[:-1], lengths)
    indices += np.arange(offsets[-1])
    return indices


def row_of(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give the row of each of the ``N = lengths.sum()`` elements: ``[N]``."""
    return np.repeat(np.arange(len(lengths)), lengths)


def searched(
    values: NDArray[np.integer],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    wanted: NDArray[np.integer],
    side: Literal["left", "right"],
) -> NDArray[np.int64]:
    """Do what ``np.searchsorted`` does in a slice of a column for each of some values, by halving.

    Args:
        values: ``[V]``, which rise within each slice.
        begin: ``[m]`` where the slices begin.
        end: ``[m]`` where they end.
        wanted: ``[m]`` the value to place in each.
        side: ``left`` of values that are equal to it, or ``right``.

    Returns:
        ``[m]`` int64 places in the column, from ``begin`` to ``end``.
    """
    low, high = np.array(begin), np.array(end)
    while (open_ := np.flatnonzero(low < high)).size:
        middle = (low[open_] + high[open_]) // 2
        found, sought = values[middle], wanted[open_]
        before = found <= sought if side == "right" else found < sought
        low[open_] = np.where(before, middle + 1, low[open_])
        high[open_] = np.where(before, high[open_], middle)
    return low


def slices(length: int) -> Iterator[slice]:
    """Cut ``0 : length`` into slices of at most :data:`CHUNK`."""
    return (slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK))


def whole_rows(offsets: NDArray[np.int64], most: int = CHUNK) -> Iterator[slice]:
    """Cut rows with offsets ``[R + 1]`` into slices of at most so many elements, or of a longer row."""
    first, rows = 0, len(offsets) - 1
    while first < rows:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + most, "right")) - 1)
        yield slice(first, last)
        first = last
