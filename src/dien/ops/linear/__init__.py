"""Linear layers of a few hundred inputs and outputs.

General matrix products are tuned for matrices far larger than those of this model; on some processors they
reach a fifth of what the machine can do on these (docs/performance.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.dispatch import define, no_second_derivative
from dien.ops.linear import cpu, reference

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
    # PyTorch's is fast on wide layers; double precision is for checks, which may differentiate twice.
    if weight.numel() > WIDE or x.dtype == torch.float64:
        return F.linear(x, weight, bias)
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype != x.dtype:
            raise ValueError(f"linear: {name} is {other.dtype} and x {x.dtype}; expected one dtype")
    y: Tensor = torch.ops.dien.linear(x, weight, bias)
    return y


def _fake(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


def _fake_backward(
    dy: Tensor, x: Tensor, weight: Tensor, needs_dx: bool, needs_dweight: bool, needs_dbias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape if needs_dx else 0),
        weight.new_empty(weight.shape if needs_dweight else 0),
        weight.new_empty(weight.shape[0] if needs_dbias else 0),
    )


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    needs = ctx.needs_input_grad
    # For second derivatives: plain PyTorch differentiates itself.
    backward = reference.backward if torch.is_grad_enabled() else torch.ops.dien.linear_backward
    gradients = backward(dy, *ctx.saved_tensors, *needs)
    return tuple(gradient if need else None for gradient, need in zip(gradients, needs, strict=True))


define(
    "linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor",
    reference.forward,
    cpu=cpu.forward,
    fake=_fake,
    save=_save,
    backward=_backward,
)
define(
    "linear_backward(Tensor dy, Tensor x, Tensor weight, bool needs_dx, bool needs_dweight, bool needs_dbias)"
    " -> (Tensor, Tensor, Tensor)",
    reference.backward,
    cpu=cpu.backward,
    fake=_fake_backward,
    backward=no_second_derivative,
)
