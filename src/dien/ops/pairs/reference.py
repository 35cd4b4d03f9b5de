"""Plain PyTorch backend of the products and sums over pairs."""

from __future__ import annotations

from torch import Tensor

from dien.ops.pairs.arguments import check_products_steps, check_scatter_steps, check_sums_steps
from dien.packed import Pairs


def products(keys: Tensor, queries: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.pair_products`."""
    check_products_steps(keys, starts, lengths)
    pairs = Pairs(starts, lengths)
    return (keys.index_select(0, pairs.step) * queries.index_select(0, pairs.row)).sum(1)


def sums(values: Tensor, scores: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.pair_sums`."""
    check_sums_steps(values, scores, starts, lengths)
    pairs = Pairs(starts, lengths)
    total = values.new_zeros((lengths.shape[0], values.shape[1]))
    return total.index_add(0, pairs.row, values.index_select(0, pairs.step) * scores[:, None])


def scatter(scores: Tensor, vectors: Tensor, starts: Tensor, lengths: Tensor, steps: int) -> Tensor:
    """Compute :func:`dien.ops.pair_scatter`."""
    check_scatter_steps(scores, vectors, starts, lengths, steps)
    pairs = Pairs(starts, lengths)
    total = vectors.new_zeros((steps, vectors.shape[1]))
    return total.index_add(0, pairs.step, vectors.index_select(0, pairs.row) * scores[:, None])
