"""A request that is made up of what a run knows, to try it with where no real one is at hand."""

from __future__ import annotations

from dien.serving.request import Request
from dien.serving.scorer import Scorer


def made_request(scorer: Scorer) -> Request:
    """Make a request of the run's first items, as long as the model reads, with times: nothing warns."""
    items = scorer.run.item_ids.values[1:101].to_list() or ["none"]  # the first is "unknown"
    longest = min(scorer.run.config.model.max_history, 100)
    return Request(
        user=None, history=(items * longest)[:longest], candidates=items, times=[1] * longest, time=1
    )
