"""Plain PyTorch backend of the sums and softmax over rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.dispatch import higher_order
from dien.packed import row_of_step


def segment_sum(values: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.segment_sum`."""
    total = values.new_zeros((lengths.shape[0], *values.shape[1:]))
    return total.index_add(0, _row_of(values, lengths), values)


def segment_softmax(logits: Tensor, lengths: Tensor, row: Tensor | None) -> Tensor:
    """Compute :func:`dien.ops.segment_softmax`."""
    row = _row_of(logits, lengths) if row is None else row.to(torch.int64)
    if higher_order((logits,)):
        top = logits.detach().new_full((lengths.shape[0],), -torch.inf)
        top = top.scatter_reduce(0, row, logits.detach(), "amax")
        e = torch.exp(logits - top[row])
        return e / logits.new_zeros(lengths.shape[0]).index_add(0, row, e)[row]
    result: Tensor = _Softmax.apply(logits, row, lengths.shape[0])  # type: ignore[no-untyped-call]
    return result


def _row_of(values: Tensor, lengths: Tensor) -> Tensor:
    return row_of_step(lengths, values.shape[0] if lengths.is_meta else None)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, row: Tensor, B: int) -> Tensor:
        top = logits.new_full((B,), -torch.inf).scatter_reduce_(0, row, logits, "amax")
        e = torch.exp(logits - top[row])
        scores = e / logits.new_zeros(B).index_add_(0, row, e)[row]
        ctx.save_for_backward(scores, row)
        ctx.rows = B
        return scores

    @staticmethod
    def backward(ctx: Any, dscores: Tensor) -> tuple[Tensor, None, None]:
        scores, row = ctx.saved_tensors
        weighted = scores * dscores
        total = weighted.new_zeros(ctx.rows).index_add(0, row, weighted)
        return weighted - scores * total[row], None, None
