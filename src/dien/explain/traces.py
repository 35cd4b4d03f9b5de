"""What a model does along a history: attention, update gates and states, kept by hooks as it scores.

Models know nothing of it: the layers are found by what they are (:mod:`dien.explain.attention`), and what
they were given and gave is kept while the model is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dien.data.batch import Batch, Values
from dien.data.batches import columns_of
from dien.data.changing import values_at
from dien.explain.attention import OF_STATES
from dien.explain.kept import Kept, layers_kept, one_of
from dien.explain.variants import read
from dien.layers import AttentionGRU, InterestEvolution, InterestExtractor, packed_gru
from dien.models.inputs import Inputs
from dien.ops.attention_gru.reference import attentional_update
from dien.packed import Packed, Pairs, lengths_to_offsets
from dien.serving import CheckedRequest, Request, Scorer
from dien.threads import one_thread

LOGITS_AT_ONCE = 1 << 18
"""Logits of the auxiliary network that are asked for at once: a hundred megabytes or so."""


@dataclass(frozen=True)
class PackedTraces:
    """Traces of a batch of ``B`` candidates, over the ``P`` pairs of candidates and behaviours they read.

    Attributes:
        pairs: which these are.
        attention: by layer (:mod:`dien.explain.attention`), the score of each, ``[P]``.
        states: ``[P, H]`` the evolving state after each; None where the model has no evolving layer.
        gate: ``[P]`` the share of the new state that each step takes over, mean over the units; likewise.
        interests: ``[N, H]`` the extractor's state after each behaviour; likewise.
        next_logits: ``[N]`` the auxiliary network's logit of the behaviour that came next, NaN for the last
            of a history; None where the model has no such network.
    """

    pairs: Pairs
    attention: dict[str, Tensor]
    states: Tensor | None = None
    gate: Tensor | None = None
    interests: Tensor | None = None
    next_logits: Tensor | None = None


@dataclass(frozen=True)
class Traces:
    """Traces of a request of ``B`` candidates, over the ``T`` behaviours the model reads something of.

    A candidate may read only some of the behaviours (``model.filter_by``), and matches are counted over older
    ones than the newest ``max_history``. Those that are not read have no attention and no gate, and leave a
    state as it was before; the first is zero.

    Attributes:
        reads: ``[B, T]`` whether the candidate reads the behaviour as a step.
        attention: by layer (:mod:`dien.explain.attention`) ``[B, T]``; empty where the model has none.
        gate: ``[B, T]`` the share of the new state that each step takes over, attention included, mean over
            the units; None where the model has no evolving layer.
        states: ``[B, T, H]`` the evolving state after each step; likewise.
        interests: ``[B, T, H]`` the extractor's state after each behaviour; likewise.
        next_logits: ``[B, T]`` the auxiliary network's logit of the behaviour that the candidate reads next,
            NaN where there is none; None where the model has no such network.
    """

    reads: NDArray[np.bool_]
    attention: dict[str, NDArray[np.float64]]
    gate: NDArray[np.float64] | None = None
    states: NDArray[np.floating] | None = None
    interests: NDArray[np.floating] | None = None
    next_logits: NDArray[np.float64] | None = None


@one_thread()
def traces(scorer: Scorer, request: Request | CheckedRequest) -> Traces:
    """Trace what the model of a run does along the history of a request.

    Args:
        scorer: of the run.
        request: as for :meth:`dien.Scorer.score`.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`.
    """
    if isinstance(request, Request):
        request = scorer.check(request)
    B, T = len(request.candidates), len(request.history)
    parts = []
    with torch.inference_mode():
        for one in read(scorer, request):
            batch = one.reading.batch
            found = packed_traces(scorer.model, batch.to(scorer.device))
            parts.append(_placed(found, batch, torch.from_numpy(one.reading.read), T))
    if not parts:  # no candidates
        return Traces(np.zeros((B, T), np.bool_), {})

    def joined(name: str) -> Any:
        some = [getattr(part, name) for part in parts]
        return None if some[0] is None else np.concatenate(some)

    return Traces(
        reads=joined("reads"),
        attention={name: np.concatenate([p.attention[name] for p in parts]) for name in parts[0].attention},
        gate=joined("gate"),
        states=joined("states"),
        interests=joined("interests"),
        next_logits=joined("next_logits"),
    )


def packed_traces(model: nn.Module, batch: Batch) -> PackedTraces:
    """Trace what a model does along the histories of a batch.

    Args:
        model: any; called once, with this batch.
        batch: of candidates.
    """
    with layers_kept(model) as kept:
        model(batch)
    pairs = Pairs.of_histories(batch.offsets, batch.history_of)
    if kept.evolution is None:
        return PackedTraces(pairs, kept.attention)
    layer, interests = kept.evolution, kept.interests
    assert interests is not None
    states, gate = _evolved(layer, interests, kept.keys, pairs, kept.attention[OF_STATES])
    return PackedTraces(
        pairs, kept.attention, states, gate, interests, _next_logits(kept, interests, batch.offsets)
    )


def item_logits(
    scorer: Scorer,
    states: NDArray[np.floating],
    items: NDArray[np.integer],
    *,
    time: int | None = None,
) -> NDArray[np.float64]:
    """Ask the auxiliary network how well items go with interest states: what the extractor expects next.

    Args:
        scorer: of a run whose model has an auxiliary network.
        states: ``[S, H]`` interest states (:attr:`Traces.interests`).
        items: ``[K]`` item rows of the catalogue; below 0, as items without a row are told apart, is unknown.
        time: seconds since 1970 as of which the items have their features; None for the latest.

    Returns:
        ``[S, K]`` logits.

    Raises:
        ValueError: there is no auxiliary network, or the catalogue does not have an item.
    """
    extractor, inputs = one_of(scorer.model, InterestExtractor), one_of(scorer.model, Inputs)
    if extractor is None or extractor.auxiliary_net is None or inputs is None:
        raise ValueError(f"{scorer!r}: has no auxiliary network, and so no guess of what comes next")
    known = len(scorer.catalogue.item_ids)
    if (items >= known).any():
        raise ValueError(
            f"items: found row {items.max()}, expected rows below {known}, the catalogue's items"
        )
    S, K, device = len(states), len(items), scorer.device
    found = np.empty((S, K))
    each = torch.arange(S, device=device)
    at_once = max(1, LOGITS_AT_ONCE // max(1, S))
    with torch.inference_mode():
        for start in range(0, K, at_once):
            rows = np.maximum(items[start : start + at_once], 0)
            then = None if time is None else np.full(len(rows), time)
            columns = columns_of(values_at(scorer.catalogue.items, rows, then))
            there = {name: _on(device, column) for name, column in columns.items()}
            (embedded,) = inputs.item(there)  # [k, D]
            packed = Packed(torch.from_numpy(states).to(embedded), torch.arange(S + 1, device=device))
            logits = extractor.score(packed, embedded.repeat(S, 1), each.repeat_interleave(len(rows)))
            found[:, start : start + len(rows)] = logits.reshape(S, len(rows)).cpu().numpy()
    return found


def _on(device: torch.device, column: Values) -> Values:
    if isinstance(column, Packed):
        return Packed(column.values.to(device), column.offsets.to(device))
    return column.to(device)


def _evolved(
    layer: InterestEvolution, interests: Tensor, keys: Tensor, pairs: Pairs, scores: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an evolving layer again, for all of its states.

    Args:
        layer: of any kind.
        interests: ``[N, H]`` what it reads.
        keys: ``[N, H]`` what its attention looks at: with ``gru``, the second GRU's states.
        pairs: of candidates and steps.
        scores: ``[P]`` of these.

    Returns:
        States ``[P, H]`` and update gates ``[P]``, mean over the units.
    """
    read, kind = interests.index_select(0, pairs.step), layer.kind  # [P, H]
    attention: Tensor | None = scores[:, None]
    rnn = layer.dynamic_rnn if isinstance(layer.dynamic_rnn, nn.GRU) else layer.dynamic_rnn.rnn
    if isinstance(rnn, AttentionGRU):
        states = rnn.run(interests, pairs.starts, pairs.lengths, scores, outputs="all")
        weight_ih, weight_hh, bias_ih, bias_hh = rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh
    else:
        if kind == "gru":
            states = keys.index_select(0, pairs.step)
        else:
            read = read * scores[:, None]
            states = packed_gru(rnn, Packed(read, lengths_to_offsets(pairs.lengths)), layer.reset)
        weight_ih, weight_hh, bias_ih, bias_hh = rnn.all_weights[0]
        kind, attention = "gru", None
    H = states.shape[1]
    first = (lengths_to_offsets(pairs.lengths)[:-1])[pairs.lengths > 0]
    before = F.pad(states, (0, 0, 1, 0))[:-1].index_fill(0, first, 0.0)
    of_update = slice(H, 2 * H)
    u = torch.sigmoid(
        F.linear(read, weight_ih[of_update], None if bias_ih is None else bias_ih[of_update])
        + F.linear(before, weight_hh[of_update], None if bias_hh is None else bias_hh[of_update])
    )
    return states, attentional_update(kind, u, attention).mean(1)


def _next_logits(kept: Kept, interests: Tensor, offsets: Tensor) -> Tensor | None:
    """Ask the auxiliary network of each behaviour that came next, ``[N]``; NaN for the last of a history."""
    extractor, items = kept.extractor, kept.items
    if extractor is None or extractor.auxiliary_net is None or items is None:
        return None
    N = len(interests)
    found = interests.new_full((N,), float("nan"))
    last = torch.zeros(N, dtype=torch.bool, device=offsets.device)
    last[offsets[1:][offsets.diff() > 0] - 1] = True
    now = torch.nonzero(~last).squeeze(1)
    each = Packed(interests, torch.arange(N + 1, device=offsets.device))
    found[now] = extractor.score(each, items[now + 1], now).squeeze(1)
    return found


def _placed(found: PackedTraces, batch: Batch, place: Tensor, T: int) -> Traces:
    """Put packed traces where their behaviours stand among all ``T`` that the model reads something of.

    Args:
        found: of a batch.
        batch: on the CPU.
        place: ``[N]`` of the steps of the batch.
        T: places.
    """
    B = len(batch)
    pairs = Pairs.of_histories(batch.offsets, batch.history_of)
    row, column = pairs.row, place[pairs.step]
    reads = torch.zeros(B, T, dtype=torch.bool)
    reads[row, column] = True
    # The newest step a candidate has read by each place: what it has not read leaves its state as it was.
    number = torch.zeros(B, T, dtype=torch.int64)
    number[row, column] = torch.arange(1, len(row) + 1)
    newest = number.cummax(1).values if T else number  # [B, T] from 1; 0 before the first

    def scattered(values: Tensor, fill: float = 0.0) -> NDArray[np.float64]:
        dense = torch.full((B, T), fill, dtype=torch.float64)
        dense[row, column] = values.cpu().double()
        result: NDArray[np.float64] = dense.numpy()
        return result

    def carried(values: Tensor | None) -> NDArray[np.floating] | None:
        if values is None:
            return None
        result: NDArray[np.floating] = F.pad(values.cpu(), (0, 0, 1, 0))[newest].numpy()
        return result

    step = pairs.step
    interests = None if found.interests is None else found.interests.cpu()[step]
    guesses = None if found.next_logits is None else found.next_logits.cpu()[step]
    return Traces(
        reads.numpy(),
        {name: scattered(scores) for name, scores in found.attention.items()},
        None if found.gate is None else scattered(found.gate),
        carried(found.states),
        carried(interests),
        None if guesses is None else scattered(guesses, float("nan")),
    )
