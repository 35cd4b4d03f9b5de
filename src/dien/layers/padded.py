"""The layers of RecBole 1.2.1's DIEN by its names and signatures: thin classes over the packed ones.

Usable without RecBole. Names of arguments and parameters, and the defaults, are RecBole's, so that its code
and checkpoints fit; what follows a ``*`` is ours. Padded input is packed first: nothing is computed on
padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from dien.layers.attention import BilinearAttention, MLPAttention
from dien.layers.evolution import EvolutionKind, InterestEvolution
from dien.layers.extractor import Average, InterestExtractor
from dien.layers.gru import Initialisation, Reset
from dien.packed import Packed, Pairs, check_lengths, padding_mask


class InterestExtractorNetwork(InterestExtractor):
    """Interest states of padded histories (eq. 2-5) and their auxiliary loss (eq. 6).

    Args:
        input_size: ``E``, width of a behaviour: its item, then what else is known of it.
        hidden_size: ``H``.
        mlp_size: widths of the auxiliary network, its input ``H + D`` first and its output 1 last.
        activation: of the auxiliary network's hidden layers. RecBole has none, which leaves a linear network.
        average: as :class:`~dien.layers.InterestExtractor`; RecBole's is ``pairs``.
        item_size: ``D``, width of the item; ``E`` where None.
        affine: as :class:`~dien.layers.InterestExtractor`.
        reset: likewise.

    Raises:
        ValueError: sizes do not fit each other.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mlp_size: Sequence[int],
        *,
        activation: str | type[nn.Module] | None = "none",
        average: Average = "pairs",
        item_size: int | None = None,
        affine: bool = False,
        reset: Reset = "after",
    ) -> None:
        item_size = input_size if item_size is None else item_size
        super().__init__(
            input_size,
            hidden_size,
            item_size,
            mlp_size[1:-1],
            activation=activation,
            average=average,
            affine=affine,
            reset=reset,
        )
        if mlp_size[0] != item_size + hidden_size or mlp_size[-1] != 1:
            raise ValueError(
                f"mlp_size {list(mlp_size)}; expected the input width H + D = {item_size + hidden_size} "
                "first and 1 last"
            )

    def auxiliary_loss(
        self, h_states: Tensor, click_seq: Tensor, noclick_seq: Tensor, keys_length: Tensor
    ) -> Tensor:
        """Compute the auxiliary loss of padded states and the items after each (eq. 6).

        Args:
            h_states: ``[B, T - 1, H]``.
            click_seq: ``[B, T - 1, D]`` the item of the behaviour after each state.
            noclick_seq: ``[B, T - 1, D]`` the negative after each state.
            keys_length: ``[B]`` or ``[B, 1]`` real steps of these, one less than the history's; below 0
                counts as 0.

        Returns:
            A scalar; zero where no step is real.
        """
        keys_length = keys_length.reshape(-1)
        real = padding_mask(keys_length, h_states.shape[1])
        states = h_states[real]
        now = torch.arange(states.shape[0], device=states.device)
        return self._loss(states, click_seq[real], noclick_seq[real], now, 0, keys_length)

    @overload
    def forward(self, keys: Packed) -> Tensor: ...

    @overload
    def forward(
        self, keys: Tensor, keys_length: Tensor, neg_keys: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]: ...

    def forward(
        self, keys: Tensor | Packed, keys_length: Tensor | None = None, neg_keys: Tensor | None = None
    ) -> Any:
        """Extract interest states of padded histories; or of packed ones, as :meth:`states`.

        Args:
            keys: ``[B, T, E]`` behaviours, filled up at the end.
            keys_length: ``[B]``, between 0 and ``T``.
            neg_keys: ``[B, T, D]`` a negative for each behaviour.

        Returns:
            States ``[B, T, H]``, zero beyond a history's end, and the auxiliary loss, None without negatives.

        Raises:
            TypeError: there are no lengths.
            ValueError: a length is out of range.
        """
        if isinstance(keys, Packed):
            return super().forward(keys)
        if keys_length is None:
            raise TypeError(f"{type(self).__name__}: padded keys [B, T, E] want keys_length [B]")
        behaviours = Packed.from_padded(keys, keys_length)
        states = super().forward(behaviours)
        padded = Packed(states, behaviours.offsets).to_padded(keys.shape[1])
        if neg_keys is None:
            return padded, None
        negatives = Packed.from_padded(neg_keys, keys_length).values
        items = Packed(behaviours.values[:, : self.item_size], behaviours.offsets)
        return padded, self.loss(states, items, negatives)


class InterestEvolvingLayer(InterestEvolution):
    """Final interest of each candidate from the interest states of its padded history.

    Args:
        mask_mat: not used, since nothing is computed on padding; kept for RecBole's signature.
        input_size: width of an interest state; with MLP attention also the target's.
        rnn_hidden_size: ``H`` of the evolving GRU.
        att_hidden_size: hidden widths of the MLP attention; where the first is ``4 * input_size`` it is taken
            for the input's, as in RecBole, and with nothing after it there is no hidden layer.
        activation: of the MLP attention, by its name or class. RecBole's Dice, whose alpha is always 0, is
            ``silu``, and so is ``dice`` here.
        softmax_stag: whether the MLP attention's scores are normalised over the history.
        gru: ``GRU``, ``AIGRU``, ``AGRU``, ``AUGRU`` or ``AUGRU-COMPLEMENT``, as the ``kind`` of
            :class:`~dien.layers.InterestEvolution`.
        attention: ``mlp``, or ``bilinear`` (eq. 8).
        target_size: width of the target for bilinear attention; ``input_size`` where None.
        scale: whether the MLP attention's logits are divided by ``sqrt(input_size)``: RecBole does, paper and
            authors do not.
        initialisation: as :class:`~dien.layers.AttentionGRU`.
        reset: as :class:`~dien.layers.InterestEvolution`.

    Raises:
        ValueError: another ``gru`` or ``attention``.
    """

    def __init__(
        self,
        mask_mat: Tensor | None,
        input_size: int,
        rnn_hidden_size: int,
        att_hidden_size: Sequence[int] = (80, 40),
        activation: str | type[nn.Module] | None = "sigmoid",
        softmax_stag: bool = True,
        gru: str = "GRU",
        *,
        attention: Literal["mlp", "bilinear"] = "mlp",
        target_size: int | None = None,
        scale: bool = True,
        initialisation: Initialisation = "uniform",
        reset: Reset = "after",
    ) -> None:
        if gru not in _KINDS:
            raise ValueError(f"InterestEvolvingLayer: gru={gru!r}; expected one of {', '.join(_KINDS)}")
        # Attention pools the outputs of the second GRU, and otherwise looks at what goes into it.
        attended = rnn_hidden_size if gru == "GRU" else input_size
        attend: BilinearAttention | MLPAttention
        if attention == "bilinear":
            attend = BilinearAttention(attended, input_size if target_size is None else target_size)
        elif attention == "mlp":
            hidden = att_hidden_size[1:] if att_hidden_size[0] == 4 * attended else att_hidden_size
            if isinstance(activation, str) and activation.lower() == "dice":
                activation = "silu"
            attend = MLPAttention(attended, hidden, activation, softmax=softmax_stag, scale=scale)
        else:
            raise ValueError(f"InterestEvolvingLayer: attention={attention!r}; expected mlp or bilinear")
        super().__init__(
            input_size, rnn_hidden_size, attend, _KINDS[gru], initialisation=initialisation, reset=reset
        )

    def final_output(self, outputs: Tensor, keys_length: Tensor) -> Tensor:
        """Pick the state after each history's last step.

        Args:
            outputs: ``[B, T, H]`` padded states.
            keys_length: ``[B]`` or ``[B, 1]``, between 0 and ``T``.

        Returns:
            ``[B, H]``, zero where the length is 0.

        Raises:
            ValueError: a length is out of range.
        """
        keys_length = keys_length.reshape(-1)
        check_lengths(outputs, keys_length)
        last = (keys_length - 1).clamp(min=0)[:, None, None].expand(-1, 1, outputs.shape[2])
        return outputs.gather(1, last).squeeze(1).masked_fill((keys_length == 0)[:, None], 0)

    @overload
    def forward(
        self, queries: Tensor, keys: Packed, keys_length: Pairs, behaviours: Tensor | None = None
    ) -> Tensor: ...

    @overload
    def forward(self, queries: Tensor, keys: Tensor, keys_length: Tensor) -> Tensor: ...

    def forward(
        self,
        queries: Tensor,
        keys: Tensor | Packed,
        keys_length: Tensor | Pairs,
        behaviours: Tensor | None = None,
    ) -> Tensor:
        """Follow interests of padded histories, one a candidate; or of packed ones, as :meth:`evolve`.

        Args:
            queries: ``[B, D]`` targets.
            keys: ``[B, T, H]`` interest states, filled up at the end.
            keys_length: ``[B]``, between 0 and ``T``.
            behaviours: as :meth:`evolve`, of packed histories alone.

        Returns:
            ``[B, H]`` the final interest, zero for an empty history.

        Raises:
            TypeError: one of keys and keys_length is packed, the other is not; or behaviours are given and
                they are not.
            ValueError: a length is out of range.
        """
        if isinstance(keys, Packed) and isinstance(keys_length, Pairs):
            return super().forward(queries, keys, keys_length, behaviours)
        if isinstance(keys, Packed) or isinstance(keys_length, Pairs):
            raise TypeError(
                f"{type(self).__name__}: keys {type(keys).__name__} and keys_length "
                f"{type(keys_length).__name__}; expected two tensors, or Packed and Pairs"
            )
        if behaviours is not None:
            raise TypeError(f"{type(self).__name__}: behaviours go with Packed and Pairs, found padded keys")
        states = Packed.from_padded(keys, keys_length)
        return super().forward(queries, states, Pairs.of_histories(states.offsets))


_KINDS: dict[str, EvolutionKind] = {
    "GRU": "gru",
    "AIGRU": "aigru",
    "AGRU": "agru",
    "AUGRU": "augru",
    "AUGRU-COMPLEMENT": "augru-complement",
}
