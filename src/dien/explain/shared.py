"""Scoring variants of a request, with what they have in common computed once.

A variant is a request without some of its behaviours. What attention to the behaviours themselves, as DIN's,
thinks of a behaviour hangs on that behaviour and the candidate alone: its logit is that of the whole request,
and only the softmax over what is left is another. That is most of what DIN computes. Of DIEN, the states
before the first behaviour that is left out are taken from a few runs (:mod:`dien.explain.prefixes`).

It is shared without a word in the models: they are called, in a copy in which such a layer is replaced by one
that knows.
"""

from __future__ import annotations

import copy
import threading
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dien.explain.attention import OF_BEHAVIOURS, OF_STATES, attention_layers
from dien.explain.prefixes import LEAST, MOST, NODES, AfterPrefixes, Prefixes
from dien.explain.traces import Kept, layers_kept
from dien.explain.variants import Read
from dien.layers import AttentionGRU, MLPAttention
from dien.ops import segment_softmax
from dien.packed import Pairs


class SharedScoring:
    """Scores variants of some candidates of a request.

    Args:
        one: the candidates, as the model reads them.
        sharing: whether anything is shared; without, each variant is scored as if it were the only one.

    Attributes:
        logits: ``[b]`` of the request with all of its behaviours.
    """

    def __init__(self, one: Read, *, sharing: bool = True) -> None:
        model = one.scorer.model
        layer = attention_layers(model).get(OF_BEHAVIOURS)
        # The vector of a behaviour's place is another once a newer one is left out.
        sharing = sharing and not one.scorer.run.config.model.position_embedding
        self._one, self._layer = one, layer if sharing and isinstance(layer, MLPAttention) else None
        batch = one.reading.batch.to(one.scorer.device)
        given: list[tuple[Any, ...]] = []
        handle, thread = None, threading.get_ident()

        def keep(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            if threading.get_ident() == thread:
                given.append(arguments)

        if self._layer is not None:
            handle = self._layer.register_forward_pre_hook(keep)
        try:
            with layers_kept(model) as kept:
                self.logits: Tensor = model(batch).logits
        finally:
            if handle is not None:
                handle.remove()
        self._known: Tensor | None = None
        if self._layer is not None and len(given) == 1:
            raw = copy.copy(self._layer)
            raw.softmax = False
            self._known = raw(*given[0])  # [P] logits of all pairs
            pairs: Pairs = given[0][2]
            self._step = pairs.step
        self._prefixes = _prefixes(kept, len(batch), len(batch.offsets) - 1) if sharing else None

    def without(self, removed: NDArray[np.bool_]) -> Tensor:
        """Score the candidates without some behaviours.

        Args:
            removed: ``[V, T]`` the behaviours that each of ``V`` variants is without.

        Returns:
            ``[V, b]`` logits.
        """
        one = self._one
        batch = one.without(removed).to(one.scorer.device)
        model = one.scorer.model
        if self._known is not None:
            assert self._layer is not None
            model = _with(model, self._layer, _Known(self._left(removed), self._layer.softmax))
        if self._prefixes is not None:
            after = AfterPrefixes(self._prefixes, removed[:, one.reading.read])
            model = _with(model, self._prefixes.rnn, after)
        found: Tensor = model(batch).logits.reshape(len(removed), len(one.reading.batch))
        return found

    def _left(self, removed: NDArray[np.bool_]) -> Tensor:
        """Take the logits of what is left in each variant, one variant after the other."""
        known, b = self._known, len(self._one.reading.batch)
        assert known is not None
        kept = torch.from_numpy(~removed[:, self._one.reading.read]).to(known.device)  # [V, N]
        if len(self._one.reading.batch.offsets) == 2:  # one history: every candidate lacks the same
            of_candidates = known.reshape(b, -1)
            rows = [of_candidates.index_select(1, one.nonzero().squeeze(1)).flatten() for one in kept]
            return torch.cat([known[:0], *rows])
        return known.expand(len(removed), -1)[kept[:, self._step]]


def _prefixes(kept: Kept, b: int, histories: int) -> Prefixes | None:
    """Run what variants of ``b`` candidates share of an evolving layer; None where that is no use."""
    if kept.evolution is None or kept.interests is None or histories != 1:
        return None
    rnn, T = getattr(kept.evolution.dynamic_rnn, "rnn", None), len(kept.interests)
    if not isinstance(rnn, AttentionGRU) or T < LEAST or T * b * NODES > MOST:
        return None
    return Prefixes(rnn, kept.interests, kept.attention[OF_STATES].reshape(b, T))


class _Known(nn.Module):
    """Attention whose logits ``[P]`` are known."""

    def __init__(self, logits: Tensor, softmax: bool) -> None:
        super().__init__()
        self.logits, self.softmax = logits, softmax

    def forward(self, states: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        """Score every pair, as the layer in whose place it stands."""
        return segment_softmax(self.logits, pairs.lengths) if self.softmax else self.logits


def _with(module: Any, old: nn.Module, new: nn.Module) -> Any:
    """Copy a module, with another in place of one of its parts; all else is shared."""
    if module is old:
        return new
    if all(part is not old for part in module.modules()):
        return module
    copied = copy.copy(module)
    parts = cast("dict[str, nn.Module | None]", module._modules)
    copied._modules = {name: None if part is None else _with(part, old, new) for name, part in parts.items()}
    return copied
