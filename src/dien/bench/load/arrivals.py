"""When requests come: a Poisson process, as of many users who know nothing of each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def poisson(rate: float, seconds: float, seed: int = 0) -> NDArray[np.float64]:
    """Draw the arrivals of a Poisson process.

    Args:
        rate: arrivals a second in the mean, above 0.
        seconds: how long it lasts, above 0.
        seed: the same gives the same arrivals.

    Returns:
        ``[N]`` seconds from the begin, rising, all below ``seconds``; ``N`` is Poisson, too.
    """
    random = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are independent and uniform.
    return np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))
