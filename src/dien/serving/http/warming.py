"""Warms a model up before it answers: requests that were recorded are scored, or some that are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dien.errors import RunError
from dien.serving.made_request import made_request
from dien.serving.recorded import from_line
from dien.serving.scorer import Scorer

MADE = 3
"""Requests that are made where fewer were recorded: memory is taken, tables are read."""


@dataclass(frozen=True)
class WarmUp:
    """What came of the recorded requests that a model was warmed up with.

    Attributes:
        recorded: how many there were.
        refused: how many of them the model refuses.
        reason: why it refuses the first of these.
    """

    recorded: int = 0
    refused: int = 0
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.refused} of {self.recorded} recorded requests are refused by this run: {self.reason}"


def warm_up(scorer: Scorer, recorded: Sequence[bytes]) -> WarmUp:
    """Score with a model, so that the first real request is as quick as the next.

    Args:
        scorer: of the model.
        recorded: requests as lines; one that the model refuses is counted.

    Raises:
        RunError: a score is not finite, or the model refuses every recorded request: so it would those that
            come next.
    """
    reasons = [reason for line in recorded if (reason := _refusal(scorer, line)) is not None]
    found = WarmUp(len(recorded), len(reasons), reasons[0] if reasons else "")
    if recorded and found.refused == found.recorded:
        raise RunError(
            f"{scorer.run.path}: {found}; clients would have the same answer; train with the features "
            "that they send, or, where they change with the run, give another file for --record"
        )
    if found.recorded - found.refused < MADE:
        for _ in range(MADE):
            scorer.score_many([made_request(scorer)])
    return found


def _refusal(scorer: Scorer, line: bytes) -> str | None:
    """Score a recorded request; say why where the model refuses it."""
    try:
        scorer.score_many([from_line(line, scorer.fields)])
    except RunError:  # of the run, and not of the request
        raise
    except ValueError as error:
        return str(error).removeprefix("request 1: ")
    return None
