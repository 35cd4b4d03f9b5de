"""Random numbers by key: the same whichever keys are asked for together, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)


class RandomStreams:
    """A stream of random numbers for each of some keys, SplitMix64's (Steele et al., 2014).

    A key's numbers follow from the seed and the key alone, and memory holds one number for each key at hand:
    what is drawn for each of a billion behaviours stays the same without an array of them all.

    Args:
        seed: what all streams follow from: a number >= 0, or several.
        keys: ``[n]`` integers; equal keys have equal streams.
    """

    def __init__(self, seed: int | Sequence[int], keys: NDArray[np.integer]) -> None:
        start = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        self._state = _mixed(keys.astype(np.uint64) + start)  # [n], far from each other for neighbours too

    def integers(self, high: int, which: NDArray[np.integer]) -> NDArray[np.int64]:
        """Draw the next integer of some streams, every one below ``high`` exactly as likely.

        Args:
            high: ``1 <= high <= 2**63``.
            which: ``[m]`` streams by their places among the keys, each at most once.

        Returns:
            ``[m]`` ``>= 0`` and ``< high``.
        """
        bits = self._bits(which)
        most = np.uint64(2**64 - 2**64 % high - 1)  # what is above would make the small ones likelier
        while len(above := np.flatnonzero(bits > most)):
            bits[above] = self._bits(which[above])
        drawn: NDArray[np.int64] = (bits % np.uint64(high)).astype(np.int64)
        return drawn

    def random(self, which: NDArray[np.integer]) -> NDArray[np.float64]:
        """Draw the next number of some streams, uniform in [0, 1); arguments as :meth:`integers`."""
        drawn: NDArray[np.float64] = (self._bits(which) >> np.uint64(11)) * 2.0**-53
        return drawn

    def _bits(self, which: NDArray[np.integer]) -> NDArray[np.uint64]:
        self._state[which] += _STEP
        return _mixed(self._state[which])


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of ``x [n]``, one to one."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
