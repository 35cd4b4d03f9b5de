"""The test that a published model is whole: it is loaded from its folder, and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dien.errors import PublishError
from dien.serving.made_request import made_request
from dien.serving.request import CheckedRequest, Request
from dien.serving.scorer import Scorer

TOLERANCE = 1e-6


def expect_loads(folder: Path, device: str = "cpu") -> None:
    """Load a model as a server does, and score a request that is made of its own items.

    Raises:
        RunError: it cannot be loaded, or its scores are not finite; the message names the file.
    """
    scorer = Scorer.load(folder, device=device)
    scorer.score_many([made_request(scorer)])


def expect_scores_as(scorer: Scorer, folder: Path, requests: Sequence[CheckedRequest]) -> int:
    """Load a copy of a run, and compare its scores with those of the run itself.

    Args:
        scorer: of the run.
        folder: the copy.
        requests: that the run scores, beside one that is made of its own items.

    Returns:
        How many requests were scored.

    Raises:
        RunError: the copy cannot be loaded, or its scores are not finite.
        PublishError: its scores are others.
    """
    asked: list[Request | CheckedRequest] = [made_request(scorer), *requests]
    copy = Scorer.load(folder, device=str(scorer.device))
    pairs = zip(scorer.score_many(asked), copy.score_many(asked), strict=True)
    far = max(float(np.abs(own - copied).max(initial=0)) for own, copied in pairs)
    if far > TOLERANCE:
        raise PublishError(
            f"{scorer.run.path}: its copy gives scores that differ by {far:.1e}, expected {TOLERANCE:.0e} at "
            "most: a file was changed while it was copied, or the disk is damaged; publish it again"
        )
    return len(asked)
