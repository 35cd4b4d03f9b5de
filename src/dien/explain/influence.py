"""The influence of each behaviour of a request on each candidate's logit, by leaving it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dien.explain.shared import SharedScoring
from dien.explain.variants import read
from dien.serving import Scorer
from dien.serving.request import CheckedRequest, Request
from dien.threads import one_thread


@one_thread()
def influence(scorer: Scorer, request: Request | CheckedRequest) -> NDArray[np.float64]:
    """Measure how much each behaviour speaks for each candidate.

    It is the logit of the request minus the logit of the request without this one behaviour, its time and
    features, in the steps the model reads and in the matches it counts. So the influences of a history are
    what :meth:`dien.Scorer.score` says of ``T`` requests, in log odds before the calibration. Where a history
    is longer than the model reads, no older behaviour takes the place of the one that is left out
    (:mod:`dien.explain.variants`).

    What variants of the request have in common is computed once (:mod:`dien.explain.shared`). With AGRU and
    AUGRU the evolving states before a gap are interpolated, where a check at every step finds them right to
    1e-6 (:mod:`dien.explain.prefixes`); an influence is then right to about 1e-5, and else to rounding.

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
    if isinstance(request, Request):
        request = scorer.check(request)
    return _influence(scorer, request, _each(len(request.history)), shared=True)


def naive_influence(scorer: Scorer, request: Request | CheckedRequest) -> NDArray[np.float64]:
    """Measure as :func:`influence`, with nothing shared by what is scored: the reference of its tests."""
    if isinstance(request, Request):
        request = scorer.check(request)
    return _influence(scorer, request, _each(len(request.history)), shared=False)


@one_thread()
def logits_without(
    scorer: Scorer, request: Request | CheckedRequest, removed: Iterable[Sequence[int]]
) -> NDArray[np.float64]:
    """Score a request without some of its behaviours.

    Args:
        scorer: of the run.
        request: as for :meth:`dien.Scorer.score`.
        removed: for each of ``V`` variants, the places of the behaviours that it is without, among the ``T``
            newest that the model reads something of (``model.longest_history``), counted from the oldest.

    Returns:
        ``[V, B]`` logits of the model, before the calibration.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`, or a place is out of range.
    """
    if isinstance(request, Request):
        request = scorer.check(request)
    marked = _marked(removed, len(request.history))
    return _logits(scorer, request, marked, shared=True)[1]


class WithoutBehaviours:
    """Scores a request without some of its behaviours as often as is asked; what is shared is computed once.

    Args:
        scorer: of the run.
        request: checked; of few candidates, since what is shared of all is kept.

    Attributes:
        logits: ``[B]`` with all of its behaviours.
    """

    def __init__(self, scorer: Scorer, request: CheckedRequest) -> None:
        self._length = len(request.history)
        self._parts = [SharedScoring(one) for one in read(scorer, request)]
        parts = [part.logits.cpu().double().numpy() for part in self._parts]
        self.logits: NDArray[np.float64] = np.concatenate(parts) if parts else np.empty(0)

    def without(self, removed: Iterable[Sequence[int]]) -> NDArray[np.float64]:
        """Score it ``[V, B]``, of variants as :func:`logits_without` takes them."""
        marked = _marked(removed, self._length)
        parts = [part.without(marked).cpu().double().numpy() for part in self._parts]
        return np.concatenate(parts, 1) if parts else np.empty((len(marked), 0))


def _influence(
    scorer: Scorer, request: CheckedRequest, removed: NDArray[np.bool_], *, shared: bool
) -> NDArray[np.float64]:
    """Take logits without behaviours ``[T, T]`` from those with all: ``[B, T]``."""
    whole, without = _logits(scorer, request, removed, shared=shared)
    return np.ascontiguousarray((whole - without).T)


def _logits(
    scorer: Scorer, request: CheckedRequest, removed: NDArray[np.bool_], *, shared: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score a request with all behaviours, ``[B]``, and without those that each of ``V`` variants lacks.

    Args:
        scorer: of the run.
        request: checked.
        removed: ``[V, T]``.
        shared: whether variants share anything.

    Returns:
        ``[B]`` and ``[V, B]`` logits.
    """
    whole = np.empty(len(request.candidates))
    without = np.empty((len(removed), len(request.candidates)))
    for one in read(scorer, request):
        scoring = SharedScoring(one, sharing=shared)
        whole[one.candidates] = scoring.logits.cpu().double().numpy()
        without[:, one.candidates] = scoring.without(removed).cpu().double().numpy()
    return whole, without


def _each(length: int) -> NDArray[np.bool_]:
    return np.eye(length, dtype=np.bool_)


def _marked(removed: Iterable[Sequence[int]], length: int) -> NDArray[np.bool_]:
    """Mark the places of ``V`` variants: ``[V, T]``."""
    places = [list(one) for one in removed]
    marked = np.zeros((len(places), length), np.bool_)
    for v, one in enumerate(places):
        wrong = [place for place in one if not 0 <= place < length]
        if wrong:
            raise ValueError(
                f"removed: place {wrong[0]} of variant {v}; expected places from 0, below {length}, the "
                "number of behaviours that the model reads"
            )
        marked[v, one] = True
    return marked
