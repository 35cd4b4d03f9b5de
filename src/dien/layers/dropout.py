"""Dropout that draws random numbers for what is dropped alone."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def dropout(x: Tensor, rate: float) -> Tensor:
    """Set each number to zero with a probability, and scale up the others, as PyTorch's dropout does.

    That draws a random number for each entry. Here as many places are drawn, with repetition, as a Poisson
    distribution of mean ``-n log(1 - rate)`` says: each entry of ``n`` is hit by a Poisson number of them,
    independently of the others, and so by none with probability ``1 - rate``.

    Args:
        x: ``[...]``; on another device than the CPU PyTorch's own dropout is taken.
        rate: ``0 < rate < 1``.

    Returns:
        As ``x``.

    Raises:
        ValueError: the rate is none.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate {rate}; expected more than 0 and less than 1")
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    found: Tensor = _Dropout.apply(x, rate)  # type: ignore[no-untyped-call]
    return found


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        n = x.numel()
        mean = torch.tensor(-n * math.log1p(-rate), dtype=torch.float64)
        places = torch.randint(max(n, 1), (int(torch.poisson(mean)),))
        ctx.save_for_backward(places)
        ctx.scale = 1 / (1 - rate)
        return _kept(x, places, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return _kept(gradient, places, ctx.scale), None


def _kept(x: Tensor, dropped: Tensor, scale: float) -> Tensor:
    scaled = (x * scale).contiguous()
    scaled.view(-1).index_fill_(0, dropped, 0.0)
    return scaled
