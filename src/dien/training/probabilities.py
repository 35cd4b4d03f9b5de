"""How good the probabilities of clicks are: LogLoss, and expected against observed clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.calibration import Platt
from dien.training.spool import OF_SCORE, Spool, rows_of

CALIBRATION_BINS = 20
TENTHS = 10


@dataclass(frozen=True)
class Probabilities:
    """What :class:`~dien.training.metrics.Metrics` says of probabilities; each as there.

    Attributes:
        log_loss: mean binary cross-entropy.
        calibration: expected over observed clicks.
        calibration_error: mean distance of expected from observed click rate over bins.
    """

    log_loss: float | None = None
    calibration: float | None = None
    calibration_error: float | None = None


@dataclass(frozen=True)
class Decile:
    """A tenth of the rows, by their score.

    Attributes:
        rows: in it; about a tenth, as rows of the same score stay together.
        mean_score: the share of clicks that the scores expect.
        click_rate: the share of clicks that there are.
        calibration: the first over the second, expected over observed clicks; None without clicks.
    """

    rows: int
    mean_score: float
    click_rate: float
    calibration: float | None


def expected_and_losses(
    logits: NDArray[np.float64], clicked: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the probabilities ``[n]`` that log odds stand for, and their cross-entropies with one label."""
    odds = np.exp(-np.abs(logits))  # of the less likely: it does not overflow
    losses = np.maximum(logits, 0) - logits * clicked + np.log1p(odds)
    return np.where(logits >= 0, 1, odds) / (1 + odds), losses


def probabilities(others: Spool, clicks: Spool, platt: Platt) -> Probabilities:
    """Measure the probabilities that calibrated scores stand for.

    Args:
        others: scores of the rows that were not clicked, log odds.
        clicks: of those that were.
        platt: makes the scores those that are measured.
    """
    log_loss = weight = weight_of_clicks = 0.0
    bins = np.zeros((2, CALIBRATION_BINS))  # expected and observed clicks
    for clicked, scores, weights in rows_of(others, clicks):
        expected, losses = expected_and_losses(platt(scores), clicked)
        bin_of = np.minimum((expected * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        log_loss += float((losses * weights).sum())
        weight += float(weights.sum())
        weight_of_clicks += clicked * float(weights.sum())
        bins[0] += np.bincount(bin_of, expected * weights, CALIBRATION_BINS)
        bins[1] += np.bincount(bin_of, clicked * weights, CALIBRATION_BINS)
    if not weight:
        return Probabilities()
    return Probabilities(
        log_loss=log_loss / weight,
        calibration=float(bins[0].sum() / weight_of_clicks) if weight_of_clicks else None,
        calibration_error=float(np.abs(bins[0] - bins[1]).sum() / weight),
    )


def deciles(others: Spool, clicks: Spool, platt: Platt) -> list[Decile]:
    """Compare expected with observed clicks in each tenth of the rows, from the lowest scores up.

    Rows of weight 0 are in none.

    Args:
        others: as for :func:`probabilities`, like the rest.
        clicks: likewise.
        platt: likewise.
    """
    every = others.rows + clicks.rows
    found: list[Decile] = []
    begin = 0, 0
    for tenth in range(1, TENTHS + 1):
        end = _lowest(others.sorted(), clicks.sorted(), round(tenth * every / TENTHS))
        if sum(end) <= sum(begin):
            continue
        expected = observed = weight = 0.0
        some = slice(begin[0], end[0]), slice(begin[1], end[1])
        for clicked, scores, weights in rows_of(others, clicks, some):
            expected += float((expected_and_losses(platt(scores), clicked)[0] * weights).sum())
            observed += clicked * float(weights.sum())
            weight += float(weights.sum())
        ratio = expected / observed if observed else None
        found.append(Decile(sum(end) - sum(begin), expected / weight, observed / weight, ratio))
        begin = end
    return found


def _lowest(first: NDArray[Any], second: NDArray[Any], count: int) -> tuple[int, int]:
    """Say how many of two rising arrays are the ``count`` lowest of both, and what is level with the last."""
    if not count:
        return 0, 0
    low, high = max(0, count - len(second)), min(count, len(first))
    while low < high:
        middle = (low + high) // 2
        if first[middle] < second[count - middle - 1]:
            low = middle + 1
        else:
            high = middle
    last = [of[taken - 1] for of, taken in ((first, low), (second, count - low)) if taken]
    level = max(last)
    ends = []
    for of in (first, second):
        key = level | OF_SCORE if of.dtype == np.uint64 else level
        ends.append(int(np.searchsorted(of, key, "right")))
    return ends[0], ends[1]
