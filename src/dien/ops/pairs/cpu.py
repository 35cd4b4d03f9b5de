"""The C++ backend of the products and sums over pairs."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Pointers
from dien.ops.pairs import reference
from dien.ops.pairs.arguments import check_products_steps, check_scatter_steps, check_sums_steps


class Problem(ctypes.Structure):
    """``dien::pairs::Problem`` of problem.h."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("starts", Address),
        ("lengths", Address),
        ("keys", Address),
        ("vectors", Address),
        ("scores", Address),
    )


def products(keys: Tensor, queries: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.pairs.reference.products`."""
    backend = chosen(keys)
    if backend is None:
        return reference.products(keys, queries, starts, lengths)
    N, H = keys.shape

    def say_why() -> None:
        check_products_steps(keys, starts, lengths)

    found = keys.new_empty(backend.pairs(starts, lengths, N, say_why))
    pointers = Pointers()
    problem = _problem(pointers, starts, lengths, (N, found.shape[0], H), keys=keys, vectors=queries)
    backend.run("dien_pair_products", problem, found.data_ptr(), say_why=say_why)
    return found


def sums(values: Tensor, scores: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.pairs.reference.sums`."""
    backend = chosen(values)
    if backend is None:
        return reference.sums(values, scores, starts, lengths)
    N, E = values.shape
    found = values.new_empty((lengths.shape[0], E))
    pointers = Pointers()
    problem = _problem(pointers, starts, lengths, (N, scores.shape[0], E), keys=values, scores=scores)
    backend.run(
        "dien_pair_sums",
        problem,
        found.data_ptr(),
        say_why=lambda: check_sums_steps(values, scores, starts, lengths),
    )
    return found


def scatter(scores: Tensor, vectors: Tensor, starts: Tensor, lengths: Tensor, steps: int) -> Tensor:
    """Compute :func:`dien.ops.pairs.reference.scatter`."""
    backend = chosen(vectors)
    if backend is None:
        return reference.scatter(scores, vectors, starts, lengths, steps)
    H = vectors.shape[1]
    found = vectors.new_empty((steps, H))
    pointers = Pointers()
    problem = _problem(pointers, starts, lengths, (steps, scores.shape[0], H), vectors=vectors, scores=scores)
    backend.run(
        "dien_pair_scatter",
        problem,
        found.data_ptr(),
        say_why=lambda: check_scatter_steps(scores, vectors, starts, lengths, steps),
    )
    return found


def _problem(
    pointers: Pointers,
    starts: Tensor,
    lengths: Tensor,
    sizes: tuple[int, int, int],
    *,
    keys: Tensor | None = None,
    vectors: Tensor | None = None,
    scores: Tensor | None = None,
) -> Problem:
    """Hand over rows, the sizes ``N``, ``P`` and ``H``, and two of the three factors."""
    steps, pairs, width = sizes
    return Problem(
        rows=lengths.shape[0],
        steps=steps,
        pairs=pairs,
        width=width,
        starts=pointers.indices(starts),
        lengths=pointers.indices(lengths),
        keys=pointers.contiguous(keys),
        vectors=pointers.contiguous(vectors),
        scores=pointers.contiguous(scores),
    )
