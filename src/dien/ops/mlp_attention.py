"""Logits of DIN's attention: an MLP on ``[q, k, q - k, q * k]`` of every (target, step), packed.

The first layer's weights fall apart into those of ``q``, ``k``, ``q - k`` and ``q * k``; for one target it is
then a linear layer of the state alone, with the target in its weights and bias, and the fourfold
concatenation is never built.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.cpu import mlp as cpu
from dien.ops.linear import linear
from dien.ops.tower import Tower
from dien.packed import Pairs


def mlp_attention(
    states: Tensor,
    targets: Tensor,
    starts: Tensor,
    lengths: Tensor,
    weight: Tensor,
    bias: Tensor,
    tower: Tower,
) -> Tensor:
    """Score every step of every row.

    Args:
        states: ``[N, H]`` packed steps ``k``.
        targets: ``[B, H]``, ``q`` of each row.
        starts: ``[B]`` integers; row ``b`` reads ``states[starts[b] : starts[b] + lengths[b]]``, and rows may
            share steps.
        lengths: ``[B]`` integers >= 0.
        weight: ``[W, 4H]`` of the first layer, for ``[q, k, q - k, q * k]``.
        bias: ``[W]`` of the first layer.
        tower: the layers after it.

    Returns:
        ``[P]`` logits row after row, ``P = lengths.sum()``.

    Raises:
        ValueError: a shape that does not fit, quoted with the rule.
    """
    H = states.shape[1]
    if targets.shape != (lengths.shape[0], H):
        raise ValueError(
            f"mlp_attention: targets has shape {list(targets.shape)}; expected [B, H] = "
            f"[{lengths.shape[0]}, {H}], as states {list(states.shape)} and lengths {list(lengths.shape)}"
        )
    if weight.shape[1] != 4 * H:
        raise ValueError(
            f"mlp_attention: weight has shape {list(weight.shape)}; expected [W, 4H] = [W, {4 * H}]"
        )
    of_query, of_key, of_difference, of_product = weight.chunk(4, 1)
    per_target = linear(targets, of_query + of_difference, bias)  # [B, W]
    arguments = (
        states,
        targets,
        per_target,
        of_key - of_difference,
        of_product,
        tower.parameters,
        tower.activation,
        starts.to(torch.int64),
        lengths.to(torch.int64),
    )
    logits: Tensor = _forward(*arguments) if cpu.serves(states, tower) else reference(*arguments)
    return logits


def reference(
    states: Tensor,
    targets: Tensor,
    per_target: Tensor,
    of_state: Tensor,
    of_product: Tensor,
    parameters: list[Tensor],
    activation: str,
    starts: Tensor,
    lengths: Tensor,
) -> Tensor:
    """Compute the logits in plain PyTorch, ``per_target`` being all that depends on the target alone."""
    pairs = Pairs.of(starts, lengths)
    state = states.index_select(0, pairs.step)  # [P, H]
    hidden = per_target.index_select(0, pairs.row) + F.linear(state, of_state)  # [P, W]
    hidden = hidden + F.linear(state * targets.index_select(0, pairs.row), of_product)
    return Tower.of(activation, parameters).apply(hidden)


@torch.library.custom_op("dien::mlp_attention", mutates_args=())
def _forward(
    states: Tensor,
    targets: Tensor,
    per_target: Tensor,
    of_state: Tensor,
    of_product: Tensor,
    parameters: list[Tensor],
    activation: str,
    starts: Tensor,
    lengths: Tensor,
) -> Tensor:
    return cpu.attention_forward(
        states, targets, per_target, of_state, of_product, Tower.of(activation, parameters), starts, lengths
    )


@torch.library.custom_op("dien::mlp_attention_backward", mutates_args=())
def _backward(
    grad: Tensor,
    states: Tensor,
    targets: Tensor,
    per_target: Tensor,
    of_state: Tensor,
    of_product: Tensor,
    parameters: list[Tensor],
    activation: str,
    starts: Tensor,
    lengths: Tensor,
) -> list[Tensor]:
    tower = Tower.of(activation, parameters)
    return cpu.attention_backward(
        grad, states, targets, per_target, of_state, of_product, tower, starts, lengths
    )


@_forward.register_fake
def _(states: Tensor, *_rest: Any) -> Tensor:
    return states.new_empty(torch.library.get_ctx().new_dynamic_size())  # known to the data alone


@_backward.register_fake
def _(grad: Tensor, *arguments: Any) -> list[Tensor]:
    *tensors, parameters, _activation, _starts, _lengths = arguments
    return [tensor.new_empty(tensor.shape) for tensor in (*tensors, *parameters)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, parameters, activation, starts, lengths = inputs
    ctx.save_for_backward(*tensors, starts, lengths, *parameters)
    ctx.activation = activation


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    *tensors, starts, lengths = ctx.saved_tensors[:7]
    parameters = list(ctx.saved_tensors[7:])
    gradients = _backward(grad.contiguous(), *tensors, parameters, ctx.activation, starts, lengths)
    return (*gradients[:5], gradients[5:], None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
