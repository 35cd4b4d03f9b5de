"""Plain PyTorch backend of ``linear``."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute ``x weight^T + bias``: x ``[N, K]``, weight ``[M, K]``, bias ``[M]``."""
    return F.linear(x, weight, bias)


def backward(
    dy: Tensor, x: Tensor, weight: Tensor, needs_dx: bool, needs_dweight: bool, needs_dbias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Differentiate :func:`forward` by what is asked for.

    Args:
        dy: ``[N, M]`` gradient of the result.
        x: ``[N, K]``.
        weight: ``[M, K]``.
        needs_dx: whether the gradient of x is wanted.
        needs_dweight: and of weight.
        needs_dbias: and of bias.

    Returns:
        The gradients of x, weight and bias, empty where not wanted.
    """
    return (
        dy @ weight if needs_dx else x.new_empty(0),
        dy.t() @ x if needs_dweight else x.new_empty(0),
        dy.sum(0) if needs_dbias else x.new_empty(0),
    )
