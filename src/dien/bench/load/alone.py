"""The scorer alone, without a server: one request at a time in each thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from dien.serving import Scorer


def rate_alone(scorer: Scorer, requests: Sequence[dict[str, Any]], threads: int, seconds: float) -> float:
    """Score requests in turn with several threads, and give how many a second.

    Args:
        scorer: that scores.
        requests: arguments of :meth:`dien.Scorer.score`.
        threads: that score, each by itself.
        seconds: how long.
    """

    def work(thread: int) -> float:
        count, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < seconds or not count:
            scorer.score(**requests[(thread + count) % len(requests)])
            count += 1
        return count / took

    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


def seconds_alone(scorer: Scorer, requests: Sequence[dict[str, Any]], passes: int = 2) -> float:
    """Give the median seconds of one request, where nothing else is scored.

    Args:
        scorer: that scores.
        requests: arguments of :meth:`dien.Scorer.score`.
        passes: over all requests.
    """
    found = []
    with _one_thread_each():
        scorer.score(**requests[0])
        for _ in range(passes):
            for request in requests:
                began = time.perf_counter()
                scorer.score(**request)
                found.append(time.perf_counter() - began)
    return statistics.median(found)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Have torch take one thread, as it does in a server."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
