"""Index arithmetic on slices of different lengths, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
    """Name the row ``r`` that owns each of the ``N = lengths.sum()`` elements."""
    return np.repeat(np.arange(len(lengths)), lengths)
