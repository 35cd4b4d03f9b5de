"""The influence of each behaviour of a request on each candidate's logit, by leaving it out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dien.explain.variants import logits_without
from dien.serving import Scorer
from dien.serving.request import CheckedRequest, Request


def naive_influence(scorer: Scorer, request: Request | CheckedRequest) -> NDArray[np.float64]:
    """Measure as :func:`influence`, by scoring the request once without each behaviour."""
    if isinstance(request, Request):
        request = scorer.check(request)
    nothing: list[list[int]] = [[]]
    each = [[t] for t in range(len(request.history))]
    logits = logits_without(scorer, request, nothing + each)  # [1 + T, B]
    return np.ascontiguousarray((logits[0] - logits[1:]).T)


def influence(scorer: Scorer, request: Request | CheckedRequest) -> NDArray[np.float64]:
    """Measure how much each behaviour speaks for each candidate.

    It is the logit of the request minus the logit of the request without this one behaviour, its time and
    features, in the steps the model reads and in the matches it counts. So the influences of a history are
    what :meth:`dien.Scorer.score` says of ``T`` requests, in log odds before the calibration. Where a history
    is longer than the model reads, no older behaviour takes the place of the one that is left out
    (:mod:`dien.explain.variants`).

    Args:
        scorer: of the run.
        request: as for :meth:`dien.Scorer.score`.

    Returns:
        ``[B, T]``, of the ``T`` newest behaviours that the model reads something of
        (``model.longest_history``), oldest first. Positive: it speaks for the candidate. Of those that only
        the matches are counted over, it is what the matches tell.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`.
    """
    return naive_influence(scorer, request)
