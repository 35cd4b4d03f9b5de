"""Explain the scores of a request: everything that an explanation says, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from dien.data.changing import LATEST, values_at
from dien.data.item_names import ItemNames
from dien.explain.explanation import (
    ExplainedCandidate,
    Explanation,
    Influenced,
    ShownBehaviour,
    ShownItem,
)
from dien.explain.flips import find_flip
from dien.explain.guesses import guesses
from dien.explain.influence import influence, logits_without
from dien.explain.paths import in_two_dimensions
from dien.explain.raw_text import features_text
from dien.explain.runs import runs_of
from dien.explain.traces import traces
from dien.explain.unknown_features import unknown_features
from dien.serving import Request, Scorer
from dien.serving.store.raw_values import decoder
from dien.threads import one_thread


@one_thread()
def explain(
    scorer: Scorer, request: Request, *, names: ItemNames | None = None, seed: int = 0
) -> Explanation:
    """Say what decided the scores of a request.

    Args:
        scorer: of a run whose model reads histories.
        request: as for :meth:`dien.Scorer.score_many`.
        names: of items; None for those of the dataset that the scorer was given, or of the run where that has
            none.
        seed: of the items that the extractor's guesses are compared with.

    Returns:
        The explanation; its candidates are in the order of the request.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`, or there is no candidate.
    """
    checked = scorer.check(request)
    if not checked.candidates:
        raise ValueError("candidates: found none, expected the ids of the items to explain")
    T, config = len(checked.history), scorer.run.config.model
    runs = runs_of(checked.times if scorer.fields.timed else None, checked.time, T)
    left_out: list[Sequence[int]] = [(), *(range(run.first, run.last + 1) for run in runs)]
    logits, *of_runs = logits_without(scorer, checked, left_out)  # [B] each
    influences = influence(scorer, checked)  # [B, T]
    scores = scorer.score_many([checked])[0]  # [B]
    traced = traces(scorer, checked)
    reads = traced.reads  # [B, T]
    paths, variance = _paths(traced.states, reads)
    features = unknown_features(scorer, checked)
    if names is None and scorer.data is not None:
        names = scorer.data.names
    if names is None:
        names = scorer.run.names
    shown = _Items(scorer, names)
    history = shown.items(checked.history, checked.times)
    candidates = shown.items(checked.candidates, [checked.time] * len(logits), checked.candidate_features)
    times = [None] * T if checked.times is None else list(checked.times)
    return Explanation(
        run=scorer.run.path.absolute().name,
        model=config.name,
        user=checked.user,
        time=shown.time(checked.time),
        calibrated=scorer.calibration is not None,
        history=[
            ShownBehaviour(item=item, time=shown.time(time))
            for item, time in zip(history, times, strict=True)
        ],
        left_out=len(request.history) - T,
        matched=min(T, config.matched_history or 0),
        filter_by=config.filter_by,
        candidates=[
            ExplainedCandidate(
                item=item,
                score=float(scores[b]),
                logit=float(logits[b]),
                influence=influences[b].tolist(),
                runs=[
                    Influenced(
                        name=run.name, first=run.first, last=run.last, influence=float(logits[b] - of_run[b])
                    )
                    for run, of_run in zip(runs, of_runs, strict=True)
                ],
                features={name: _where(reads[b], found[b]) for name, found in features.items()},
                attention={layer: _where(reads[b], found[b]) for layer, found in traced.attention.items()},
                gate=[] if traced.gate is None else _where(reads[b], traced.gate[b]),
                path=[] if paths is None else paths[b],
                reads=int(reads[b].sum()),
            )
            for b, item in enumerate(candidates)
        ],
        guess=guesses(scorer, checked, traced, seed=seed),
        flip=find_flip(scorer, checked) if len(logits) > 1 else None,
        variance=list(variance),
    )


class _Items:
    """Shows items with their names and raw features."""

    def __init__(self, scorer: Scorer, names: ItemNames | None) -> None:
        self._catalogue, self._names = scorer.catalogue, names
        self._timed = scorer.fields.timed
        vocabularies = scorer.run.vocabularies
        features = [feature for feature in scorer.run.schema.of("item") if feature.name != "item"]
        decoders = {feature.name: decoder(feature, vocabularies) for feature in features}
        self._decoders = {name: decode for name, decode in decoders.items() if decode is not None}

    def items(
        self,
        ids: Sequence[str],
        times: Sequence[int | None] | None,
        told: Mapping[str, Sequence[object]] | None = None,
    ) -> list[ShownItem]:
        """Show items ``[n]`` as they were at some times.

        Args:
            ids: of the items.
            times: None for now.
            told: ``n`` values by feature, which count in place of those that are known; None is not told.
        """
        rows = self._catalogue.item_ids.encode_values(list(ids))
        at = np.array([LATEST if time is None else time for time in times or [None] * len(ids)], np.int64)
        stored = values_at({name: self._catalogue.items[name] for name in self._decoders}, rows, at)
        raw = {name: decode(stored[name]) for name, decode in self._decoders.items()}
        return [
            ShownItem(
                id=one,
                name=None if self._names is None else self._names.name(one),
                features=features_text(raw, k) | features_text(told or {}, k),
            )
            for k, one in enumerate(ids)
        ]

    def time(self, second: int | None) -> str | None:
        """Write a time in ISO 8601, in UTC; None where the log has an order and no times."""
        if second is None or not self._timed:
            return None
        return datetime.fromtimestamp(second, timezone.utc).isoformat().replace("+00:00", "Z")


def _where(read: NDArray[np.bool_], values: NDArray[np.floating]) -> list[float | None]:
    """Give values ``[T]`` of the behaviours that are read as a sequence, None of the others."""
    return [value if kept else None for value, kept in zip(values.tolist(), read.tolist(), strict=True)]


def _paths(
    states: NDArray[np.floating] | None, read: NDArray[np.bool_]
) -> tuple[list[list[tuple[float, float] | None]] | None, Sequence[float]]:
    """Project the states ``[B, T, H]`` after the behaviours that are read ``[B, T]``, all together.

    Returns:
        For each of ``B`` candidates a place for each of ``T`` behaviours, None where it is not read; None
        where there are no states. And the shares of the variance.
    """
    if states is None or not read.any():
        return None, ()
    places, variance = in_two_dimensions(states[read])
    found: list[list[tuple[float, float] | None]] = [[None] * read.shape[1] for _ in read]
    for b, t, place in zip(*np.nonzero(read), places.tolist(), strict=True):
        found[b][t] = (place[0], place[1])
    return found, variance
