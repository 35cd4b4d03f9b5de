"""From a log to a dataset: events, histories, impressions, splits, negatives, and the three recipes."""

from dien.data.prepare.impressions import impressions
from dien.data.prepare.paper import paper
from dien.data.prepare.temporal import temporal

__all__ = ["impressions", "paper", "temporal"]
