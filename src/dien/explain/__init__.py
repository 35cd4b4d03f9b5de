"""What decided a score: the influence of each behaviour, and the states and attention of the model."""

from dien.explain.explanation import (
    ExplainedCandidate,
    Explanation,
    Flip,
    Guess,
    Influenced,
    ShownBehaviour,
    ShownItem,
)

__all__ = [
    "ExplainedCandidate",
    "Explanation",
    "Flip",
    "Guess",
    "Influenced",
    "ShownBehaviour",
    "ShownItem",
]
