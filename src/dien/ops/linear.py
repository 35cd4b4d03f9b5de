"""Linear layers of a few hundred inputs and outputs: an operator with a C++ backend on the CPU.

General matrix products are tuned for matrices far larger than those of this model; on some processors they
reach a fifth of what the machine can do on these (docs/performance.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.cpu import linear as cpu

WIDE = 256 * 256
"""Weights beyond which torch.nn.functional.linear is left to do its work."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``x weight^T + bias``, as torch.nn.functional.linear.

    Args:
        x: ``[N, K]``.
        weight: ``[M, K]``.
        bias: ``[M]``, or None.

    Returns:
        ``[N, M]``.

    Raises:
        ValueError: shapes or dtypes that do not fit; the message quotes them and the rule.
    """
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"linear: x has shape {list(x.shape)} and weight {list(weight.shape)}; expected [N, K] and [M, K]"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias has shape {list(bias.shape)}; expected [M] = [{weight.shape[0]}]")
    if x.device.type != "cpu" or x.dtype != torch.float32 or weight.numel() > WIDE:
        return F.linear(x, weight, bias)
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype != x.dtype:
            raise ValueError(f"linear: {name} is {other.dtype} and x {x.dtype}; expected one dtype")
    y: Tensor = _forward(x, weight, bias)
    return y


@torch.library.custom_op("dien::linear", mutates_args=())
def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return cpu.forward(x, weight, bias)


@torch.library.custom_op("dien::linear_backward", mutates_args=())
def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, of_x: bool, of_weight: bool, of_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return cpu.backward(grad, x, weight, of_x, of_weight, of_bias)


@_forward.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


@_backward.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, of_x: bool, of_weight: bool, of_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape if of_x else 0),
        weight.new_empty(weight.shape if of_weight else 0),
        weight.new_empty(weight.shape[0] if of_bias else 0),
    )


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    wanted = ctx.needs_input_grad
    found = _backward(grad, *ctx.saved_tensors, *wanted)
    return tuple(of if want else None for of, want in zip(found, wanted, strict=True))


_forward.register_autograd(_differentiate, setup_context=_save)
