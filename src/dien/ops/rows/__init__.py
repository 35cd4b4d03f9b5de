"""Rows of embedding tables: looked up side by side, gradients summed by row, updated by Adam.

A step reads and writes the rows it names and nothing as large as a table. On the CPU each is one pass of
C++ over the rows; what it leaves to the caller is the order: sums are formed in that of the indices, so that
results are the same to the bit for any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dien.ops.checks import check_has_values, check_range, refuse
from dien.ops.dispatch import define
from dien.ops.rows import cpu, reference
from dien.ops.rows.arguments import Adam, check_adam, check_gather, check_sum


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
        ValueError: a shape or dtype that does not fit; the message quotes it and the rule.
    """
    for one in lists:
        if len(one) != len(table_of):
            shapes = [list(column.shape) for column in one]
            refuse("gather_rows", f"indices have shapes {shapes}", f"[n] for each of {len(table_of)} columns")
    indices = [column for one in lists for column in one]
    return tuple(torch.ops.dien.gather_rows(list(tables), indices, list(table_of)))


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
        ValueError: a shape or dtype that does not fit; the message quotes it and the rule.
    """
    check_sum([values], [indices], [0], [height])
    check_has_values("sum_by_row", "indices", indices)
    if bool((indices[1:] > indices[:-1]).all()):
        if len(indices) and not (int(indices[0]) >= 0 and int(indices[-1]) < height):
            check_range("sum_by_row", indices, height)  # says which
        return indices, values
    rows, sums = torch.ops.dien.sum_by_row([values], [indices], [0], [height])
    return rows, sums


def adam_rows(
    table: Tensor,
    rows: Tensor,
    drows: Tensor,
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
        rows: int64 ``[n]``, distinct; that they rise is checked fastest.
        drows: ``[n, W]`` their gradients.
        mean: ``[V, W]`` first moments.
        square: ``[V, W]`` second moments.
        touched: int32 ``[V]``, the step each row was last touched in, 0 for never.
        step: number of this step, from 1.
        lr: step size.
        betas: decay rates of the moments.
        eps: added to the denominator.

    Raises:
        IndexError: a row out of range.
        ValueError: a shape, dtype or number that does not fit, or a row named twice; the message quotes it
            and the rule. Nothing is written then.
    """
    torch.ops.dien.adam_rows(table, rows, drows, mean, square, touched, step, lr, *betas, eps)


def _fake_sum(
    columns: list[Tensor], indices: list[Tensor], table_of: Sequence[int], heights: Sequence[int]
) -> list[Tensor]:
    check_has_values("sum_by_row", "indices", indices[0])
    first = [columns[table_of.index(table)] for table in range(len(heights))]
    counts = [torch.library.get_ctx().new_dynamic_size() for _ in heights]  # known to the data alone
    rows = [indices[0].new_empty(n) for n in counts]
    return [
        *rows,
        *(column.new_empty((n, *column.shape[1:])) for column, n in zip(first, counts, strict=True)),
    ]


def _save(ctx: Any, inputs: list[Any], output: list[Tensor]) -> None:
    tables, indices, table_of = inputs
    ctx.save_for_backward(*indices)
    ctx.sizes, ctx.table_of = [tuple(table.shape) for table in tables], table_of


def _backward(ctx: Any, *dfound: Tensor) -> tuple[list[Tensor | None], list[None], None]:
    sizes, indices = ctx.sizes, list(ctx.saved_tensors)
    read = sorted(set(ctx.table_of))  # tables that are not have no gradient
    widths = [sizes[table][1] for table in ctx.table_of]
    columns = [column for one in dfound for column in torch.split(one, widths, 1)]
    table_of = [read.index(table) for table in ctx.table_of] * len(dfound)
    heights = [sizes[table][0] for table in read]
    found = torch.ops.dien.sum_by_row(columns, indices, table_of, heights)
    dtables: list[Tensor | None] = [None] * len(sizes)
    for table, rows, values in zip(read, found[: len(read)], found[len(read) :], strict=True):
        dtables[table] = torch.sparse_coo_tensor(
            rows[None], values, sizes[table], is_coalesced=True, check_invariants=False
        )
    return dtables, [None] * len(indices), None


define(
    "gather_rows(Tensor[] tables, Tensor[] indices, int[] table_of) -> Tensor[]",
    reference.gather,
    check=check_gather,
    cpu=cpu.gather,
    fake=cpu.empty,
    plain=reference.gather,
    computes=False,
    save=_save,
    backward=_backward,
)
define(
    "sum_by_row(Tensor[] columns, Tensor[] indices, int[] table_of, int[] heights) -> Tensor[]",
    reference.sum_by_row,
    check=check_sum,
    cpu=cpu.sum_by_row,
    fake=_fake_sum,
    plain=reference.sum_by_row,
    computes=False,
)
define(
    "adam_rows(Tensor(a!) table, Tensor rows, Tensor drows, Tensor(b!) mean, Tensor(c!) square, "
    "Tensor(d!) touched, int step, float lr, float beta1, float beta2, float eps) -> ()",
    reference.adam,
    check=check_adam,
    cpu=cpu.adam,
    fake=lambda *_: None,
    arguments=Adam,
)
