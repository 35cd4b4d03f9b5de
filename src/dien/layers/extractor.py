"""Interest extractor: a GRU over behaviours, supervised at every step by the auxiliary loss."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.layers.bypass import bypassable
from dien.layers.gru import Reset, packed_gru
from dien.layers.mlp import MLP, Affine
from dien.ops import auxiliary_loss
from dien.packed import Packed

Average = Literal["pairs", "histories", "positions"]


class InterestExtractor(nn.Module):
    """Extracts an interest state after every behaviour (eq. 2-5), with an auxiliary loss (eq. 6).

    Args:
        input_size: ``E``, width of a behaviour: its item, then what else is known of it.
        hidden_size: ``H``.
        item_size: ``D``, width of the item, all that the auxiliary network compares with a state, since a
            negative was never a behaviour.
        hidden: widths of the auxiliary network's hidden layers.
        activation: of these.
        average: the auxiliary loss is the mean over click and non-click ``pairs`` alike (RecBole), or, as
            eq. (6) has it, the sum over steps and both terms, averaged over ``histories``, or that sum
            averaged over the ``positions`` of all histories filled up to the longest (the authors' code).
        affine: whether a learned scale and shift of its input stand before the auxiliary network.
        reset: whether the GRU's reset gate stands ``after`` the recurrent product or, in plain PyTorch,
            ``before`` it, as in TensorFlow's GRUCell.
        auxiliary: whether there is an auxiliary network. Without, its weights are drawn all the same and
            dropped, so that a seed gives whatever is drawn later the same start.

    Raises:
        ValueError: an item is wider than its behaviour.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        item_size: int,
        hidden: Sequence[int] = (100, 50),
        *,
        activation: str | type[nn.Module] | None = "prelu",
        average: Average = "pairs",
        affine: bool = False,
        reset: Reset = "after",
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        if item_size > input_size:
            raise ValueError(
                f"item_size {item_size}; expected at most the width of a behaviour, input_size = {input_size}"
            )
        self.item_size = item_size
        widths = [hidden_size + item_size, *hidden, 1]
        self.gru = nn.GRU(input_size=input_size, hidden_size=hidden_size, batch_first=True)
        net = MLP(widths, activation, last_activation=False)
        self.auxiliary_net = net if auxiliary else None
        self.auxiliary_affine = Affine(widths[0]) if affine and auxiliary else None
        self.average, self.reset = average, reset

    def states(self, behaviours: Packed) -> Tensor:
        """Extract the interest states of packed histories.

        Args:
            behaviours: values ``[N, E]``.

        Returns:
            ``[N, H]``.
        """
        # Called, so that hooks and pruning take effect.
        states: Tensor = self(behaviours)
        return states

    def forward(self, keys: Packed) -> Tensor:
        """Extract interest states as :meth:`states`, of the same argument."""
        return packed_gru(self.gru, keys, self.reset)

    def loss(
        self,
        states: Tensor,
        items: Packed,
        negatives: Tensor,
        supervised: Tensor | None = None,
        enough: int = 0,
    ) -> Tensor:
        """Compute the auxiliary loss of packed histories (eq. 6).

        The state after a step has to distinguish the next behaviour from a negative that was drawn for it.

        Args:
            states: ``[N, H]``.
            items: values ``[N, D]``, the items of the behaviours.
            negatives: ``[N, D]``, for each behaviour an item that was not clicked.
            supervised: ``[N]`` bool, the behaviours to be told from their negatives; None for all.
            enough: with averaging over pairs, the loss is smaller in proportion where there are fewer such
                behaviours; 0 leaves it as it is.

        Returns:
            A scalar; zero where no history has two behaviours.

        Raises:
            ValueError: there is no auxiliary network.
        """
        lengths = items.lengths
        last = torch.zeros(items.values.shape[0], dtype=torch.bool, device=states.device)
        last[items.offsets[1:][lengths > 0] - 1] = True
        now = torch.nonzero(~last).squeeze(1)  # [S] steps that have a next one
        if supervised is not None:
            now = now[supervised[now + 1]]
        loss = self._loss(states, items.values, negatives, now, 1, lengths - 1)
        if enough and self.average == "pairs":
            return loss * min(1.0, now.shape[0] / enough)
        return loss

    def score(self, states: Packed, item: Tensor, history_of: Tensor) -> Tensor:
        """Ask the auxiliary network how well items go with the newest states of their histories.

        It is the logit of which eq. (6) makes the loss, of an item that may come next.

        Args:
            states: values ``[N, H]``.
            item: ``[B, D]``.
            history_of: ``[B]``, the history of each.

        Returns:
            ``[B, 1]``; zero where a history has no behaviour.

        Raises:
            ValueError: there is no auxiliary network.
        """
        net = self._expected_net()
        newest = states.newest().index_select(0, history_of)  # [B, H]
        both = torch.cat([newest, item], 1)  # [B, H + D]
        if self.auxiliary_affine is not None:
            both = self.auxiliary_affine(both)
        some = (states.lengths > 0).index_select(0, history_of)  # [B]
        logits: Tensor = net(both) * some[:, None]
        return logits

    def _loss(
        self, states: Tensor, items: Tensor, negatives: Tensor, now: Tensor, ahead: int, steps: Tensor
    ) -> Tensor:
        """Compute the loss of the states of the steps ``now`` ``[S]`` and the items of those ``ahead``.

        Of each history there are ``steps`` ``[R]``; below 0 counts as 0.
        """
        net, affine = self._expected_net(), self.auxiliary_affine
        if now.shape[0] == 0:
            # Zero, and part of the graph: processes that train together expect a gradient of each weight.
            return torch.cat([states[:0].flatten(), *(p[:0].flatten() for p in self._auxiliary())]).sum()
        tail = net.tail()
        composed = net.composed() if tail is None or tail.activation == "none" else None
        if affine is not None and not bypassable(affine, Affine):
            composed = tail = None
        if composed is not None:
            # Without activation, as RecBole's: the product of the matrices in place of a pass through each.
            weight, bias = composed if affine is None else affine.before(*composed)
            H = states.shape[1]
            of_state = (states @ weight[0, :H] + bias)[now]  # [S]
            click = of_state + (items @ weight[0, H:])[now + ahead]
            non_click = of_state + (negatives @ weight[0, H:])[now + ahead]
            total = F.softplus(-click).sum() + F.softplus(non_click).sum()
        elif tail is not None:
            weight, bias = net.first.weight, net.first.bias
            if affine is not None:
                weight, bias = affine.before(weight, bias)
            total = auxiliary_loss(states, items, negatives, now, ahead, weight, bias, tail)
        else:
            both = torch.cat([items[now + ahead], negatives[now + ahead]])  # [2S, D]
            inputs = torch.cat([states[now].repeat(2, 1), both], 1)
            click, non_click = net(inputs if affine is None else affine(inputs)).reshape(2, -1)  # [S] both
            total = F.softplus(-click).sum() + F.softplus(non_click).sum()
        if self.average == "pairs":
            return total / (2 * now.shape[0])
        return total / steps.shape[0] / (steps.max() if self.average == "positions" else 1)

    def _expected_net(self) -> MLP:
        if self.auxiliary_net is None:
            raise ValueError(
                f"{type(self).__name__}: there is no auxiliary network, so no loss of it and no score; make "
                "the layer with auxiliary=True (a model with auxiliary_weight above 0)"
            )
        return self.auxiliary_net

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Pass over an auxiliary network where there is none: earlier versions held one that was not used."""
        if self.auxiliary_net is None:
            unused = [name for name in state_dict if name.startswith(f"{prefix}auxiliary_")]
            for name in unused:
                del state_dict[name]
            if unused:
                warnings.warn(
                    f"passed over {len(unused)} tensors of an auxiliary network ({prefix}auxiliary_...): "
                    "without an auxiliary loss it was never used, and this version of dien has none then",
                    stacklevel=2,
                )
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _auxiliary(self) -> Iterator[Tensor]:
        """Go through the parameters of the auxiliary network."""
        for part in (self.auxiliary_affine, self.auxiliary_net):
            yield from () if part is None else part.parameters()
