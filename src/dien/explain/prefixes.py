"""The evolving states before a behaviour that is left out, interpolated between a few that are computed.

Without a behaviour the interest states before it are what they were, and the softmax multiplies the attention
of all of these by one number, the candidate's own. So the evolving state before the gap is a smooth function
of that one number, and a few runs of the history, with attention multiplied by each of some numbers around 1,
give it for every gap: by the polynomial through them, to the last bits of a float. What comes after the gap
has other interest states, and is computed. That is half of the steps, and most of what DIEN computes.

Two more runs, with the numbers at the two ends, where the polynomial is as far off as anywhere, tell how far
that is at every step. Candidates where it is more than rounding (:data:`CLOSE`), and numbers beyond the range
of the runs, as where most of the attention was on what is left out, are computed from the first step. So are
all variants whose interest states or attention before the gap are not what is said here, as in a model of
your own.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.layers import AttentionGRU
from dien.layers.gru import Rows

NODES, LOW, HIGH = 5, 0.85, 1.3
"""Runs of the history, and the range of what their attention is multiplied by."""
CLOSE = 1e-6
"""How far the polynomial may be off from a state, whose numbers are between -1 and 1, at every step."""
SAME = 2e-6
"""How far interest states, and attention divided by its factor, may be from those of the whole history."""
FEW = 0.7
"""Share of the rows that can be interpolated, below which all are computed from the first step."""
LEAST = FEWEST = 4 * NODES
"""Steps of a history, and variants of it, from which on interpolating is less work."""
MOST = 1 << 20
"""Steps of all runs together, up to which their states are kept."""


class Prefixes:
    """Evolving states of every step of one history, as functions of what attention is multiplied by.

    Args:
        rnn: the evolving layer's.
        interests: ``[T, H]`` that it reads.
        scores: ``[b, T]`` attention of each candidate.
    """

    def __init__(self, rnn: AttentionGRU, interests: Tensor, scores: Tensor) -> None:
        b, T = scores.shape
        self.rnn, self.scores, self.interests = rnn, scores, interests
        angles = (
            (2 * torch.arange(NODES, device=scores.device, dtype=torch.float64) + 1) * math.pi / (2 * NODES)
        )
        self._nodes = (LOW + HIGH) / 2 + (HIGH - LOW) / 2 * torch.cos(angles)
        self._signs = torch.sin(angles) * (1 - 2 * (torch.arange(NODES, device=scores.device) % 2))
        ends = self._nodes.new_tensor([LOW, HIGH])
        factors = torch.cat([self._nodes, ends]).to(scores.dtype)
        every = factors.shape[0] * b
        starts = torch.zeros(every, dtype=torch.int64, device=scores.device)
        run = rnn.run(
            interests,
            starts,
            torch.full_like(starts, T),
            (factors[:, None, None] * scores).flatten(),
            outputs="all",
        ).reshape(len(factors), b, T, -1)
        self._nodes = factors[:-2].double()  # as they were rounded
        self._states = run[:-2]
        self.good: Tensor = torch.ones(b, dtype=torch.bool, device=scores.device)  # [b]
        weights = self._weights(factors[-2:].double()).to(run.dtype)  # [K, 2]
        for of_one in range(b):
            found = weights.t() @ self._states[:, of_one].flatten(1)  # [2, T * H]
            self.good[of_one] = (found - run[-2:, of_one].flatten(1)).abs_().amax() <= CLOSE

    def before(self, step: Tensor, factor: Tensor) -> Tensor:
        """Interpolate the state before a step.

        Args:
            step: ``[V]`` from 0.
            factor: ``[V, b]`` what the attention before it is multiplied by.

        Returns:
            ``[V, b, H]``, zero before the first step.
        """
        weights = self._weights(factor.double()).to(self._states.dtype)  # [K, V, b]
        last = (step - 1).clamp(min=0)
        found = torch.zeros((), dtype=self._states.dtype, device=step.device)
        for weight, states in zip(weights, self._states, strict=True):
            found = found + weight[..., None] * states.index_select(1, last).transpose(0, 1)
        return found * (step > 0)[:, None, None]

    def _weights(self, factor: Tensor) -> Tensor:
        """Weigh the runs for factors ``[...]``, by the barycentric formula: ``[K, ...]``."""
        shape = (-1, *[1] * factor.ndim)
        apart = factor - self._nodes.reshape(shape)
        at = apart == 0
        terms = self._signs.reshape(shape) / torch.where(at, 1.0, apart)
        terms = torch.where(at.any(0), at.double(), terms)
        return terms / terms.sum(0)


class AfterPrefixes:
    """An evolving layer's recurrence over variants, which computes from the first behaviour left out on.

    Args:
        prefixes: of the history with all behaviours.
        removed: ``[V, T]`` what each variant is without.
    """

    def __init__(self, prefixes: Prefixes, removed: NDArray[np.bool_]) -> None:
        self._prefixes = prefixes
        gaps = torch.from_numpy(removed).to(prefixes.scores.device)
        any_gap, T = gaps.any(1), gaps.shape[1]
        self._first = torch.where(any_gap, gaps.int().argmax(1), T)  # [V] steps before the first gap
        self._length = T - gaps.sum(1)  # [V]

    def run(self, input: Rows) -> Tensor:
        """Run over rows of packed inputs, variant after variant: the last states ``[V * b, H]``."""
        prefixes, first = self._prefixes, self._first
        rnn, base = prefixes.rnn, prefixes.scores  # [b, T]
        V, b, L = len(first), len(base), int(self._length[0])
        if L == 0 or not self._expected(input):
            return rnn.forward(input)
        scores = input.scores.reshape(V, b, L)
        # Where the attention before the gap is largest, the factor is the least rounded.
        largest = base.cummax(1).indices[:, (first - 1).clamp(min=0)].t()  # [V, b]
        inside = largest.clamp(max=L - 1)
        now = scores.gather(2, inside[..., None]).squeeze(2)
        factor = now / base.gather(1, inside.t()).t()
        fine = (factor >= LOW) & (factor <= HIGH) & prefixes.good
        # Attention before the gap is that of the whole history, but for the factor.
        apart = torch.addcmul(scores, factor[..., None], base[:, :L], value=-1).abs_()
        ahead = torch.arange(L, device=first.device) < first[:, None]  # [V, L]
        fine &= apart.mul_(ahead[:, None]).amax(2) <= SAME * now
        fine = (fine | (first == 0)[:, None]).flatten()  # [V * b]
        if float(fine.double().mean()) < FEW:
            return rnn.forward(input)
        state = prefixes.before(first, factor.nan_to_num(1.0).clamp(LOW, HIGH)).flatten(0, 1)
        skipped = first.repeat_interleave(b)
        rest = torch.cat([one[:, at:].reshape(-1) for one, at in zip(scores, first.tolist(), strict=True)])
        found = rnn.run(input.inputs, input.starts + skipped, input.lengths - skipped, rest, state=state)
        whole = torch.nonzero(~fine).squeeze(1)
        if len(whole):
            each = scores.reshape(V * b, L)[whole].flatten()
            found[whole] = rnn.run(input.inputs, input.starts[whole], input.lengths[whole], each)
        return found

    def _expected(self, input: Rows) -> bool:
        """Say whether rows are variants of one length, with the interests of the whole before the gap."""
        first, interests = self._first, self._prefixes.interests
        V, b, L = len(first), len(self._prefixes.scores), int(self._length[0])
        starts = (L * torch.arange(V, device=first.device)).repeat_interleave(b)
        if not (
            bool((self._length == L).all())
            and input.state is None
            and input.outputs == "last"
            and input.inputs.shape == (V * L, interests.shape[1])
            and torch.equal(input.starts, starts)
            and torch.equal(input.lengths, torch.full_like(starts, L))
        ):
            return False
        apart = (input.inputs.reshape(V, L, -1) - interests[:L]).abs_()
        ahead = torch.arange(L, device=first.device) < first[:, None]  # [V, L]
        return bool((apart * ahead[..., None]).amax() <= SAME)
