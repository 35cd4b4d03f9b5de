"""GRU cells with attentional gates, and the recurrence over torch's PackedSequence."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from dien.ops import attention_gru_layer, reset_before_gru_layer
from dien.packed import Packed, lengths_to_offsets

Initialisation = Literal["uniform", "normal"]
Reset = Literal["after", "before"]

_RECURRENCES = {"after": attention_gru_layer, "before": reset_before_gru_layer}


def packed_gru(
    gru: nn.GRU, histories: Packed, reset: Reset = "after", outputs: Literal["last", "all"] = "all"
) -> Tensor:
    """Run an nn.GRU once over packed histories (eq. 2-5).

    Args:
        gru: one layer, one direction.
        histories: values ``[N, D]``.
        reset: whether the reset gate stands ``after`` the recurrent product, as in the paper and
            torch.nn.GRU, or ``before`` it, as in TensorFlow's GRUCell, which is slower.
        outputs: ``all`` states or each history's ``last``, zero for an empty one.

    Returns:
        ``[N, H]`` or ``[R, H]``.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = gru.all_weights[0]
    return _RECURRENCES[reset](
        histories.values,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        histories.offsets[:-1],
        histories.lengths,
        kind="gru",
        outputs=outputs,
    )


def set_gate_bias(gru: nn.Module, bias: float) -> None:
    """Set the biases of a GRU's reset and update gates; TensorFlow's GRUCell starts with 1."""
    with torch.no_grad():
        for name, parameter in gru.named_parameters():
            if "bias" in name:
                parameter[: parameter.shape[0] // 3 * 2] = bias if "bias_ih" in name else 0


class _AttentionGRUCell(nn.Module):
    """Parameters of a GRU cell in the order reset, update, candidate."""

    kind: Literal["agru", "augru", "augru-complement"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
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

    def run(self, inputs: Tensor, starts: Tensor, lengths: Tensor, scores: Tensor, **options: Any) -> Tensor:
        """Run over rows of packed inputs ``[N, D]``, as :func:`dien.ops.attention_gru_layer` does."""
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        run = _RECURRENCES[self.reset]
        return run(inputs, *weights, starts, lengths, scores, kind=self.kind, **options)

    def forward(self, input: Tensor, hidden_output: Tensor, att_score: Tensor) -> Tensor:
        """Take one step.

        Args:
            input: ``[B, D]``.
            hidden_output: ``[B, H]`` the state before.
            att_score: ``[B]`` or ``[B, 1]``.

        Returns:
            ``[B, H]`` the state after.
        """
        rows = torch.arange(input.shape[0], device=input.device)
        return self.run(input, rows, torch.ones_like(rows), att_score.reshape(-1), state=hidden_output)


class AGRUCell(_AttentionGRUCell):
    """Attention in place of the update gate: ``h' = (1 - a) h + a h~`` (eq. 10).

    The update gate's parameters are kept, unused, so that RecBole's weights load.

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        bias: whether both projections have a bias.
        initialisation: ``uniform`` draws from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.GRU; ``normal`` draws
            weights from N(0, 1) and has biases 0, as RecBole, where most gates then start saturated.
        reset: as :func:`packed_gru`.
    """

    kind = "agru"


class AUGRUCell(_AttentionGRUCell):
    """Attention scales the update gate: ``ũ = a u``, ``h' = (1 - ũ) ∘ h + ũ ∘ h~`` (eq. 11-12).

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        bias: whether both projections have a bias.
        initialisation: as :class:`AGRUCell`.
        reset: as :func:`packed_gru`.
    """

    kind = "augru"


class ComplementAUGRUCell(_AttentionGRUCell):
    """The AUGRU of the authors' code: ``ũ = (1 - a) u``, ``h' = ũ ∘ h + (1 - ũ) ∘ h~``.

    At ``a = 0`` it takes the step of an ordinary GRU, where the paper's keeps the state.

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        bias: whether both projections have a bias.
        initialisation: as :class:`AGRUCell`.
        reset: as :func:`packed_gru`.
    """

    kind = "augru-complement"


class DynamicRNN(nn.Module):
    """An AGRU or AUGRU over sequences of different lengths, given and returned as PackedSequence.

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        bias: whether both projections have a bias.
        gru: ``AGRU``, ``AUGRU`` or ``AUGRU-COMPLEMENT`` (:class:`ComplementAUGRUCell`).
        initialisation: as :class:`AGRUCell`.
        reset: as :func:`packed_gru`.

    Raises:
        ValueError: another ``gru``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        gru: str = "AGRU",
        *,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        cells = {"AGRU": AGRUCell, "AUGRU": AUGRUCell, "AUGRU-COMPLEMENT": ComplementAUGRUCell}
        if gru not in cells:
            raise ValueError(f"DynamicRNN: gru={gru!r}; expected AGRU, AUGRU or AUGRU-COMPLEMENT")
        self.rnn = cells[gru](input_size, hidden_size, bias, initialisation=initialisation, reset=reset)

    def forward(
        self,
        input: PackedSequence,
        att_scores: PackedSequence | None = None,
        hidden_output: Tensor | None = None,
    ) -> PackedSequence:
        """Run over every sequence.

        Args:
            input: ``data [N, D]``.
            att_scores: ``data [N]``, packed alike.
            hidden_output: ``[B, H]`` initial states, in the packed (sorted) order; zeros where None.

        Returns:
            The states, ``data [N, H]``, packed as the input.

        Raises:
            NotImplementedError: input or att_scores is no PackedSequence.
        """
        if not isinstance(input, PackedSequence) or not isinstance(att_scores, PackedSequence):
            raise NotImplementedError(
                "DynamicRNN: input and att_scores must be PackedSequence (pack_padded_sequence makes one), "
                f"found {type(input).__name__} and {type(att_scores).__name__}"
            )
        to_row_major, lengths = _row_major(input.batch_sizes)
        to_row_major, lengths = to_row_major.to(input.data.device), lengths.to(input.data.device)
        states = self.rnn.run(
            input.data[to_row_major],
            lengths_to_offsets(lengths)[:-1],
            lengths,
            att_scores.data.reshape(-1)[to_row_major],
            state=hidden_output,
            outputs="all",
        )
        data = torch.empty_like(states).index_copy(0, to_row_major, states)
        return PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices)


def _row_major(batch_sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Where each row-major step stands in a PackedSequence, ``[N]``, and each row's length, ``[B]``."""
    starts = lengths_to_offsets(batch_sizes)[:-1]  # [T] first place of each step
    rows = torch.arange(int(batch_sizes[0]))
    lengths = (batch_sizes[:, None] > rows).sum(0)  # [B]
    real = torch.arange(len(batch_sizes)) < lengths[:, None]  # [B, T]
    return (starts + rows[:, None])[real], lengths
