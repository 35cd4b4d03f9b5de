"""Attention of a target over interest states, packed: one logit for every (candidate, step)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.layers.mlp import MLP
from dien.ops import mlp_attention, pair_products, pair_sums, segment_softmax
from dien.packed import Pairs


class BilinearAttention(nn.Module):
    """``a_t = softmax_t(h_t W e_a)`` (eq. 8).

    Args:
        state_width: ``H``.
        target_width: ``D``.
    """

    def __init__(self, state_width: int, target_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(state_width, target_width))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, states: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        """Score every pair.

        Args:
            states: ``[N, H]`` packed interest states.
            targets: ``[B, D]`` candidates.
            pairs: which steps each candidate reads.

        Returns:
            ``[P]``, adding up to 1 over each candidate.
        """
        queries = F.linear(targets, self.weight)  # [B, H]
        logits = pair_products(states, queries, pairs.starts, pairs.lengths)  # [P]
        return segment_softmax(logits, pairs.lengths)


class MLPAttention(nn.Module):
    """MLP on ``[q, k, q - k, q * k]`` for target ``q`` and state ``k``, as DIN's and RecBole's.

    With an activation of each element alone, the four-fold concatenation is never built
    (:func:`dien.ops.mlp_attention`).

    Args:
        width: ``H`` of a state, which must be the target's too.
        hidden: widths of the hidden layers.
        activation: of these; see :func:`dien.layers.mlp.activation`.
        softmax: whether the scores of a candidate add up to 1.
        scale: whether logits are divided by ``sqrt(H)``, as RecBole does and neither paper nor authors do.
    """

    def __init__(
        self,
        width: int,
        hidden: Sequence[int] = (80, 40),
        activation: str | type[nn.Module] | None = "sigmoid",
        *,
        softmax: bool = True,
        scale: bool = False,
    ) -> None:
        super().__init__()
        self.softmax = softmax
        self.divisor = width**0.5 if scale else 1.0
        widths = [4 * width, *hidden]
        self.att_mlp_layers = MLP(widths, activation)
        self.dense = nn.Linear(widths[-1], 1)

    def forward(self, states: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        """Score every pair; arguments and result as :meth:`BilinearAttention.forward`.

        Raises:
            ValueError: targets and states differ in width.
        """
        if states.shape[1] != targets.shape[1]:
            raise ValueError(
                f"MLP attention: states {list(states.shape)} and targets {list(targets.shape)}; expected one "
                "width, since they are subtracted and multiplied"
            )
        tail = self.att_mlp_layers.tail(self.dense)
        if tail is not None:
            first = self.att_mlp_layers.first
            logits = mlp_attention(
                states, targets, pairs.starts, pairs.lengths, first.weight, first.bias, tail
            )  # [P]
        else:
            state, target = states.index_select(0, pairs.step), targets.index_select(0, pairs.row)
            together = torch.cat([target, state, target - state, target * state], 1)  # [P, 4H]
            logits = self.dense(self.att_mlp_layers(together)).squeeze(1)
        if self.divisor != 1:
            logits = logits / self.divisor
        return segment_softmax(logits, pairs.lengths) if self.softmax else logits


class BehaviourAttention(nn.Module):
    """DIN's interest in a target: behaviours summed by their attention to it (eq. 3 of DIN, with a softmax).

    Args:
        width: ``E`` of a behaviour.
        target_width: ``D``; where it is another, the target is projected.
        hidden: widths of the attention's hidden layers.
    """

    def __init__(self, width: int, target_width: int, hidden: Sequence[int] = (80, 40)) -> None:
        super().__init__()
        # The attention subtracts and multiplies target and behaviour: it wants them equally wide.
        self.query = nn.Linear(target_width, width) if target_width != width else nn.Identity()
        self.attention = MLPAttention(width, hidden)

    def forward(self, behaviours: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        """Sum up the behaviours of each candidate.

        Args:
            behaviours: ``[N, E]`` packed.
            targets: ``[B, D]`` candidates.
            pairs: which behaviours each candidate reads.

        Returns:
            ``[B, E]``, zero for a candidate without behaviours.
        """
        scores = self.attention(behaviours, self.query(targets), pairs)  # [P]
        return pair_sums(behaviours, scores, pairs.starts, pairs.lengths)
