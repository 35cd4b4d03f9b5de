"""What the interest extractor thought would come next, by its auxiliary network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from dien.explain.explanation import Guess
from dien.explain.variants import read
from dien.layers import InterestExtractor
from dien.models import Inputs
from dien.packed import Packed
from dien.serving import CheckedRequest, Scorer

DRAWN = 100
"""Items that are drawn to be compared with the one that came next."""


def guesses(scorer: Scorer, request: CheckedRequest, drawn: int = DRAWN, seed: int = 0) -> list[Guess]:
    """Ask the auxiliary network, after each behaviour, how likely the next one is.

    The real next item is ranked among ``drawn`` items of the catalogue, all different and each as likely as
    any other to be drawn: the same for every behaviour. Where one of them is the real next item, there is one
    less.

    Args:
        scorer: of the run.
        request: as it was checked; its candidates play no part.
        drawn: how many items are drawn, or all if there are fewer.
        seed: of the draw.

    Returns:
        One for each step of the history but the last, and but those whose next item the run does not know;
        none where the model has no auxiliary network, or, with ``filter_by``, a history for each candidate.
    """
    model: Any = scorer.model
    extractor, inputs = getattr(model, "extractor", None), getattr(model, "inputs", None)
    if not isinstance(extractor, InterestExtractor) or not isinstance(inputs, Inputs):
        return []
    known = len(scorer.catalogue.item_ids) - 1
    filtered = scorer.run.config.model.filter_by is not None
    if extractor.auxiliary_net is None or filtered or len(request.history) < 2 or not known:
        return []
    rows = 1 + np.random.default_rng(seed).choice(known, min(drawn, known), replace=False)
    others = scorer.catalogue.item_ids.decode(rows).to_list()
    asked = replace(request, candidates=others, candidate_features={})
    with torch.inference_mode():
        batches = [one.reading.batch.to(scorer.device) for one in read(scorer, asked)]
        embedded = [inputs(batch) for batch in batches]
        states = extractor.states(Packed(embedded[0].history, batches[0].offsets))  # [S, H]
        items = embedded[0].items  # [S, D]
        negatives = torch.cat([one.target for one in embedded])  # [n, D]
        real = _logits(extractor, states[:-1], items[1:])  # [S - 1]
        against = torch.stack(
            [_logits(extractor, state.expand(len(negatives), -1), negatives) for state in states[:-1]]
        )  # [S - 1, n]
    first = len(request.history) - len(states)
    found = []
    for step, (logit, lesser) in enumerate(zip(real.tolist(), against.double().numpy(), strict=True), first):
        if not scorer.catalogue.item_ids.index(request.history[step + 1]):
            continue
        other = lesser[[one != request.history[step + 1] for one in others]]
        rank = 1 + float((other > logit).sum()) + 0.5 * float((other == logit).sum())
        probability = float(torch.sigmoid(torch.tensor(logit, dtype=torch.float64)))
        found.append(Guess(step=step, probability=probability, rank=rank, among=len(other)))
    return found


def _logits(extractor: InterestExtractor, states: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Ask the auxiliary network of states ``[n, H]`` and items ``[n, D]``: ``[n]``."""
    both = torch.cat([states, items], 1)
    if extractor.auxiliary_affine is not None:
        both = extractor.auxiliary_affine(both)
    assert extractor.auxiliary_net is not None
    logits: torch.Tensor = extractor.auxiliary_net(both).squeeze(1).cpu()
    return logits
