"""Interest extractor: a GRU over behaviours, supervised at every step by the auxiliary loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.layers.cells import Reset, packed_gru
from dien.layers.mlp import MLP, Affine
from dien.ops import auxiliary_loss
from dien.packed import Packed, padding_mask

Average = Literal["pairs", "histories", "positions"]


class InterestExtractorNetwork(nn.Module):
    """Extracts an interest state after every behaviour (eq. 2-5) and the auxiliary loss (eq. 6).

    Args:
        input_size: ``E``, width of a behaviour: its item, then what else is known of it.
        hidden_size: ``H``.
        mlp_size: widths of the auxiliary network, its input ``H + D`` first and its output 1 last.
        activation: of the auxiliary network's hidden layers. RecBole has none, which leaves a linear network.
        average: the auxiliary loss is the mean over click and non-click ``pairs`` alike (RecBole), or, as
            eq. (6) has it, the sum over steps and both terms, averaged over ``histories``, or that sum
            averaged over the ``positions`` of all histories filled up to the longest (the authors' code).
        item_size: ``D``, width of the item, all that the auxiliary network compares with a state, since a
            negative was never a behaviour; ``E`` where None.
        affine: whether a learned scale and shift of its input stand before the auxiliary network.
        reset: whether the GRU's reset gate stands ``after`` the recurrent product or, in plain PyTorch,
            ``before`` it, as in TensorFlow's GRUCell.

    Raises:
        ValueError: sizes do not fit each other.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mlp_size: Sequence[int],
        *,
        activation: str = "none",
        average: Average = "pairs",
        item_size: int | None = None,
        affine: bool = False,
        reset: Reset = "after",
    ) -> None:
        super().__init__()
        self.item_size = input_size if item_size is None else item_size
        if self.item_size > input_size:
            raise ValueError(
                f"item_size {item_size}; expected at most the width of a behaviour, input_size = {input_size}"
            )
        if mlp_size[0] != self.item_size + hidden_size or mlp_size[-1] != 1:
            raise ValueError(
                f"mlp_size {list(mlp_size)}; expected the input width H + D = {self.item_size + hidden_size} "
                "first and 1 last"
            )
        self.gru = nn.GRU(input_size=input_size, hidden_size=hidden_size, batch_first=True)
        self.auxiliary_net = MLP(mlp_size, activation, last_activation=False)
        self.auxiliary_affine = Affine(mlp_size[0]) if affine else None
        self.average, self.reset = average, reset

    def states(self, behaviours: Packed) -> Tensor:
        """Extract the interest states of packed histories.

        Args:
            behaviours: values ``[N, E]``.

        Returns:
            ``[N, H]``.
        """
        return packed_gru(self.gru, behaviours, self.reset)

    def packed_auxiliary_loss(self, states: Tensor, items: Packed, negatives: Tensor) -> Tensor:
        """Compute the auxiliary loss of packed histories (eq. 6).

        The state after a step is asked to tell the next behaviour from a negative drawn for it.

        Args:
            states: ``[N, H]``.
            items: values ``[N, D]``, the items of the behaviours.
            negatives: ``[N, D]``, for each behaviour an item that was not clicked.

        Returns:
            A scalar; zero where no history has two behaviours.
        """
        last = torch.zeros(items.values.shape[0], dtype=torch.bool, device=states.device)
        last[items.offsets[1:][items.lengths > 0] - 1] = True
        now = torch.nonzero(~last).squeeze(1)  # [S] steps that have a next one
        return self._loss(states, items.values, negatives, now, 1, items.lengths - 1)

    def _loss(
        self, states: Tensor, items: Tensor, negatives: Tensor, now: Tensor, ahead: int, steps: Tensor
    ) -> Tensor:
        """Compute the loss of the states of the steps ``now`` ``[S]`` and the items of those ``ahead``.

        Of each history there are ``steps`` ``[R]``; below 0 counts as 0.
        """
        if now.shape[0] == 0:
            return states[:0].sum()  # zero, and part of the graph
        net, affine, tail = self.auxiliary_net, self.auxiliary_affine, self.auxiliary_net.tail()
        composed = net.composed()
        weight, bias = composed or (net.first.weight, net.first.bias)
        if affine is not None:
            weight, bias = affine.before(weight, bias)
        if composed is not None:
            # Without activation, as RecBole's: the product of the matrices in place of a pass through each.
            H = states.shape[1]
            of_state = (states @ weight[0, :H] + bias)[now]  # [S]
            click = of_state + (items @ weight[0, H:])[now + ahead]
            non_click = of_state + (negatives @ weight[0, H:])[now + ahead]
            total = F.softplus(-click).sum() + F.softplus(non_click).sum()
        elif tail is not None:
            total = auxiliary_loss(states, items, negatives, now, ahead, weight, bias, tail)
        else:
            both = torch.cat([items[now + ahead], negatives[now + ahead]])  # [2S, D]
            inputs = torch.cat([states[now].repeat(2, 1), both], 1)
            click, non_click = net(inputs if affine is None else affine(inputs)).reshape(2, -1)  # [S] both
            total = F.softplus(-click).sum() + F.softplus(non_click).sum()
        if self.average == "pairs":
            return total / (2 * now.shape[0])
        return total / steps.shape[0] / (steps.max() if self.average == "positions" else 1)

    def auxiliary_loss(
        self, h_states: Tensor, click_seq: Tensor, noclick_seq: Tensor, keys_length: Tensor
    ) -> Tensor:
        """Compute the auxiliary loss of padded states and the items after each (eq. 6).

        Args:
            h_states: ``[B, T - 1, H]``.
            click_seq: ``[B, T - 1, D]`` the item of the behaviour after each state.
            noclick_seq: ``[B, T - 1, D]`` the negative after each state.
            keys_length: ``[B]`` real steps of these, one less than the history's; below 0 counts as 0.

        Returns:
            A scalar; zero where no step is real.
        """
        real = padding_mask(keys_length, h_states.shape[1])
        states = h_states[real]
        now = torch.arange(states.shape[0], device=states.device)
        return self._loss(states, click_seq[real], noclick_seq[real], now, 0, keys_length)

    def forward(
        self, keys: Tensor, keys_length: Tensor, neg_keys: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Extract interest states of padded histories.

        Args:
            keys: ``[B, T, E]`` behaviours, filled up at the end.
            keys_length: ``[B]``, between 0 and ``T``.
            neg_keys: ``[B, T, D]`` a negative for each behaviour.

        Returns:
            States ``[B, T, H]``, zero beyond a history's end, and the auxiliary loss, None without negatives.

        Raises:
            ValueError: a length is out of range.
        """
        behaviours = Packed.from_padded(keys, keys_length)
        states = self.states(behaviours)
        padded = Packed(states, behaviours.offsets).to_padded(keys.shape[1])
        if neg_keys is None:
            return padded, None
        negatives = Packed.from_padded(neg_keys, keys_length).values
        items = Packed(behaviours.values[:, : self.item_size], behaviours.offsets)
        return padded, self.packed_auxiliary_loss(states, items, negatives)
