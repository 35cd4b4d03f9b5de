"""What decided a score, and what a run has learned beside what its log says."""

from dien.explain.explanation import (
    ExplainedCandidate,
    Explanation,
    Flip,
    Guess,
    Influenced,
    ShownBehaviour,
    ShownItem,
)
from dien.explain.influence import influence
from dien.explain.traces import Traces, item_logits, traces
from dien.explain.variants import logits_without
from dien.explain.whole_run import WholeRun, whole_run

__all__ = [
    "ExplainedCandidate",
    "Explanation",
    "Flip",
    "Guess",
    "Influenced",
    "ShownBehaviour",
    "ShownItem",
    "Traces",
    "WholeRun",
    "influence",
    "item_logits",
    "logits_without",
    "traces",
    "whole_run",
]
