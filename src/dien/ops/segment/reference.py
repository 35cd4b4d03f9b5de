"""Plain PyTorch backend of the sums and softmax over rows."""

from __future__ import annotations

import torch
from torch import Tensor

from dien.ops.segment.arguments import check_softmax_backward_steps, check_softmax_steps
from dien.packed import row_of_step


def segment_sum(values: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.segment_sum`."""
    total = values.new_zeros((lengths.shape[0], *values.shape[1:]))
    return total.index_add(0, row_of_step(lengths, values.shape[0] if lengths.is_meta else None), values)


def softmax(logits: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.segment_softmax`."""
    check_softmax_steps(logits, lengths)
    row = row_of_step(lengths)
    # The largest of each row only keeps the exponentials in range: it has no gradient.
    top = logits.detach().new_full((lengths.shape[0],), -torch.inf)
    top = top.scatter_reduce(0, row, logits.detach(), "amax")
    e = torch.exp(logits - top[row])
    return e / logits.new_zeros(lengths.shape[0]).index_add(0, row, e)[row]


def softmax_backward(dscores: Tensor, scores: Tensor, lengths: Tensor) -> Tensor:
    """Differentiate :func:`softmax`.

    Args:
        dscores: ``[P]`` gradient of the scores.
        scores: ``[P]`` what it returned.
        lengths: ``[B]``.

    Returns:
        ``[P]`` gradient of the logits.
    """
    check_softmax_backward_steps(scores, lengths)
    row = row_of_step(lengths)
    weighted = scores * dscores
    total = weighted.new_zeros(lengths.shape[0]).index_add(0, row, weighted)
    return weighted - scores * total[row]
