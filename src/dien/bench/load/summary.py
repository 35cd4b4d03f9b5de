"""What a load came to: rates, refusals, and percentiles of latency by stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.bench.load.records import UNANSWERED, Records

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
LATE = 0.010
"""Seconds that a generator which keeps up sends 99 of 100 requests within, also beside a busy server."""


def percentiles(seconds: NDArray[np.float64]) -> dict[str, float] | None:
    """Give quantiles in milliseconds, each a value that was measured; NaN is left out, None is of nothing.

    Args:
        seconds: ``[N]`` measured.
    """
    known = seconds[~np.isnan(seconds)]
    if not len(known):
        return None
    found = np.quantile(known, list(QUANTILES.values()), method="inverted_cdf")
    return dict(zip(QUANTILES, (1000 * found).tolist(), strict=True))


def summary(loads: Sequence[Records], deadline: float) -> dict[str, Any]:
    """Summarise loads of one kind.

    Args:
        loads: what became of their requests.
        deadline: seconds; answers with scores that came later are counted.

    Returns:
        Plain data for JSON. Latencies are milliseconds of answers with scores (status 200), counted from when
        a request was due. ``stages`` are their parts: ``generator`` before it was sent, ``queue`` and
        ``scoring`` as the server's ``Server-Timing`` says, and ``rest``: HTTP, JSON, checks, waiting for the
        event loop. ``kept_up`` is false where the generator sent more than one in a hundred requests
        10 ms late, or later: then it may be the generator that is measured.
    """
    due, sent, done, queue, score = (
        np.concatenate([getattr(load, name) for load in loads])
        for name in ("due", "sent", "done", "queue", "score")
    )
    status = np.concatenate([load.status for load in loads])
    wall = sum(load.wall for load in loads)
    scored = status == 200
    late, latency = sent - due, done - due
    span = sum(float(load.due[-1]) for load in loads if len(load.due))
    refused = {str(code): int((status == code).sum()) for code in np.unique(status[~scored & (status != 0)])}
    reasons: dict[str, int] = {}
    for load in loads:
        for reason, count in load.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    lateness = percentiles(late)
    return {
        "requests": len(due),
        "offered_per_second": len(due) / span if span else 0.0,
        "scored_per_second": int(scored.sum()) / wall if wall else 0.0,
        "scored": int(scored.sum()),
        "scored_after_deadline": int((latency[scored] > deadline).sum()),
        "refused": refused,
        "unanswered": int((status == UNANSWERED).sum()),
        "reasons": reasons,
        "milliseconds": percentiles(latency[scored]),
        "stages": {
            "generator": percentiles(late[scored]),
            "queue": percentiles(queue[scored]),
            "scoring": percentiles(score[scored]),
            "rest": percentiles((latency - late - queue - score)[scored]),
        },
        "generator_late": lateness,
        "kept_up": lateness is None or lateness["p99"] <= 1000 * LATE,
        "generator_cores": sum(load.cpu for load in loads) / wall if wall else 0.0,
        "connections": max((load.connections for load in loads), default=0),
    }


def holds(load: Records, bound: float) -> bool:
    """Tell whether a server holds a load: it scores every request, 99 of 100 within a bound.

    A load without any request shows nothing, and is not held.

    Args:
        load: what became of its requests.
        bound: seconds.
    """
    found = percentiles(load.latency) if (load.status == 200).all() else None
    return found is not None and found["p99"] <= 1000 * bound
