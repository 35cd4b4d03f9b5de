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
from dien.explain.influence import WithoutBehaviours
from dien.serving import CheckedRequest, Scorer

MOST_PAIRS = 2000
"""So many pairs of behaviours are tried at most: those of a history of 63."""
FIRST_SETS = 32
"""So many growing sets are scored at first, then twice as many each time, until one changes the order."""
TIED = 1e-5
"""Logits that are no further apart, in whole or as a share of their size, are the same but for rounding."""


def find_flip(scorer: Scorer, request: CheckedRequest, first: int = 0, second: int = 1) -> Flip | None:
    """Search the shortest set of behaviours whose removal changes the order of two candidates.

    First every behaviour is left out alone, then every pair (where there are at most :data:`MOST_PAIRS`). Of
    several that change the order, the one that changes it most is given. Where none does, behaviours are
    left out one more at a time, those first that speak most for the candidate that is ahead, each by itself;
    from the first such set that changes the order, each is put back that is not needed. Those that alone
    change neither score are not among these. Whatever is found was scored: ``after`` are its scores. The
    order has changed where the other one is ahead by more than rounding (:data:`TIED`).

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
    alone = search.logits([(k,) for k in range(T)])  # [T, 2]
    singles = search.lead_of(alone)
    if search.turns(singles).any():
        return search.flip([int(singles.argmin())], exact=True)
    pairs = list(combinations(range(T), 2)) if T * (T - 1) // 2 <= MOST_PAIRS else []
    if pairs:
        of_pairs = search.leads(pairs)
        if search.turns(of_pairs).any():
            return search.flip(list(pairs[int(of_pairs.argmin())]), exact=True)
    some = np.flatnonzero((alone != search.before).any(1))
    order = some[np.argsort(singles[some], kind="stable")]  # first what speaks most for the one that is ahead
    larger = search.grown(order.tolist())
    if larger is None:
        return None
    removed = search.pruned(larger)
    return search.flip(removed, exact=len(removed) <= 2 or (len(removed) == 3 and bool(pairs)))


class _Search:
    def __init__(self, scorer: Scorer, request: CheckedRequest, first: int, second: int) -> None:
        self.scorer, self.places, self.scored = scorer, (first, second), 0
        told: dict[str, Sequence[Any]] = {
            name: [values[k] for k in self.places] for name, values in request.candidate_features.items()
        }
        two = [request.candidates[k] for k in self.places]
        of_two = replace(request, candidates=two, candidate_features=told)
        self._scoring = WithoutBehaviours(scorer, of_two)
        self.before = before = self._scoring.logits  # [2]
        self.ahead = 1.0 if before[0] >= before[1] else -1.0
        self._rounding = TIED * max(1.0, float(np.abs(before).max()))
        self.tied = bool(abs(before[0] - before[1]) <= self._rounding)

    def logits(self, sets: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Score the two without each set: ``[V, 2]``."""
        self.scored += len(sets)
        return self._scoring.without(sets)

    def lead_of(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Say by how much the candidate that is ahead is so, by logits ``[V, 2]``: ``[V]``."""
        lead: NDArray[np.float64] = self.ahead * (logits[:, 0] - logits[:, 1])
        return lead

    def leads(self, sets: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Say by how much it is so without each set: ``[V]``."""
        return self.lead_of(self.logits(sets))

    def turns(self, leads: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say where the other candidate is ahead, by more than rounding."""
        return leads < -self._rounding

    def grown(self, order: list[int]) -> list[int] | None:
        """Take the first of these behaviours, two or more, without which the order is another."""
        done, more = 1, FIRST_SETS
        while done < len(order):
            sets = [order[:n] for n in range(done + 1, min(done + more, len(order)) + 1)]
            turned = np.flatnonzero(self.turns(self.leads(sets)))
            if len(turned):
                return sets[int(turned[0])]
            done, more = done + len(sets), 2 * more
        return None

    def pruned(self, removed: list[int]) -> list[int]:
        """Put back what need not be left out: halves of it, then smaller parts, then each by itself.

        Of what can be put back, all is where that is possible, else what was taken last.
        """
        parts = 2
        while len(removed) > 1:
            parts = min(parts, len(removed))
            cut = [part.tolist() for part in np.array_split(removed, parts)]
            turned = np.flatnonzero(self.turns(self.leads([_less(removed, part) for part in cut]))).tolist()
            if not turned and parts == len(removed):
                break
            if not turned:
                parts *= 2
                continue
            fewer = _less(removed, [place for k in turned for place in cut[k]])
            if len(turned) > 1 and not (fewer and self.turns(self.leads([fewer]))[0]):
                fewer = _less(removed, cut[turned[-1]])
            removed, parts = fewer, max(2, parts - len(turned))
        return removed

    def flip(self, removed: list[int], exact: bool) -> Flip:
        after = probabilities(self.scorer, self._scoring.without([removed])[0])
        return Flip(
            first=self.places[0],
            second=self.places[1],
            removed=sorted(removed),
            exact=exact,
            scored=self.scored,
            after=(float(after[0]), float(after[1])),
        )


def _less(places: Sequence[int], fewer: Sequence[int]) -> list[int]:
    without = set(fewer)
    return [place for place in places if place not in without]


def probabilities(scorer: Scorer, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make scores of logits, as the scorer does: by the run's calibration, where it has one."""
    given = torch.from_numpy(logits)
    calibrated = given if scorer.calibration is None else scorer.calibration.clicks(given)
    scores: NDArray[np.float64] = torch.sigmoid(calibrated).numpy()
    return scores
