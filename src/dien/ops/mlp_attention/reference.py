"""Plain PyTorch backend of ``mlp_attention``."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dien.ops.mlp import MLPTail
from dien.ops.mlp_attention.arguments import Arguments, check_backward_steps, check_steps
from dien.packed import Pairs


def forward(x: Arguments) -> Tensor:
    """Compute the logits ``[P]``, row after row."""
    check_steps(x)
    hidden, *_ = _first_layer(x, Pairs(x.starts, x.lengths))
    return MLPTail.of(x.activation, x.tail).apply(hidden)


def backward(x: Arguments, dlogits: Tensor) -> list[Tensor]:
    """Differentiate :func:`forward`.

    Args:
        x: what it was given.
        dlogits: ``[P]``.

    Returns:
        The gradients of states, targets, bias, weight_state, weight_product and the tail's parameters.
    """
    check_backward_steps(x, dlogits)
    pairs, tail = Pairs(x.starts, x.lengths), MLPTail.of(x.activation, x.tail)
    hidden, state, target = _first_layer(x, pairs)
    dhidden, dtail = tail.backward(tail.forward(hidden)[1], dlogits)
    dproduct = dhidden @ x.weight_product  # [P, H]
    dstate = dhidden @ x.weight_state + dproduct * target  # [P, H]
    return [
        x.states.new_zeros(x.states.shape).index_add(0, pairs.step, dstate),
        x.targets.new_zeros(x.targets.shape).index_add(0, pairs.row, dproduct * state),
        x.bias.new_zeros(x.bias.shape).index_add(0, pairs.row, dhidden),
        dhidden.t() @ state,
        dhidden.t() @ (state * target),
        *dtail,
    ]


def _first_layer(x: Arguments, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the first layer ``[P, W]``; also return state and target ``[P, H]`` of each pair."""
    state = x.states.index_select(0, pairs.step)
    target = x.targets.index_select(0, pairs.row)
    hidden = x.bias.index_select(0, pairs.row) + F.linear(state, x.weight_state)
    return hidden + F.linear(state * target, x.weight_product), state, target
