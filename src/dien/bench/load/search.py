"""The highest rate that a server holds."""

from __future__ import annotations

from collections.abc import Callable

STEPS = 4
"""Halvings of the interval between a rate that is held and one that is not."""
FARTHEST = 10
"""Doublings of the first rate, up or down, after which it is given up."""


def highest(holds: Callable[[float], bool], first: float, steps: int = STEPS) -> float:
    """Find the highest rate that holds, by doubling or halving and then by bisection.

    Args:
        holds: tries a rate.
        first: rate to begin with, above 0.
        steps: of the bisection; each halves what is left between the highest that held and the lowest that
            did not.

    Returns:
        The highest rate that was tried and held, among those below any that did not; 0 if none did.
    """
    low, high = 0.0, first
    for _ in range(FARTHEST):
        if not holds(high):
            break
        low, high = high, 2 * high
    else:
        return low
    if not low:
        for _ in range(FARTHEST):
            half = high / 2
            if holds(half):
                low = half
                break
            high = half
        else:
            return 0.0
    for _ in range(steps):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
