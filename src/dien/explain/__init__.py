"""What decided a score, and what a run has learned beside what its log says."""

from dien.explain.explaining import explain
from dien.explain.explanation import (
    ExplainedCandidate,
    Explanation,
    Flip,
    Guess,
    Influenced,
    ShownBehaviour,
    ShownItem,
)
from dien.explain.influence import influence, logits_without
from dien.explain.traces import Traces, item_logits, traces
from dien.explain.user_request import best_items, expect_known, user_request
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
    "best_items",
    "expect_known",
    "explain",
    "influence",
    "item_logits",
    "logits_without",
    "traces",
    "user_request",
    "whole_run",
]
