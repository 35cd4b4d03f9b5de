"""Interest evolution: attention picks the states that bear on the target, a second GRU follows them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from dien.layers.attention import BilinearAttention, MLPAttention
from dien.layers.gru import (
    AttentionGRU,
    AttentionKind,
    Initialisation,
    Reset,
    Rows,
    packed_gru,
    readable_weights,
)
from dien.ops import attention_gru, linear, pair_sums
from dien.packed import Packed, Pairs, lengths_to_offsets

EvolutionKind = Literal["gru", "aigru"] | AttentionKind


class InterestEvolution(nn.Module):
    """Final interest of each candidate from the interest states of its history.

    Args:
        state_size: width of an interest state, ``E``.
        hidden_size: ``H`` of the evolving GRU.
        attention: scores each (candidate, step) by target and state; with ``gru``, by target and the second
            GRU's state.
        kind: ``gru`` (attention pools the states of the second GRU), ``aigru`` (eq. 9), or an
            :class:`~dien.layers.AttentionGRU`: ``agru`` (eq. 10), ``augru`` (eq. 11-12) or
            ``augru-complement``.
        initialisation: of AGRU and AUGRU, as :class:`~dien.layers.AttentionGRU`.
        reset: whether the second GRU's reset gate stands ``after`` the recurrent product or, in plain
            PyTorch, ``before`` it, as in TensorFlow's GRUCell.
    """

    def __init__(
        self,
        state_size: int,
        hidden_size: int,
        attention: BilinearAttention | MLPAttention,
        kind: EvolutionKind = "augru",
        *,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        super().__init__()
        self.kind, self.reset = kind, reset
        self.attention_layer = attention
        self.dynamic_rnn: nn.GRU | _Recurrence
        if kind == "gru" or kind == "aigru":
            self.dynamic_rnn = nn.GRU(state_size, hidden_size, batch_first=True)
        else:
            rnn = AttentionGRU(state_size, hidden_size, kind, initialisation=initialisation, reset=reset)
            self.dynamic_rnn = _Recurrence(rnn)

    def evolve(
        self, targets: Tensor, states: Packed, pairs: Pairs, behaviours: Tensor | None = None
    ) -> Tensor:
        """Follow the interests of each candidate's history that bear on it.

        Args:
            targets: ``[B, D]``.
            states: values ``[N, H]``, the interest states of ``R`` histories.
            pairs: the steps each candidate reads.
            behaviours: ``[N, E]``, to be summed by the same attention scores; None for nothing beside.

        Returns:
            ``[B, H]``, zero for an empty history; with behaviours ``[B, H + E]``, their sum last.
        """
        # Called, so that hooks and pruning take effect.
        final: Tensor = self(targets, states, pairs, *(() if behaviours is None else (behaviours,)))
        return final

    def forward(
        self, queries: Tensor, keys: Packed, keys_length: Pairs, behaviours: Tensor | None = None
    ) -> Tensor:
        """Follow interests as :meth:`evolve`, of the same arguments: targets, states, pairs, behaviours."""
        targets, states, pairs, rnn = queries, keys, keys_length, self.dynamic_rnn
        if self.kind == "gru":  # it does not look at the target: it runs once a history
            assert isinstance(rnn, nn.GRU)
            states = Packed(packed_gru(rnn, states, self.reset), states.offsets)  # values [N, H]
        scores = self.attention_layer(states.values, targets, pairs)  # [P]
        if self.kind == "gru":
            final = pair_sums(states.values, scores, pairs.starts, pairs.lengths)
        elif isinstance(rnn, nn.GRU):
            final = self._scaled_inputs(rnn, states, pairs, scores)
        else:
            final = rnn(Rows(states.values, pairs.starts, pairs.lengths, scores))
        if behaviours is None:
            return final
        return torch.cat([final, pair_sums(behaviours, scores, pairs.starts, pairs.lengths)], 1)

    def _scaled_inputs(self, gru: nn.GRU, states: Packed, pairs: Pairs, scores: Tensor) -> Tensor:
        """Run AIGRU's GRU over states scaled by their scores ``[P]`` (eq. 9): ``[B, H]``."""
        weights = readable_weights(gru)
        if weights is None or self.reset == "before":
            read = states.values.index_select(0, pairs.step) * scores[:, None]  # [P, H]
            return packed_gru(gru, Packed(read, lengths_to_offsets(pairs.lengths)), self.reset, "last")
        # W (a h) = a (W h): the projection is shared, each candidate scales a copy.
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        inputs = linear(states.values, weight_ih).index_select(0, pairs.step) * scores[:, None]  # [P, 3H]
        inputs = inputs if bias_ih is None else inputs + bias_ih
        starts = lengths_to_offsets(pairs.lengths)[:-1]
        return attention_gru(inputs, weight_hh, bias_hh, starts, pairs.lengths, kind="gru")


class _Recurrence(nn.Module):
    """An AttentionGRU whose parameters have the names of RecBole's, ``dynamic_rnn.rnn.weight_ih``."""

    def __init__(self, rnn: AttentionGRU) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, rows: Rows) -> Tensor:
        """Run over rows of packed inputs."""
        states: Tensor = self.rnn(rows)
        return states
