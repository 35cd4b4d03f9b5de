"""The recurrent cells of RecBole 1.2.1's DIEN and what runs them, by its names and signatures.

As :mod:`dien.layers.padded`: thin classes over the packed layers, usable without RecBole.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from dien.layers.gru import AttentionGRU, AttentionKind, Initialisation, Reset, Rows
from dien.packed import lengths_to_offsets


class _Cell(AttentionGRU):
    """One step of an :class:`~dien.layers.AttentionGRU`.

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        bias: whether both projections have a bias.
        initialisation: as :class:`~dien.layers.AttentionGRU`.
        reset: as :func:`~dien.layers.gru.packed_gru`.
    """

    kind: AttentionKind

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        super().__init__(
            input_size, hidden_size, self.kind, bias=bias, initialisation=initialisation, reset=reset
        )

    def forward(
        self, input: Tensor | Rows, hidden_output: Tensor | None = None, att_score: Tensor | None = None
    ) -> Tensor:
        """Take one step; or many, of Rows as :class:`~dien.layers.AttentionGRU`.

        Args:
            input: ``[B, D]``.
            hidden_output: ``[B, H]`` the state before.
            att_score: ``[B]`` or ``[B, 1]``.

        Returns:
            ``[B, H]`` the state after.

        Raises:
            TypeError: an argument is missing.
        """
        if isinstance(input, Rows):
            return super().forward(input)
        if hidden_output is None or att_score is None:
            raise TypeError(
                f"{type(self).__name__}: a step takes input [B, D], hidden_output [B, H] and att_score [B]"
            )
        rows = torch.arange(input.shape[0], device=input.device)
        step = Rows(input, rows, torch.ones_like(rows), att_score.reshape(-1), hidden_output)
        return super().forward(step)


class AGRUCell(_Cell):
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


class AUGRUCell(_Cell):
    """Attention scales the update gate: ``ũ = a u``, ``h' = (1 - ũ) ∘ h + ũ ∘ h~`` (eq. 11-12).

    Args:
        input_size: ``D``.
        hidden_size: ``H``.
        bias: whether both projections have a bias.
        initialisation: as :class:`AGRUCell`.
        reset: as :func:`packed_gru`.
    """

    kind = "augru"


class ComplementAUGRUCell(_Cell):
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
