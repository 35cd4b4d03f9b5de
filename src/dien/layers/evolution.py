"""Interest evolution: attention picks the states that bear on the target, a second GRU follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from dien.layers.attention import BilinearAttention, SequenceAttention
from dien.layers.cells import DynamicRNN, Initialisation, Reset, packed_gru
from dien.ops import attention_gru, linear, segment_sum
from dien.packed import Packed, Pairs, lengths_to_offsets


class InterestEvolvingLayer(nn.Module):
    """Final interest of each candidate from the interest states of its history.

    Args:
        mask_mat: not used, since nothing is computed on padding; kept for RecBole's signature.
        input_size: width of an interest state; with MLP attention also the target's.
        rnn_hidden_size: ``H`` of the evolving GRU.
        att_hidden_size: hidden widths of the MLP attention; where the first is ``4 * input_size`` it is
            taken for the input's, as in RecBole.
        activation: of the MLP attention.
        softmax_stag: whether the MLP attention's scores are normalised over the history.
        gru: ``GRU`` (attention pools the states of the second GRU), ``AIGRU`` (eq. 9), ``AGRU`` (eq. 10),
            ``AUGRU`` (eq. 11-12) or ``AUGRU-COMPLEMENT`` (:class:`~dien.layers.ComplementAUGRUCell`).
        attention: ``mlp``, or ``bilinear`` (eq. 8).
        target_size: width of the target for bilinear attention; ``input_size`` where None.
        scale: whether the MLP attention's logits are divided by ``sqrt(input_size)``: RecBole does, paper and
            authors do not.
        initialisation: of AGRU and AUGRU, as :class:`~dien.layers.AGRUCell`.
        reset: whether the second GRU's reset gate stands ``after`` the recurrent product or, in plain
            PyTorch, ``before`` it, as in TensorFlow's GRUCell.

    Raises:
        ValueError: another ``gru`` or ``attention``.
    """

    def __init__(
        self,
        mask_mat: Tensor | None,
        input_size: int,
        rnn_hidden_size: int,
        att_hidden_size: Sequence[int] = (80, 40),
        activation: str = "sigmoid",
        softmax_stag: bool = True,
        gru: str = "GRU",
        *,
        attention: Literal["mlp", "bilinear"] = "mlp",
        target_size: int | None = None,
        scale: bool = True,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        super().__init__()
        if gru not in (kinds := ("GRU", "AIGRU", "AGRU", "AUGRU", "AUGRU-COMPLEMENT")):
            raise ValueError(f"InterestEvolvingLayer: gru={gru!r}; expected one of {', '.join(kinds)}")
        self.gru, self.reset = gru, reset
        # Attention pools the outputs of the second GRU, and otherwise looks at what goes into it.
        attended = rnn_hidden_size if gru == "GRU" else input_size
        self.attention_layer: BilinearAttention | SequenceAttention
        if attention == "bilinear":
            self.attention_layer = BilinearAttention(
                attended, input_size if target_size is None else target_size
            )
        elif attention == "mlp":
            self.attention_layer = SequenceAttention(
                att_hidden_size, attended, activation, softmax_stag, scale
            )
        else:
            raise ValueError(f"InterestEvolvingLayer: attention={attention!r}; expected mlp or bilinear")
        self.dynamic_rnn: nn.GRU | DynamicRNN
        if gru in ("GRU", "AIGRU"):
            self.dynamic_rnn = nn.GRU(input_size=input_size, hidden_size=rnn_hidden_size, batch_first=True)
        else:
            self.dynamic_rnn = DynamicRNN(
                input_size, rnn_hidden_size, gru=gru, initialisation=initialisation, reset=reset
            )

    def evolve(self, targets: Tensor, states: Packed, pairs: Pairs) -> Tensor:
        """Follow the interests of each candidate's history that bear on it.

        Args:
            targets: ``[B, D]``.
            states: values ``[N, H]``, the interest states of ``R`` histories.
            pairs: the steps each candidate reads.

        Returns:
            ``[B, H]``, zero for an empty history.
        """
        rnn = self.dynamic_rnn
        if isinstance(rnn, DynamicRNN):
            scores = self.attention_layer(states.values, targets, pairs)  # [P]
            return rnn.rnn.run(states.values, pairs.starts, pairs.lengths, scores)
        if self.gru == "AIGRU":
            weight_ih, weight_hh, bias_ih, bias_hh = rnn.all_weights[0]
            scores = self.attention_layer(states.values, targets, pairs)  # [P]
            if self.reset == "before":
                read = states.values.index_select(0, pairs.step) * scores[:, None]  # [P, H]
                return packed_gru(rnn, Packed(read, lengths_to_offsets(pairs.lengths)), "before", "last")
            # W (a h) = a (W h): the projection is shared, its scaled copy is the pair's own.
            gates = linear(states.values, weight_ih).index_select(0, pairs.step) * scores[:, None]  # [P, 3H]
            starts = lengths_to_offsets(pairs.lengths)[:-1]
            return attention_gru(gates + bias_ih, weight_hh, bias_hh, starts, pairs.lengths, kind="gru")
        # The second GRU does not look at the target: it runs once a history.
        outputs = packed_gru(rnn, states, self.reset)  # [N, H]
        scores = self.attention_layer(outputs, targets, pairs)
        return segment_sum(outputs.index_select(0, pairs.step) * scores[:, None], pairs.lengths)

    def final_output(self, outputs: Tensor, keys_length: Tensor) -> Tensor:
        """Pick the state after each history's last step.

        Args:
            outputs: ``[B, T, H]`` padded states.
            keys_length: ``[B]``, between 0 and ``T``.

        Returns:
            ``[B, H]``, zero where the length is 0.
        """
        last = (keys_length - 1).clamp(min=0)[:, None, None].expand(-1, 1, outputs.shape[2])
        return outputs.gather(1, last).squeeze(1).masked_fill((keys_length == 0)[:, None], 0)

    def forward(self, queries: Tensor, keys: Tensor, keys_length: Tensor) -> Tensor:
        """Follow interests of padded histories, one a candidate.

        Args:
            queries: ``[B, D]`` targets.
            keys: ``[B, T, H]`` interest states, filled up at the end.
            keys_length: ``[B]``, between 0 and ``T``.

        Returns:
            ``[B, H]`` the final interest, zero for an empty history.

        Raises:
            ValueError: a length is out of range.
        """
        states = Packed.from_padded(keys, keys_length)
        return self.evolve(queries, states, Pairs.of_histories(states.offsets))
