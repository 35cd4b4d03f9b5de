"""What the interest extractor thought would come next, by its auxiliary network."""

from __future__ import annotations

import numpy as np
import torch

from dien.explain.explanation import Guess
from dien.explain.traces import Traces, item_logits
from dien.serving import CheckedRequest, Scorer

DRAWN = 100
"""Items that are drawn to be compared with the one that came next."""


def guesses(
    scorer: Scorer, request: CheckedRequest, traced: Traces, drawn: int = DRAWN, seed: int = 0
) -> list[Guess]:
    """Ask the auxiliary network, after each behaviour, how likely the next one is.

    The real next item is ranked among ``drawn`` items of the catalogue, all different and each as likely as
    any other to be drawn: the same for every behaviour, with their features as at the time of the request.
    Where one of them is the real next item, there is one less.

    Args:
        scorer: of the run.
        request: as it was checked; its candidates play no part.
        traced: what :func:`dien.explain.traces` gives of it.
        drawn: how many items are drawn, or all if there are fewer.
        seed: of the draw.

    Returns:
        One for each step of the history but the last, and but those whose next item the run does not know;
        none where the model has no auxiliary network, or, with ``filter_by``, a history for each candidate.
    """
    known = len(scorer.catalogue.item_ids) - 1
    filtered = scorer.run.config.model.filter_by is not None
    if traced.next_logits is None or traced.interests is None or filtered or not known:
        return []
    rows = 1 + np.random.default_rng(seed).choice(known, min(drawn, known), replace=False)
    came = scorer.catalogue.item_ids.encode_values(list(request.history))  # [T] item rows
    steps = np.flatnonzero(traced.reads[0])[:-1]
    steps = steps[came[steps + 1] > 0]
    against = item_logits(scorer, traced.interests[0, steps], rows, time=request.time)
    found = []
    for step, lesser in zip(steps.tolist(), against, strict=True):
        logit, other = traced.next_logits[0, step], lesser[rows != came[step + 1]]
        rank = 1 + float((other > logit).sum()) + 0.5 * float((other == logit).sum())
        probability = float(torch.sigmoid(torch.tensor(logit, dtype=torch.float64)))
        found.append(Guess(step=step, probability=probability, rank=rank, among=len(other)))
    return found
