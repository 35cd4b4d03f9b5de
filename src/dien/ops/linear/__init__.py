"""Linear layers of a few hundred inputs and outputs.

General matrix products are tuned for matrices far larger than those of this model; on some processors they
reach a fifth of what the machine can do on these (docs/performance.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.dispatch import define, under_autocast
from dien.ops.linear import cpu, reference
from dien.ops.linear.arguments import check, check_backward

WIDE = 256 * 256
"""Weights beyond which torch.nn.functional.linear is left to do its work."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``x weight^T + bias``, as torch.nn.functional.linear.

    Under ``torch.autocast`` in float32; a wide layer, which is left to PyTorch, in autocast's type.

    Args:
        x: ``[N, K]``.
        weight: ``[M, K]``.
        bias: ``[M]``, or None.

    Returns:
        ``[N, M]``.

    Raises:
        ValueError: shapes or dtypes that do not fit; the message quotes them and the rule.
    """
    # PyTorch's is fast on wide layers.
    if weight.numel() > WIDE or x.dtype == torch.float64:
        if not under_autocast(x):
            check(x, weight, bias)
        return F.linear(x, weight, bias)
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
    needs = ctx.needs_input_grad[:3]
    gradients = torch.ops.dien.linear_backward(dy, *ctx.saved_tensors, *needs)
    return tuple(gradient if need else None for gradient, need in zip(gradients, needs, strict=True))


define(
    "linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor",
    reference.forward,
    check=check,
    cpu=cpu.forward,
    fake=_fake,
    plain=reference.forward,
    save=_save,
    backward=_backward,
)
define(
    "linear_backward(Tensor dy, Tensor x, Tensor weight, bool needs_dx, bool needs_dweight, bool needs_dbias)"
    " -> (Tensor, Tensor, Tensor)",
    reference.backward,
    check=check_backward,
    cpu=cpu.backward,
    fake=_fake_backward,
    plain=reference.backward,
)
