"""Recurrent layers over packed histories: the GRU, and those whose update gate an attention score enters."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dien.layers.bypass import bypassable
from dien.ops import attention_gru_layer, reset_before_gru_layer
from dien.packed import Packed, padding_mask

Initialisation = Literal["uniform", "normal"]
Reset = Literal["after", "before"]
AttentionKind = Literal["agru", "augru", "augru-complement"]

_RECURRENCES = {"after": attention_gru_layer, "before": reset_before_gru_layer}


def packed_gru(
    gru: nn.GRU, histories: Packed, reset: Reset = "after", outputs: Literal["last", "all"] = "all"
) -> Tensor:
    """Run an nn.GRU once over packed histories (eq. 2-5).

    One with hooks or pruned weights, of several layers or of two directions is called, on a PackedSequence.

    Args:
        gru: the layer.
        histories: values ``[N, D]``.
        reset: whether the reset gate stands ``after`` the recurrent product, as in the paper and
            torch.nn.GRU, or ``before`` it, as in TensorFlow's GRUCell, which is slower.
        outputs: ``all`` states or each history's ``last``, zero for an empty one.

    Returns:
        ``[N, H]`` or ``[R, H]``.

    Raises:
        ValueError: the GRU would have to be called, which does not know of ``before``.
    """
    weights = readable_weights(gru)
    if weights is None:
        if reset == "before":
            raise ValueError(
                "GRU: reset 'before' is not torch.nn.GRU's own, so that a GRU with hooks, pruning, several "
                "layers or two directions cannot be called for it; remove these, or take reset 'after'"
            )
        return _called(gru, histories, outputs)
    return _RECURRENCES[reset](
        histories.values,
        *weights,
        histories.offsets[:-1],
        histories.lengths,
        kind="gru",
        outputs=outputs,
    )


def readable_weights(gru: nn.GRU) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None] | None:
    """Read the weights of an nn.GRU, to compute with them in place of calling it.

    Returns:
        ``weight_ih [3H, D]``, ``weight_hh [3H, H]`` and the biases ``[3H]`` of both, None where it has none;
        or None for all where it must be called: it has hooks, pruned weights, several layers or two
        directions.
    """
    if not bypassable(gru, nn.GRU) or gru.num_layers > 1 or gru.bidirectional:
        return None
    weight_ih, weight_hh, *biases = gru.all_weights[0]
    bias_ih, bias_hh = biases or (None, None)
    return weight_ih, weight_hh, bias_ih, bias_hh


def _called(gru: nn.GRU, histories: Packed, outputs: Literal["last", "all"]) -> Tensor:
    """Call an nn.GRU, with all that its class or its hooks do."""
    lengths = histories.lengths
    some = torch.nonzero(lengths > 0).squeeze(1)  # a PackedSequence holds no empty history
    width = gru.hidden_size * (2 if gru.bidirectional else 1)
    states = histories.values.new_zeros((0, width))
    if some.shape[0]:
        lengths = lengths[some]
        padded = histories.to_padded(int(lengths.max()))[some]
        packed = pack_padded_sequence(padded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        padded, _ = pad_packed_sequence(gru(packed)[0], batch_first=True)
        states = padded[padding_mask(lengths, padded.shape[1])]  # [N, H]
    if outputs == "all":
        return states
    last = states.new_zeros((histories.lengths.shape[0], width))
    return last.index_copy(0, some, states[histories.offsets[1:][some] - 1])


def set_gate_bias(gru: nn.Module, bias: float) -> None:
    """Set the biases of a GRU's reset and update gates; TensorFlow's GRUCell starts with 1."""
    with torch.no_grad():
        for name, parameter in gru.named_parameters():
            if "bias" in name:
                parameter[: parameter.shape[0] // 3 * 2] = bias if "bias_ih" in name else 0


class Rows(NamedTuple):
    """Rows of packed steps, which an :class:`AttentionGRU` runs over.

    Attributes:
        inputs: ``[N, D]``.
        starts: ``[B]`` the first step of each row.
        lengths: ``[B]`` steps of each row.
        scores: ``[P]`` the attention score of each step of each row.
        state: ``[B, H]`` before the first step; zeros where None.
        outputs: each row's ``last`` state, zero for an empty one, or ``all``.
    """

    inputs: Tensor
    starts: Tensor
    lengths: Tensor
    scores: Tensor
    state: Tensor | None = None
    outputs: Literal["last", "all"] = "last"


class AttentionGRU(nn.Module):
    """A GRU whose update gate an attention score enters, over rows of packed steps.

    Parameters are those of torch.nn.GRUCell, in the order reset, update, candidate. With ``agru`` the update
    gate's are kept, unused, so that RecBole's weights load.

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        kind: ``agru``, attention in place of the update gate, ``h' = (1 - a) h + a h~`` (eq. 10); ``augru``,
            attention scales it, ``ũ = a u``, ``h' = (1 - ũ) ∘ h + ũ ∘ h~`` (eq. 11-12); or
            ``augru-complement``, the AUGRU of the authors' code, ``ũ = (1 - a) u``,
            ``h' = ũ ∘ h + (1 - ũ) ∘ h~``, which at ``a = 0`` takes the step of an ordinary GRU.
        bias: whether both projections have a bias.
        initialisation: ``uniform`` draws from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.GRU; ``normal`` draws
            weights from N(0, 1) and has biases 0, as RecBole, where most gates then start saturated.
        reset: as :func:`packed_gru`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kind: AttentionKind,
        *,
        bias: bool = True,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.kind, self.bias = input_size, hidden_size, kind, bias
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias_ih: nn.Parameter | None
        self.bias_hh: nn.Parameter | None
        if bias:
            self.bias_ih = nn.Parameter(torch.empty(3 * hidden_size))
            self.bias_hh = nn.Parameter(torch.empty(3 * hidden_size))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.initialisation, self.reset = initialisation, reset
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter as the initialisation has it."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for parameter in self.parameters():
            if self.initialisation == "uniform":
                nn.init.uniform_(parameter, -bound, bound)
            elif parameter.ndim == 2:
                nn.init.normal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def run(
        self,
        inputs: Tensor,
        starts: Tensor,
        lengths: Tensor,
        scores: Tensor,
        *,
        state: Tensor | None = None,
        outputs: Literal["last", "all"] = "last",
    ) -> Tensor:
        """Run over rows of packed inputs.

        Args:
            inputs: this and all that follows as :class:`Rows` has it.
            starts: see there.
            lengths: see there.
            scores: see there.
            state: see there.
            outputs: see there.

        Returns:
            ``[B, H]`` or ``[P, H]``.
        """
        # Called, so that hooks and pruning take effect.
        states: Tensor = self(Rows(inputs, starts, lengths, scores, state, outputs))
        return states

    def forward(self, input: Rows) -> Tensor:
        """Run over rows of packed inputs, as :meth:`run`."""
        inputs, starts, lengths, scores, state, outputs = input
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        run = _RECURRENCES[self.reset]
        return run(inputs, *weights, starts, lengths, scores, kind=self.kind, state=state, outputs=outputs)
