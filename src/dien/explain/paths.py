"""States of many numbers in two dimensions, by the axes on which they differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def in_two_dimensions(
    states: NDArray[np.floating],
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Project states on their two principal axes, as Fig. 3 of the paper does.

    The axes are of all states that are given, so that the paths of the candidates of one request can be laid
    over each other. Each axis points to where its largest coefficient is positive: equal states give equal
    pictures.

    Args:
        states: ``[M, H]``.

    Returns:
        ``[M, 2]``, and the share of the variance that each axis holds; 0 where the states do not differ.
    """
    centred = np.asarray(states, np.float64) - np.mean(states, 0, dtype=np.float64)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    H = centred.shape[1]
    kept = np.zeros((2, H))
    kept[: min(2, len(axes))] = axes[:2]
    largest = np.abs(kept).argmax(1)
    signs = np.sign(kept[np.arange(2), largest])
    kept *= np.where(signs == 0, 1, signs)[:, None]
    variance = np.zeros(2)
    total = float((sizes**2).sum())
    if total > 0:
        variance[: min(2, len(sizes))] = sizes[:2] ** 2 / total
    return centred @ kept.T, (float(variance[0]), float(variance[1]))
