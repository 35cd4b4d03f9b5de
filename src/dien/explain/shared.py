"""Scoring variants of a request, with what they have in common computed once.

A variant is a request without some of its behaviours. Three things are shared:

- A candidate of which the model reads the same in several variants, as where behaviours are left out that are
  no steps and only its matches tell of, is scored once for all of them.
- What attention to the behaviours themselves, as DIN's, thinks of a behaviour hangs on that behaviour and the
  candidate alone: its logit is that of the whole request, and only the softmax over what is left is another.
  That is most of what DIN computes.
- Of DIEN, the states before the first behaviour that is left out are taken from a few runs
  (:mod:`dien.explain.prefixes`).

It is shared without a word in the models: they are called, in a copy in which such a layer is replaced by one
that knows. That one sees to it that it is given what the layer was given for the whole request, but for what
is left out; where it is not, as in a model of your own whose attention looks at the states of a GRU, the
layer itself is computed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dien.data.batch import ENTRIES_AT_ONCE, STEPS_AT_ONCE, Batch
from dien.explain.attention import OF_STATES
from dien.explain.kept import Kept, layers_kept
from dien.explain.prefixes import FEWEST, LEAST, MOST, NODES, AfterPrefixes, Prefixes
from dien.explain.variants import Read, distinct
from dien.layers import AttentionGRU, MLPAttention
from dien.ops import segment_softmax
from dien.packed import Pairs, lengths_to_offsets

SAME = 2e-6
"""How far what a layer is given may be from what it was given for the whole request, in proportion to the
largest number: products of other sizes round otherwise."""
PAIRS_AT_ONCE = 1 << 20
"""Variants times candidates, whose matches are counted at once."""


class SharedScoring:
    """Scores variants of some candidates of a request.

    Args:
        one: the candidates, as the model reads them.
        sharing: whether anything is shared; without, each variant is scored as if it were the only one.

    Attributes:
        logits: ``[b]`` of the request with all of its behaviours.
    """

    def __init__(self, one: Read, *, sharing: bool = True) -> None:
        self._one, self._sharing = one, sharing
        with torch.inference_mode(), layers_kept(one.scorer.model) as kept:
            self.logits: Tensor = one.scorer.model(one.reading.batch.to(one.scorer.device)).logits
        self._kept = kept
        self._layers = _of_behaviours(kept, one.reading.batch) if sharing else []
        self._prefixes: Prefixes | None = None

    def without(self, removed: NDArray[np.bool_]) -> Tensor:
        """Score the candidates without some behaviours.

        Args:
            removed: ``[V, T]`` the behaviours that each of ``V`` variants is without.

        Returns:
            ``[V, b]`` logits.
        """
        (V, T), b = removed.shape, len(self.logits)
        most = max(1, min(ENTRIES_AT_ONCE // max(1, T), PAIRS_AT_ONCE // b))
        with torch.inference_mode():
            parts = [self._some(removed[start : start + most]) for start in range(0, V, most)]
            return torch.cat(parts) if parts else self.logits.new_zeros(0, b)

    def _some(self, removed: NDArray[np.bool_]) -> Tensor:
        """Score as :meth:`without`, so few variants that memory is bounded."""
        one, V, b = self._one, len(removed), len(self.logits)
        matches = one.matches(removed)
        found = self.logits.repeat(V)  # [V * b]
        steps_differ = one.steps_differ(removed).reshape(-1)  # [V * b]
        if self._sharing:
            alike = np.flatnonzero(~steps_differ)
            if matches is not None and len(alike):
                self._matched(matches.numpy(), alike, found)
        else:
            steps_differ[:] = True
        for rows, of_one_length in self._at_once(removed, steps_differ):
            given = None if matches is None else matches[torch.from_numpy(rows)]
            prefixes = self._shared_prefixes() if of_one_length else None
            found[torch.from_numpy(rows)] = self._rows(removed, rows // b, rows % b, given, prefixes)
        return found.reshape(V, b)

    def _matched(self, matches: NDArray[np.float32], alike: NDArray[np.int64], found: Tensor) -> None:
        """Score the variants that differ in matches alone, each that is not like another.

        Args:
            matches: ``[V * b, ·]``.
            alike: ``[n]`` which of these.
            found: ``[V * b]`` where the logits go.
        """
        b, whole = len(self.logits), self._one.reading.batch.matches
        assert whole is not None
        of_candidate = alike % b
        bits = matches[alike].view(np.int32)  # NaN, too, is one number
        other = (bits != whole.numpy().view(np.int32)[of_candidate]).any(1)
        alike, of_candidate, bits = alike[other], of_candidate[other], bits[other]
        first, inverse = distinct(np.column_stack([of_candidate.astype(np.int32), bits]))
        logits = found.new_empty(len(first))
        nothing = np.zeros((1, len(self._one.rows.history)), np.bool_)
        for start in range(0, len(first), self._most_rows):
            rows = alike[first[start : start + self._most_rows]]
            given = torch.from_numpy(matches[rows])
            logits[start : start + len(rows)] = self._rows(nothing, np.zeros_like(rows), rows % b, given)
        found[torch.from_numpy(alike)] = logits[torch.from_numpy(inverse)]

    @property
    def _most_rows(self) -> int:
        return max(1, STEPS_AT_ONCE // self._one.scorer.run.config.model.max_history)

    def _at_once(
        self, removed: NDArray[np.bool_], wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], bool]]:
        """Cut the wanted rows ``[V * b]`` into parts: of one history, variants of one length are together.

        With each part goes whether it is of so many variants of one length that prefixes are of use.
        """
        b, most = len(self.logits), self._most_rows
        if not self._one.of_one_history:
            rows = np.flatnonzero(wanted)
            yield from ((rows[start : start + most], False) for start in range(0, len(rows), most))
            return
        variants = np.flatnonzero(wanted.reshape(-1, b).any(1))
        gaps = removed[variants][:, self._one.reading.read].sum(1)
        counts = np.bincount(gaps)
        groups = np.where(counts[gaps] >= FEWEST, gaps, -1)
        for group in np.unique(groups).tolist():
            some, of_one_length = variants[groups == group], group >= 0
            each = max(1, most // b)
            for start in range(0, len(some), each):
                yield (some[start : start + each, None] * b + np.arange(b)).reshape(-1), of_one_length

    def _rows(
        self,
        removed: NDArray[np.bool_],
        variant: NDArray[np.int64],
        candidate: NDArray[np.int64],
        matches: Tensor | None,
        prefixes: Prefixes | None = None,
    ) -> Tensor:
        """Score ``n`` candidates of variants, ``[n]``.

        Args:
            removed: ``[V, T]``.
            variant: ``[n]``.
            candidate: ``[n]``.
            matches: ``[n, ·]``.
            prefixes: where they are of use.
        """
        one, device, model = self._one, self._one.scorer.device, self._one.scorer.model
        batch, steps = one.variants(removed, variant, candidate, matches)
        batch, steps = batch.to(device), steps.to(device)
        of_candidate = torch.from_numpy(candidate).to(device)
        whole = one.of_one_history and removed.any()  # of one history, all candidates stand together
        variants = len(variant) // len(self.logits) if whole else None
        for layer in self._layers:
            model = _with(model, layer.layer, layer.knowing(steps, of_candidate, variants))
        if prefixes is not None:
            of_variants = removed[variant[:: len(self.logits)]][:, one.reading.read]
            after = AfterPrefixes(prefixes, of_variants)
            model = _with(model, prefixes.rnn, _standing_in(prefixes.rnn, after.run))
        found: Tensor = model(batch).logits
        return found

    def _shared_prefixes(self) -> Prefixes | None:
        """Run what variants share of an evolving layer, once; None where that is no use."""
        kept, b = self._kept, len(self.logits)
        if self._prefixes is not None or not self._sharing:
            return self._prefixes
        if kept.evolution is None or kept.interests is None or OF_STATES not in kept.attention:
            return None
        rnn, T = getattr(kept.evolution.dynamic_rnn, "rnn", None), len(kept.interests)
        scores = kept.attention[OF_STATES]
        if T < LEAST or T * b * NODES > MOST or scores.shape != (b * T,):
            return None
        if isinstance(rnn, AttentionGRU) and _is_of(rnn, AttentionGRU):
            self._prefixes = Prefixes(rnn, kept.interests, scores.reshape(b, T))
        return self._prefixes


class _OfBehaviours:
    """An attention layer, and what it said of each pair of the whole request."""

    def __init__(self, layer: MLPAttention, states: Tensor, targets: Tensor, pairs: Pairs) -> None:
        self.layer, self._states, self._targets = layer, states, targets
        raw = copy.copy(layer)
        raw.softmax = False
        with torch.inference_mode():
            self._logits = raw.forward(states, targets, pairs)  # [P]
        self._first = lengths_to_offsets(pairs.lengths)[:-1] - pairs.starts  # [b] of a pair, less its step

    def knowing(self, steps: Tensor, candidate: Tensor, variants: int | None) -> nn.Module:
        """Make the layer that knows what to say of variants.

        Args:
            steps: ``[N']`` of the whole request, those that the variants read.
            candidate: ``[n]``.
            variants: how many there are, each of one history and all candidates; None where they are not so.
        """

        def forward(states: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
            if not (
                len(pairs.lengths) == len(candidate)
                and _same(targets, self._targets, candidate)
                and _same(states, self._states, steps)
            ):
                return self.layer.forward(states, targets, pairs)
            if variants is None:
                logits = self._logits[steps[pairs.step] + self._first[candidate][pairs.row]]
            else:  # every candidate lacks the same: its logits of what is left, variant after variant
                of_candidates = self._logits.reshape(len(self._targets), -1)
                left = torch.split(steps, pairs.lengths[:: len(self._targets)].tolist())
                logits = torch.cat([of_candidates.index_select(1, some).flatten() for some in left])
            return segment_softmax(logits, pairs.lengths) if self.layer.softmax else logits

        return _standing_in(self.layer, forward)


def _of_behaviours(kept: Kept, batch: Batch) -> list[_OfBehaviours]:
    """Find the attention layers that were asked of all pairs of a batch, but for the evolving one."""
    found = []
    lengths = batch.offsets.diff()[batch.history_of]
    for name, layer in kept.layers.items():
        if name != OF_STATES and name in kept.asked and isinstance(layer, MLPAttention):
            states, targets, pairs = kept.asked[name]
            if _is_of(layer, MLPAttention) and torch.equal(pairs.lengths.cpu(), lengths):
                found.append(_OfBehaviours(layer, states, targets, pairs))
    return found


def _same(given: Tensor, whole: Tensor, rows: Tensor) -> bool:
    """Say whether what a layer is given ``[n, ·]`` are these rows of what it was given before."""
    if len(given) != len(rows) or given.shape[1:] != whole.shape[1:]:
        return False
    apart = (given - whole.index_select(0, rows)).abs()
    return not apart.numel() or bool(apart.amax() <= SAME * whole.abs().amax())


def _is_of(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Say whether a layer computes what its kind does, and no class or instance of it something else."""
    return type(layer).forward is kind.forward and "forward" not in vars(layer)


def _standing_in(layer: nn.Module, forward: Callable[..., Tensor]) -> nn.Module:
    """Copy a layer, with another forward and all else as it is."""
    made = copy.copy(layer)
    vars(made)["forward"] = forward
    return made


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
