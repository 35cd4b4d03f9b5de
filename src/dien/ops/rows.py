"""Rows of embedding tables: looked up side by side, gradients summed by row, updated by Adam.

A step reads and writes the rows it names and nothing as large as a table. On the CPU each is one pass of
C++ over the rows; what it leaves to the caller is the order: sums are formed in that of the indices, so that
results are the same to the bit for any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu import rows as cpu
from dien.ops.cpu.library import Library
from dien.ops.cpu.rows import Columns


def gather_rows(
    tables: Sequence[Tensor], lists: Sequence[Sequence[Tensor]], table_of: Sequence[int]
) -> tuple[Tensor, ...]:
    """Look up several lists of rows, each the rows of several tables side by side.

    Tables get sparse gradients, coalesced, so that an optimiser touches only the rows that were read.

    Args:
        tables: ``[V, W]`` each, of one dtype.
        lists: for each list the indices into each column's table, int64 ``[n]``, as many in every column.
        table_of: which table each column reads.

    Returns:
        For each list ``[n, sum of the columns' W]``.

    Raises:
        IndexError: an index that its table has no row for; the message says which.
        ValueError: indices of another dtype, or that do not fit ``table_of`` or each other.
    """
    for one in lists:
        shapes = [list(column.shape) for column in one]
        if len(one) != len(table_of) or any(len(shape) != 1 or shape != shapes[0] for shape in shapes):
            raise ValueError(
                f"gather_rows: indices have shapes {shapes}; expected [n] for each of {len(table_of)} columns"
            )
        for column in one:
            if column.dtype != torch.int64:
                raise ValueError(f"gather_rows: indices are {column.dtype}; expected torch.int64")
    if not table_of:
        raise ValueError("gather_rows: no columns; expected one at least")
    try:
        if _backend(*tables) is None:
            return tuple(_looked_up(tables, one, table_of) for one in lists)
        found: list[Tensor] = _gather(list(tables), [c for one in lists for c in one], list(table_of))
        return tuple(found)
    except IndexError:
        for one in lists:
            for at, (indices, table) in enumerate(zip(one, table_of, strict=True)):
                _check_range(f"gather_rows: column {at}", indices, tables[table].shape[0])
        raise


def sum_by_row(indices: Tensor, values: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """Sum values by the row they are for, always in the same order.

    Args:
        indices: int64 ``[n]``, of a table of ``height`` rows.
        values: ``[n, W]``.
        height: ``V``.

    Returns:
        The distinct rows ``[m]``, rising, and their sums ``[m, W]``; the arguments, where they are that.

    Raises:
        IndexError: an index out of range.
    """
    if bool((indices[1:] > indices[:-1]).all()):
        return indices, values
    backend = _backend(values)
    if backend is None or values.ndim != 2:
        rows, row_of_value = torch.unique(indices, return_inverse=True)
        return rows, values.new_zeros((rows.shape[0], *values.shape[1:])).index_add_(0, row_of_value, values)
    sums = cpu.sum_by_row(backend, [(height, values.shape[1])], [Columns(0, indices, _in_lines(values))])
    if sums is None:
        _check_range("sum_by_row", indices, height)
        raise AssertionError
    return sums[0]


def adam_rows(
    table: Tensor,
    rows: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    touched: Tensor,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Take a step of Adam (Kingma & Ba, 2015) for some rows of a table, in place.

    Moments are first decayed by ``beta ** k`` for the ``k`` steps since the row was last touched.

    Args:
        table: ``[V, W]``.
        rows: int64 ``[n]``, distinct.
        gradient: ``[n, W]``.
        mean: ``[V, W]`` first moments.
        square: ``[V, W]`` second moments.
        touched: int32 ``[V]``, the step each row was last touched in, 0 for never.
        step: number of this step, from 1.
        lr: step size.
        betas: decay rates of the moments.
        eps: added to the denominator.

    Raises:
        IndexError: a row out of range.
    """
    backend = _backend(table)
    if backend is not None and table.ndim == 2 and all(t.is_contiguous() for t in (table, mean, square)):
        if not cpu.adam(backend, table, rows, gradient, (mean, square, touched), step, (lr, *betas, eps)):
            _check_range("adam_rows", rows, table.shape[0])
        return
    beta1, beta2 = betas
    elapsed = (step - touched[rows]).to(gradient.dtype)[:, None]  # [n, 1], at least 1
    mean_of_rows = mean.index_select(0, rows).mul_(beta1**elapsed).add_(gradient, alpha=1 - beta1)
    square_of_rows = square.index_select(0, rows).mul_(beta2**elapsed)
    square_of_rows.addcmul_(gradient, gradient, value=1 - beta2)
    mean.index_copy_(0, rows, mean_of_rows)
    square.index_copy_(0, rows, square_of_rows)
    touched.index_fill_(0, rows, step)
    denominator = square_of_rows.div_(1 - beta2**step).sqrt_().add_(eps)
    table.index_add_(0, rows, mean_of_rows.mul_(-lr / (1 - beta1**step)).div_(denominator))


def _looked_up(tables: Sequence[Tensor], indices: Sequence[Tensor], table_of: Sequence[int]) -> Tensor:
    return torch.cat(
        [F.embedding(i, tables[t], sparse=True) for i, t in zip(indices, table_of, strict=True)], 1
    )


def _backend(*tables: Tensor) -> tuple[Library, int] | None:
    """Choose the C++ backend, None where it serves no such tensors."""
    if any(t.device.type != "cpu" or t.ndim != 2 or not t.is_contiguous() for t in tables):
        return None
    backends = [chosen(table) for table in tables]
    return None if None in backends else backends[0]


def _check_range(what: str, indices: Tensor, height: int) -> None:
    wrong = torch.nonzero((indices < 0) | (indices >= height))
    if len(wrong):
        at = int(wrong[0])
        raise IndexError(
            f"{what} has index {int(indices[at])} at position {at}; "
            f"expected 0 to {height - 1}, the rows of its table"
        )


def _in_lines(values: Tensor) -> Tensor:
    """Have each line's floats one after the other."""
    return values if values.stride(1) == 1 else values.contiguous()


@torch.library.custom_op("dien::gather_rows", mutates_args=())
def _gather(tables: list[Tensor], indices: list[Tensor], table_of: list[int]) -> list[Tensor]:
    backend = _backend(*tables)
    assert backend is not None
    found: list[Tensor] = _empty(tables, indices, table_of)
    if not cpu.gather(backend, tables, _columns(found, tables, indices, table_of)):
        raise IndexError
    return found


@_gather.register_fake
def _empty(tables: list[Tensor], indices: list[Tensor], table_of: list[int]) -> list[Tensor]:
    width = sum(tables[table].shape[1] for table in table_of)
    return [tables[0].new_empty((len(first), width)) for first in indices[:: len(table_of)]]


def _columns(
    lists: Sequence[Tensor], tables: Sequence[Tensor], indices: Sequence[Tensor], table_of: Sequence[int]
) -> list[Columns]:
    """Cut matrices into the columns of each table, those of a list one after the other."""
    ends = list(accumulate((tables[table].shape[1] for table in table_of), initial=0))
    every = ((one, column) for one in lists for column in range(len(table_of)))
    return [
        Columns(table_of[column], index, one[:, ends[column] : ends[column + 1]])
        for (one, column), index in zip(every, indices, strict=True)
    ]


def _save(ctx: Any, inputs: tuple[list[Tensor], list[Tensor], list[int]], output: list[Tensor]) -> None:
    tables, indices, table_of = inputs
    ctx.save_for_backward(*indices)
    ctx.tables, ctx.table_of = [table.detach() for table in tables], table_of


def _differentiate(ctx: Any, grads: list[Tensor]) -> tuple[list[Tensor], list[None], None]:
    backend = _backend(*ctx.tables)
    assert backend is not None
    lists = [_in_lines(grad) for grad in grads]
    sizes = [tuple(table.shape) for table in ctx.tables]
    sums = cpu.sum_by_row(backend, sizes, _columns(lists, ctx.tables, ctx.saved_tensors, ctx.table_of))
    assert sums is not None  # the indices were in range when they were looked up
    sparse = [
        torch.sparse_coo_tensor(rows[None], values, size, is_coalesced=True, check_invariants=False)
        for (rows, values), size in zip(sums, sizes, strict=True)
    ]
    return sparse, [None] * len(ctx.saved_tensors), None


_gather.register_autograd(_differentiate, setup_context=_save)
