"""The shortest set of behaviours without which the other of two candidates scores higher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dien.explain.explanation import Flip
from dien.explain.influence import logits_without
from dien.serving import CheckedRequest, Scorer

MOST_PAIRS = 2000
"""So many pairs of behaviours are tried at most: those of a history of 63."""
TIED = 1e-5
"""Logits that are no further apart, in whole or as a share of their size, are the same but for rounding."""


def find_flip(scorer: Scorer, request: CheckedRequest, first: int = 0, second: int = 1) -> Flip | None:
    """Search the shortest set of behaviours whose removal changes the order of two candidates.

    First every behaviour is left out alone, then every pair (where there are at most :data:`MOST_PAIRS`). Of
    several that change the order, the one that changes it most is given. Where none does, behaviours are
    left out one more at a time, those first that speak most for the candidate that is ahead, each by itself;
    from the first such set that changes the order, each is put back that is not needed. Whatever is found
    was scored: ``after`` are its scores. The order has changed where the other one is ahead by more than
    rounding (:data:`TIED`).

    Args:
        scorer: of the run.
        request: as it was checked, of the behaviours that are read.
        first: place of one of the candidates.
        second: place of the other.

    Returns:
        The set; None where none was found, or the two are tied from the start. That there is none is then not
        certain, unless the history has one or two behaviours.
    """
    T = len(request.history)
    if not T:
        return None
    search = _Search(scorer, request, first, second)
    if search.tied:
        return None
    singles = search.leads([(k,) for k in range(T)])
    if search.turns(singles).any():
        return search.flip([int(singles.argmin())], exact=True)
    pairs = list(combinations(range(T), 2)) if T * (T - 1) // 2 <= MOST_PAIRS else []
    if pairs:
        of_pairs = search.leads(pairs)
        if search.turns(of_pairs).any():
            return search.flip(list(pairs[int(of_pairs.argmin())]), exact=True)
    order = np.argsort(singles, kind="stable").tolist()  # first what speaks most for the one that is ahead
    growing = [tuple(order[:n]) for n in range(2, T + 1)]
    turned = np.flatnonzero(search.turns(search.leads(growing)))
    if not len(turned):
        return None
    removed = search.pruned(list(growing[int(turned[0])]))
    return search.flip(removed, exact=len(removed) <= 2 or (len(removed) == 3 and bool(pairs)))


class _Search:
    def __init__(self, scorer: Scorer, request: CheckedRequest, first: int, second: int) -> None:
        self.scorer, self.places, self.scored = scorer, (first, second), 0
        told: dict[str, Sequence[Any]] = {
            name: [values[k] for k in self.places] for name, values in request.candidate_features.items()
        }
        two = [request.candidates[k] for k in self.places]
        self.request = replace(request, candidates=two, candidate_features=told)
        before = logits_without(scorer, self.request, [()])[0]  # [2]
        self.ahead = 1.0 if before[0] >= before[1] else -1.0
        self._rounding = TIED * max(1.0, float(np.abs(before).max()))
        self.tied = bool(abs(before[0] - before[1]) <= self._rounding)

    def leads(self, sets: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
        """Say by how much the candidate that is ahead is so without each set: ``[V]``."""
        self.scored += len(sets)
        logits = logits_without(self.scorer, self.request, sets)  # [V, 2]
        lead: NDArray[np.float64] = self.ahead * (logits[:, 0] - logits[:, 1])
        return lead

    def turns(self, leads: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say where the other candidate is ahead, by more than rounding."""
        return leads < -self._rounding

    def pruned(self, removed: list[int]) -> list[int]:
        """Put back what need not be left out, those first that were taken last."""
        for place in removed[::-1]:
            fewer = [k for k in removed if k != place]
            if fewer and self.turns(self.leads([tuple(fewer)]))[0]:
                removed = fewer
        return removed

    def flip(self, removed: list[int], exact: bool) -> Flip:
        after = probabilities(self.scorer, logits_without(self.scorer, self.request, [removed])[0])
        return Flip(
            first=self.places[0],
            second=self.places[1],
            removed=sorted(removed),
            exact=exact,
            scored=self.scored,
            after=(float(after[0]), float(after[1])),
        )


def probabilities(scorer: Scorer, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make scores of logits, as the scorer does: by the run's calibration, where it has one."""
    given = torch.from_numpy(logits)
    calibrated = given if scorer.calibration is None else scorer.calibration.clicks(given)
    scores: NDArray[np.float64] = torch.sigmoid(calibrated).numpy()
    return scores
