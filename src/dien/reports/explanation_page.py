"""The page of an explanation: what decided the scores of one request."""

from __future__ import annotations

from typing import Any

import msgspec

from dien.explain.explanation import Explanation
from dien.reports.rendering import fill

_DIGITS = 6
_WHOLE = ("score", "after", "probability")
"""Probabilities are not rounded: one near 1 would become 1."""


def explanation_html(explanation: Explanation) -> str:
    """Make the page of an explanation: one HTML file that loads nothing else.

    The page shows candidates beside the history, with attention, gate and influence along it, the paths of
    the states, runs of behaviours, and all of that as tables. ``frontend/src/explanation`` draws it.

    Args:
        explanation: what is shown; numbers that are no probabilities are rounded to six significant digits.

    Returns:
        The page as HTML.
    """
    whose = "" if explanation.user is None else f" of user {explanation.user}"
    about = f"Run {explanation.run}, model {explanation.model}."
    if explanation.time is not None:
        about += f" Scored as of {explanation.time[:16].replace('T', ' ')}."
    about += (
        " Scores are calibrated probabilities." if explanation.calibrated else " Scores are not calibrated."
    )
    return fill(
        "explanation.html.j2",
        title=f"What decided the scores{whose}",
        scripted=True,
        about=about,
        explanation=_rounded(msgspec.to_builtins(explanation)),
    )


def _rounded(value: Any) -> Any:
    """Round the numbers in what JSON can hold: a page of a long history is half as large for it."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: one if name in _WHOLE else _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
