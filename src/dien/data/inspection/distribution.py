"""Distributions of counts: quantiles, concentration, and the distance of two (PSI, Jensen-Shannon)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTS = (0, 10, 25, 50, 75, 90, 99, 100)
DRIFT_BINS = 50


@dataclass(frozen=True)
class Distribution:
    """A distribution of whole numbers, 0 or more.

    Attributes:
        count: how many numbers.
        mean: of them, None where there are none.
        quantiles: percent -> the smallest number that so many percent are not above; empty likewise.
        edges: lower ends of the histogram's bins: 0, 1, 2, 4, 8 and so on to the largest number.
        counts: how many numbers each bin holds.
    """

    count: int
    mean: float | None
    quantiles: dict[str, int]
    edges: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.integer]]) -> Distribution:
        """Count numbers that come in parts ``[n]``; memory grows with the largest number, not with ``n``."""
        count_of = np.zeros(0, np.int64)  # [largest + 1]
        for part in parts:
            counted = np.bincount(part, minlength=len(count_of))
            counted[: len(count_of)] += count_of
            count_of = counted
        total = int(count_of.sum())
        if not total:
            return cls(0, None, {}, (), ())
        largest = len(count_of) - 1
        edges = [0] + [1 << bit for bit in range(largest.bit_length())]
        ranks = [max(1, -(-percent * total // 100)) for percent in PERCENTS]
        quantiles = np.searchsorted(np.cumsum(count_of), ranks)
        return cls(
            count=total,
            mean=float(count_of @ np.arange(largest + 1, dtype=np.float64)) / total,
            quantiles={str(percent): int(q) for percent, q in zip(PERCENTS, quantiles, strict=True)},
            edges=tuple(edges),
            counts=tuple(np.add.reduceat(count_of, edges).tolist()),
        )


@dataclass(frozen=True)
class Distance:
    """How far the values of a feature in one split lie from those in another.

    Both measures are over the values most frequent in the other split (``DRIFT_BINS``), the rest pooled: to
    choose by both would find values that are frequent in a small split by chance, and call it drift.

    Attributes:
        psi: population stability index, ``Σ (q - p) ln(q / p)``, each count raised by a half so that none is
            0. By custom, below 0.1 is no drift and above 0.25 much.
        js: Jensen-Shannon divergence in bits: 0 where equal, 1 where nothing is shared.
        by_chance: the PSI that independent draws from one distribution would show on average,
            ``(bins - 1) (1 / n + 1 / m)``.
    """

    psi: float
    js: float
    by_chance: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the PSI is more than twice what chance alone would give."""
        return self.psi > 2 * self.by_chance


def distance(before: NDArray[np.integer], after: NDArray[np.integer]) -> Distance | None:
    """Compare the counts ``[V]`` of every value in two splits; None where one of them has none."""
    n, m = int(before.sum()), int(after.sum())
    if not n or not m:
        return None
    found = np.flatnonzero(before + after)
    p, q = before[found], after[found]  # [values that occur]
    if len(found) > DRIFT_BINS + 1:
        order = np.argpartition(-p, DRIFT_BINS)
        p, q = (np.append(c[order[:DRIFT_BINS]], c[order[DRIFT_BINS:]].sum()) for c in (p, q))  # [bins]
    bins = len(p)
    smooth_p, smooth_q = (p + 0.5) / (n + bins / 2), (q + 0.5) / (m + bins / 2)
    middle = (p / n + q / m) / 2
    return Distance(
        psi=float(((smooth_q - smooth_p) * np.log(smooth_q / smooth_p)).sum()),
        js=min(1.0, max(0.0, (_divergence(p / n, middle) + _divergence(q / m, middle)) / 2)),
        by_chance=(bins - 1) * (1 / n + 1 / m),
    )


def top_share(counts: NDArray[np.integer], percent: int) -> float | None:
    """Find the share of all that the largest ``percent`` of counts ``[n]`` hold; None where all is 0."""
    total, top = int(counts.sum()), -(-len(counts) * percent // 100)
    return float(np.sort(counts)[len(counts) - top :].sum() / total) if total else None


def gini(counts: NDArray[np.integer]) -> float | None:
    """Gini coefficient of counts ``[n]``: 0 if all are equal, near 1 if one has all; None if all are 0."""
    n, total = len(counts), float(counts.sum())
    if not total:
        return None
    ranks = np.arange(1, n + 1, dtype=np.float64)
    return float(2 * (ranks @ np.sort(counts)) / (n * total) - (n + 1) / n)


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence in bits; ``q`` is 0 nowhere that ``p`` is not."""
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
