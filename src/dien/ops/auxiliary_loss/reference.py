"""Plain PyTorch backend of ``auxiliary_loss``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.auxiliary_loss.arguments import Arguments, check_steps
from dien.ops.mlp import MLPTail


def run(x: Arguments, needs_gradients: bool) -> list[Tensor]:
    """Compute the loss, a scalar, and where asked for its gradients.

    Returns:
        The loss; then the gradients of states, items, negatives, weight, bias and the tail's parameters.
    """
    check_steps(x)
    H, S, ahead = x.states.shape[1], x.now.shape[0], x.now + x.ahead
    tail = MLPTail.of(x.activation, x.tail)
    state, both = x.states[x.now], torch.cat([x.items[ahead], x.negatives[ahead]])  # [S, H], [2S, D]
    first = F.linear(state, x.weight[:, :H], x.bias)  # [S, W]
    logits, layers = tail.forward(F.linear(both, x.weight[:, H:]) + first.repeat(2, 1))  # [2S]
    click, non_click = logits[:S], logits[S:]
    loss = sum_of_terms(click, non_click)
    if not needs_gradients:
        return [loss]
    dhidden, dtail = tail.backward(layers, torch.cat([-torch.sigmoid(-click), torch.sigmoid(non_click)]))
    dfirst, dboth = dhidden[:S] + dhidden[S:], dhidden @ x.weight[:, H:]  # [S, W], [2S, D]
    return [
        loss,
        x.states.new_zeros(x.states.shape).index_add(0, x.now, dfirst @ x.weight[:, :H]),
        x.items.new_zeros(x.items.shape).index_add(0, ahead, dboth[:S]),
        x.negatives.new_zeros(x.negatives.shape).index_add(0, ahead, dboth[S:]),
        torch.cat([dfirst.t() @ state, dhidden.t() @ both], 1),
        dfirst.sum(0),
        *dtail,
    ]


def sum_of_terms(click: Tensor, non_click: Tensor) -> Tensor:
    """Sum ``-log σ(click) - log(1 - σ(non-click))`` over logits ``[S]`` of both."""
    return F.softplus(-click).sum() + F.softplus(non_click).sum()
