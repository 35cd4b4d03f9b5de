"""Logits of DIN's attention: an MLP on ``[q, k, q - k, q * k]`` of every (target, step), packed.

The first layer's weights fall apart into those of ``q``, ``k``, ``q - k`` and ``q * k``; for one target it is
then a linear layer of the state alone, with the target in its weights and bias, and the fourfold
concatenation is never built.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.checks import check_has_values, check_shape, refuse, shape
from dien.ops.dispatch import define, under_autocast
from dien.ops.linear import linear
from dien.ops.mlp import MLPTail
from dien.ops.mlp_attention import cpu, reference
from dien.ops.mlp_attention.arguments import Arguments, check, check_backward, check_targets


def mlp_attention(
    states: Tensor,
    targets: Tensor,
    starts: Tensor,
    lengths: Tensor,
    weight: Tensor,
    bias: Tensor,
    tail: MLPTail,
) -> Tensor:
    """Score every step of every row.

    Args:
        states: ``[N, H]`` packed steps ``k``.
        targets: ``[B, H]``, ``q`` of each row.
        starts: ``[B]`` int32 or int64; row ``b`` reads ``states[starts[b] : starts[b] + lengths[b]]``, and
            rows may share steps.
        lengths: ``[B]`` int32 or int64, >= 0.
        weight: ``[W, 4H]`` of the first layer, for ``[q, k, q - k, q * k]``.
        bias: ``[W]`` of the first layer.
        tail: the layers after it.

    Returns:
        ``[P]`` logits row after row, ``P = lengths.sum()``.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    # The operator takes what is made of these: they are refused by their own names.
    check_targets("mlp_attention", states, targets, starts, lengths)
    if weight.layout is not torch.strided:
        refuse("mlp_attention", f"weight has layout {weight.layout}", "a dense tensor")
    if weight.ndim != 2 or weight.shape[1] != 4 * states.shape[1]:
        rule = f"[W, 4H] = [W, {4 * states.shape[1]}]"
        refuse("mlp_attention", f"weight has shape {shape(weight)}", rule)
    check_shape("mlp_attention", "bias", bias, "[W]", weight.shape[:1])
    if under_autocast(weight):
        weight = weight.float()  # before it is added up
    weight_query, weight_key, weight_difference, weight_product = weight.chunk(4, 1)
    logits: Tensor = torch.ops.dien.mlp_attention(
        states,
        targets,
        linear(targets, weight_query + weight_difference, bias),  # [B, W]
        weight_key - weight_difference,
        weight_product,
        starts,
        lengths,
        tail.parameters,
        tail.activation,
    )
    return logits


def _fake(x: Arguments) -> Tensor:
    check_has_values("mlp_attention", "lengths", x.lengths)
    return x.states.new_empty(torch.library.get_ctx().new_dynamic_size())  # known to the data alone


def _fake_backward(x: Arguments, dlogits: Tensor) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in (*x[:5], *x.tail)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x = Arguments(*inputs)
    ctx.save_for_backward(*x[:7], *x.tail)
    ctx.activation = x.activation


def _backward(ctx: Any, dlogits: Tensor) -> tuple[Any, ...]:
    tensors = ctx.saved_tensors
    x = Arguments._make((*tensors[:7], list(tensors[7:]), ctx.activation))
    gradients = torch.ops.dien.mlp_attention_backward(*x, dlogits)
    return (*gradients[:5], None, None, gradients[5:], None)


define(
    "mlp_attention({}) -> Tensor",
    reference.forward,
    check=check,
    cpu=cpu.forward,
    fake=_fake,
    plain=reference.forward,
    save=_save,
    backward=_backward,
    arguments=Arguments,
)
define(
    "mlp_attention_backward({}, Tensor dlogits) -> Tensor[]",
    reference.backward,
    check=check_backward,
    cpu=cpu.backward,
    fake=_fake_backward,
    plain=reference.backward,
    arguments=Arguments,
)
