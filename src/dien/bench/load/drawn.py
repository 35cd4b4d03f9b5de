"""Requests to send: of items and users that a run knows, each another."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from dien.bench.load.client import http
from dien.errors import ConfigError
from dien.serving import Scorer

LAST = 1_700_000_000
"""Time of the requests, seconds since 1970."""
DIFFERENT = 64
"""Requests that differ and are sent in turn, so that no cache has all of a request's rows."""


def draw(scorer: Scorer, candidates: int, history: int, number: int = DIFFERENT) -> list[dict[str, Any]]:
    """Draw requests of known users and items, with times.

    Args:
        scorer: of the run.
        candidates: of each request.
        history: behaviours of each.
        number: of requests.

    Returns:
        Arguments of :meth:`dien.Scorer.score`.

    Raises:
        ConfigError: the run knows no item or no user.
    """
    random = np.random.default_rng(0)
    # The first is "unknown".
    items, users = (ids.values[1:] for ids in (scorer.catalogue.item_ids, scorer.catalogue.user_ids))
    if not len(items) or not len(users):
        raise ConfigError(f"{scorer.run.path}: knows no item or no user, of which requests could be drawn")

    def some(n: int) -> list[str]:
        ids: list[str] = items.gather(random.integers(0, len(items), n)).to_list()
        return ids

    return [
        {
            "user": users[int(random.integers(len(users)))],
            "history": some(history),
            "candidates": some(candidates),
            "times": sorted(random.integers(LAST - 10**7, LAST, history).tolist()),
            "time": LAST,
        }
        for _ in range(number)
    ]


def as_http(requests: list[dict[str, Any]]) -> list[bytes]:
    """Write requests as calls of ``POST /score``."""
    return [http("POST", "/score", msgspec.json.encode(one)) for one in requests]
