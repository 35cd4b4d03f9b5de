"""Softmax and sum over the steps of each row, packed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.packed import row_of_step


def segment_sum(values: Tensor, lengths: Tensor) -> Tensor:
    """Add up the steps of each row.

    Args:
        values: ``[P, ...]`` row after row.
        lengths: ``[B]`` steps of each row, may be 0.

    Returns:
        ``[B, ...]``, zero for a row without steps.
    """
    total = values.new_zeros((lengths.shape[0], *values.shape[1:]))
    return total.index_add(0, row_of_step(lengths), values)


def segment_softmax(logits: Tensor, lengths: Tensor, row: Tensor | None = None) -> Tensor:
    """Softmax over the steps of each row (the normalisation of eq. 8).

    Args:
        logits: ``[P]`` row after row.
        lengths: ``[B]`` steps of each row, may be 0; ``P = lengths.sum()``.
        row: ``[P]`` the row of each step, where the caller has it already.

    Returns:
        ``[P]``, adding up to 1 over each row that has a step.

    Raises:
        ValueError: logits is not a vector.
    """
    if logits.ndim != 1:
        raise ValueError(f"segment_softmax: logits has shape {list(logits.shape)}; expected [P]")
    result: Tensor = _SegmentSoftmax.apply(  # type: ignore[no-untyped-call]
        logits, lengths, row_of_step(lengths) if row is None else row
    )
    return result


class _SegmentSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, lengths: Tensor, row: Tensor) -> Tensor:
        B = lengths.shape[0]
        top = logits.new_full((B,), -torch.inf).scatter_reduce_(0, row, logits, "amax")
        e = torch.exp(logits - top[row])
        scores = e / logits.new_zeros(B).index_add_(0, row, e)[row]
        ctx.save_for_backward(scores, row)
        ctx.rows = B
        return scores

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        scores, row = ctx.saved_tensors
        weighted = scores * grad
        total = weighted.new_zeros(ctx.rows).index_add_(0, row, weighted)
        return weighted - scores * total[row], None, None
