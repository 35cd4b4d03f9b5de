"""Products and sums over the pairs of rows and the steps they read.

All three operators are derivatives of one form, ``sum_p scores[p] (keys[step(p)] . vectors[row(p)])``:
:func:`pair_products` by the scores, :func:`pair_scatter` by the keys and :func:`pair_sums` by the vectors.
The gradients of each are therefore the other two, to any order. In C++, nothing ``[P, H]`` is written.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.checks import check_has_values
from dien.ops.dispatch import define
from dien.ops.pairs import cpu, reference
from dien.ops.pairs.arguments import check_products, check_scatter, check_sums


def pair_products(keys: Tensor, queries: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Multiply each row's query with every step it reads: ``keys[step(p)] . queries[row(p)]``.

    Args:
        keys: ``[N, H]`` packed steps.
        queries: ``[B, H]``, one for each row.
        starts: ``[B]`` int32 or int64; row ``b`` reads ``keys[starts[b] : starts[b] + lengths[b]]``, and rows
            may share steps.
        lengths: ``[B]`` int32 or int64, >= 0.

    Returns:
        ``[P]`` row after row, ``P = lengths.sum()``.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    products: Tensor = torch.ops.dien.pair_products(keys, queries, starts, lengths)
    return products


def pair_sums(values: Tensor, scores: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Add up the steps each row reads, by their scores: ``sum_p scores[p] values[step(p)]``.

    Args:
        values: ``[N, E]`` packed steps.
        scores: ``[P]``, one for every step of every row, row after row.
        starts: ``[B]``, as :func:`pair_products`.
        lengths: ``[B]``; ``P = lengths.sum()``.

    Returns:
        ``[B, E]``, zero for a row that reads nothing.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    sums: Tensor = torch.ops.dien.pair_sums(values, scores, starts, lengths)
    return sums


def pair_scatter(scores: Tensor, vectors: Tensor, starts: Tensor, lengths: Tensor, steps: int) -> Tensor:
    """Add the vector of each row to every step it reads, by a score: the gradient of the keys or values.

    Args:
        scores: ``[P]``, one for every step of every row, row after row.
        vectors: ``[B, H]``, one for each row.
        starts: ``[B]``, as :func:`pair_products`.
        lengths: ``[B]``; ``P = lengths.sum()``.
        steps: ``N``.

    Returns:
        ``[N, H]``, zero for a step that no row reads.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    found: Tensor = torch.ops.dien.pair_scatter(scores, vectors, starts, lengths, steps)
    return found


def _fake_products(keys: Tensor, queries: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    check_has_values("pair_products", "lengths", lengths)
    return keys.new_empty(torch.library.get_ctx().new_dynamic_size())  # known to the data alone


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])


def _backward_products(ctx: Any, dproducts: Tensor) -> tuple[Tensor | None, ...]:
    keys, queries, starts, lengths = ctx.saved_tensors
    needs_keys, needs_queries, *_ = ctx.needs_input_grad
    return (
        pair_scatter(dproducts, queries, starts, lengths, keys.shape[0]) if needs_keys else None,
        pair_sums(keys, dproducts, starts, lengths) if needs_queries else None,
        None,
        None,
    )


def _backward_sums(ctx: Any, dsums: Tensor) -> tuple[Tensor | None, ...]:
    values, scores, starts, lengths = ctx.saved_tensors
    needs_values, needs_scores, *_ = ctx.needs_input_grad
    return (
        pair_scatter(scores, dsums, starts, lengths, values.shape[0]) if needs_values else None,
        pair_products(values, dsums, starts, lengths) if needs_scores else None,
        None,
        None,
    )


def _backward_scatter(ctx: Any, dfound: Tensor) -> tuple[Tensor | None, ...]:
    scores, vectors, starts, lengths = ctx.saved_tensors
    needs_scores, needs_vectors, *_ = ctx.needs_input_grad
    return (
        pair_products(dfound, vectors, starts, lengths) if needs_scores else None,
        pair_sums(dfound, scores, starts, lengths) if needs_vectors else None,
        None,
        None,
        None,
    )


define(
    "pair_products(Tensor keys, Tensor queries, Tensor starts, Tensor lengths) -> Tensor",
    reference.products,
    check=check_products,
    cpu=cpu.products,
    fake=_fake_products,
    plain=reference.products,
    save=_save,
    backward=_backward_products,
)
define(
    "pair_sums(Tensor values, Tensor scores, Tensor starts, Tensor lengths) -> Tensor",
    reference.sums,
    check=check_sums,
    cpu=cpu.sums,
    fake=lambda values, _, starts, lengths: values.new_empty((lengths.shape[0], values.shape[1])),
    plain=reference.sums,
    save=_save,
    backward=_backward_sums,
)
define(
    "pair_scatter(Tensor scores, Tensor vectors, Tensor starts, Tensor lengths, SymInt steps) -> Tensor",
    reference.scatter,
    check=check_scatter,
    cpu=cpu.scatter,
    fake=lambda _, vectors, starts, lengths, steps: vectors.new_empty((steps, vectors.shape[1])),
    plain=reference.scatter,
    save=_save,
    backward=_backward_scatter,
)
