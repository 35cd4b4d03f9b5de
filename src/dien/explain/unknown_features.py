"""The influence of each feature of each behaviour: the logit with it, minus the logit with it unknown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.data.batch import STEPS_AT_ONCE, Batch, Values
from dien.data.ragged import row_of
from dien.explain.variants import read, taken
from dien.packed import Packed, lengths_to_offsets
from dien.serving import CheckedRequest, Scorer


def unknown_features(scorer: Scorer, request: CheckedRequest) -> dict[str, NDArray[np.float64]]:
    """Set one feature of one behaviour to unknown after the other, and ask the model each time.

    It is unknown in what the model embeds of the behaviour. Matches are counted before, from all that the
    history holds, and stay as they are; so does the choice of behaviours with ``filter_by``.

    Args:
        scorer: of the run.
        request: as it was checked, of ``T`` behaviours and ``B`` candidates.

    Returns:
        By feature of an item or a behaviour ``[B, T]``; 0 for behaviours that are no step of the candidate.
    """
    T, B = len(request.history), len(request.candidates)
    found: dict[str, NDArray[np.float64]] = {}
    for one in read(scorer, request):
        batch, read_places = one.reading.batch, one.reading.read  # [N] place of each step
        places = np.unique(read_places)
        reads = np.zeros((len(batch.offsets) - 1, T), np.bool_)
        reads[row_of(batch.offsets.diff().numpy()), read_places] = True
        reads = reads[batch.history_of.numpy()]  # [b, T] whether the candidate reads the behaviour
        before = _logits(scorer, batch)  # [b]
        for name in batch.history:
            influence = found.setdefault(name, np.zeros((B, T)))
            for some in _parts(places, len(before), scorer.run.config.model.max_history):
                unknown = read_places == some[:, None]  # [V, N]
                after = _logits(scorer, _variants(batch, name, unknown)).reshape(len(some), -1)  # [V, b]
                changed = before[:, None] - after.T  # [b, V]
                influence[one.candidates, some] = np.where(reads[:, some], changed, 0)
    return found


def _parts(places: NDArray[np.int64], candidates: int, longest: int) -> Iterator[NDArray[np.int64]]:
    """Cut the places of a history so that the variants of each part are few enough to ask at once."""
    most = max(1, STEPS_AT_ONCE // (candidates * longest))
    return (places[start : start + most] for start in range(0, len(places), most))


def _logits(scorer: Scorer, batch: Batch) -> NDArray[np.float64]:
    with torch.inference_mode():
        logits: NDArray[np.float64] = scorer.model(batch.to(scorer.device)).logits.cpu().double().numpy()
    return logits


def _variants(batch: Batch, name: str, unknown: NDArray[np.bool_]) -> Batch:
    """Repeat a batch ``V`` times, with a feature of some steps unknown in each: ``[V, N]``."""
    V, b, F, N = len(unknown), len(batch), len(batch.offsets) - 1, unknown.shape[1]
    every, histories, steps = (torch.arange(n).repeat(V) for n in (b, F, N))
    history = taken(batch.history, steps)
    history[name] = _unknown_at(history[name], torch.from_numpy(unknown.reshape(-1)))
    return Batch(
        history=history,
        offsets=lengths_to_offsets(batch.offsets.diff().repeat(V)),
        history_of=(torch.arange(V)[:, None] * F + batch.history_of).flatten(),
        target=taken(batch.target, every),
        user=taken(batch.user, histories),
        context=taken(batch.context, histories),
        matches=None if batch.matches is None else batch.matches[every],
        popularity=None if batch.popularity is None else batch.popularity[every],
    )


def _unknown_at(column: Values, rows: Tensor) -> Values:
    """Make the values of marked rows ``[n]`` unknown: index 0, no number, or an empty list."""
    if isinstance(column, Packed):
        kept = ~rows.repeat_interleave(column.lengths)
        return Packed(column.values[kept], lengths_to_offsets(column.lengths.masked_fill(rows, 0)))
    changed = column.clone()
    changed[rows] = float("nan") if changed.is_floating_point() else 0
    return changed
