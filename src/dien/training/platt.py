"""Platt scaling: the two numbers of a calibration, fitted on the validation split."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dien.calibration import AS_IT_IS, Platt
from dien.training.spool import Spool, rows_of, scores_of

FEWEST = 50
"""Clicks, and non-clicks, below which two numbers are not fitted: they would be noise."""

LEAST_SCALE = 0.01
_STEPS, _HALVINGS = 100, 60
_FLAT = 1e-20  # of the squared Newton decrement, twice what a step could still gain
_ENOUGH = 1e-4  # of the loss that a step promises to take off, so that no two take turns
_ROUNDING = 1e-14  # of a mean loss
_DAMPING = 1e-12  # of the curvature, at most 1/4


def fit_platt(others: Spool, clicks: Spool) -> Platt | None:
    """Find the scale and the shift of least LogLoss, by Newton's method in float64; rows count by weight.

    Where clicks and non-clicks are separable by their scores, as where all scores are alike, no scale is the
    best: it stays 1, and the shift alone is fitted. The scale is 0.01 at least, so that a model whose scores
    tell nothing, or the wrong, comes to about the share of clicks everywhere, in the order that it has.

    Args:
        others: scores of the rows that were not clicked, log odds.
        clicks: of those that were.

    Returns:
        What makes the LogLoss of these rows least, never worse than without; None where there are fewer than
        50 clicks or 50 non-clicks of a weight above 0.
    """
    if min(others.rows, clicks.rows) < FEWEST:
        return None
    if _separable(others, clicks):
        found = _newton(others, clicks, (1.0, 0.0), fixed=True)
    else:
        found = _newton(others, clicks, (1.0, 0.0), fixed=False)
        if found[0] < LEAST_SCALE:  # the loss is convex: the best that is allowed is on this edge
            found = _newton(others, clicks, (LEAST_SCALE, 0.0), fixed=True)
    best = Platt(*found)
    return best if _loss(others, clicks, best) < _loss(others, clicks, AS_IT_IS) else AS_IT_IS


def _separable(others: Spool, clicks: Spool) -> bool:
    (low, high), (low_click, high_click) = (_range(spool) for spool in (others, clicks))
    return high <= low_click or high_click <= low


def _range(spool: Spool) -> tuple[float, float]:
    ends = spool.sorted()[[0, -1]]
    low, high = scores_of(ends) if ends.dtype == np.uint64 else ends
    return float(low), float(high)


def _newton(others: Spool, clicks: Spool, start: tuple[float, float], *, fixed: bool) -> tuple[float, float]:
    """Minimise the mean loss over scale and shift; over the shift alone where the scale is ``fixed``.

    Scores are taken from their mean in units of their spread, so that no step is lost in rounding.
    """
    mean, spread = _moments(others, clicks)
    spread = spread or 1.0
    scale, shift = start[0] * spread, start[1] + start[0] * mean  # logit' = scale * z + shift
    loss, gradient, curvature = _derivatives(others, clicks, mean, spread, scale, shift)
    for _ in range(_STEPS):
        if fixed:
            step = np.array([0.0, -gradient[1] / (curvature[1, 1] + _DAMPING)])
        else:
            step = -np.linalg.solve(curvature + _DAMPING * np.eye(2), gradient)
        if -float(gradient @ step) < _FLAT:
            break
        # Far from the solution the curvature vanishes, and a step would lead anywhere.
        step *= min(1.0, (10 + abs(scale) + abs(shift)) / float(np.abs(step).max()))
        for _ in range(_HALVINGS):
            now = _derivatives(others, clicks, mean, spread, scale + step[0], shift + step[1])
            if now[0] <= loss + _ENOUGH * float(gradient @ step) + _ROUNDING * (1 + loss):
                break
            step /= 2
        else:
            break
        scale, shift = scale + float(step[0]), shift + float(step[1])
        loss, gradient, curvature = now
    scale = start[0] if fixed else scale / spread
    return scale, shift - scale * mean


def _moments(others: Spool, clicks: Spool) -> tuple[float, float]:
    """Give mean and standard deviation of all scores."""
    weight = total = squares = 0.0
    for _, scores, weights in rows_of(others, clicks):
        weight, total = weight + float(weights.sum()), total + float(weights @ scores)
    mean = total / weight
    for _, scores, weights in rows_of(others, clicks):
        squares += float(weights @ (scores - mean) ** 2)
    return mean, math.sqrt(squares / weight)


def _derivatives(
    others: Spool, clicks: Spool, mean: float, spread: float, scale: float, shift: float
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean loss, its gradient ``[2]`` and its second derivatives ``[2, 2]``."""
    weight = loss = 0.0
    gradient, curvature = np.zeros(2), np.zeros((2, 2))
    for clicked, scores, weights in rows_of(others, clicks):
        z = (scores - mean) / spread
        logits = scale * z + shift
        odds = np.exp(-np.abs(logits))
        losses = np.maximum(logits, 0) - logits * clicked + np.log1p(odds)
        wrong = weights * (np.where(logits >= 0, 1, odds) / (1 + odds) - clicked)
        second = weights * odds / (1 + odds) ** 2
        weight += float(weights.sum())
        loss += float(weights @ losses)
        gradient += wrong @ z, wrong.sum()
        mixed = second @ z
        curvature += [[second @ z**2, mixed], [mixed, second.sum()]]
    return loss / weight, gradient / weight, curvature / weight


def _loss(others: Spool, clicks: Spool, platt: Platt) -> float:
    return _derivatives(others, clicks, 0.0, 1.0, platt.scale, platt.shift)[0]
