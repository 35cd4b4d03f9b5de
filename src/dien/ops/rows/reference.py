"""Plain PyTorch backend of the operators on rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.rows.arguments import Adam, check_indices, check_rows_of


def gather(tables: list[Tensor], indices: list[Tensor], table_of: Sequence[int]) -> list[Tensor]:
    """Look up lists of rows, each of as many columns as ``table_of`` names.

    Args:
        tables: ``[V, W]`` each.
        indices: ``[n]`` of each column, those of a list one after the other.
        table_of: the table of each column of a list.

    Returns:
        For each list ``[n, sum of W]``.

    Raises:
        IndexError: an index that its table has no row for.
    """
    width = len(table_of)
    if tables[0].device.type == "cpu":  # other devices find out by themselves, and do not wait for it
        check_indices("gather_rows", indices, table_of, [table.shape[0] for table in tables])
    return [
        torch.cat([F.embedding(i, tables[t]) for i, t in zip(one, table_of, strict=True)], 1)
        for one in (indices[at : at + width] for at in range(0, len(indices), width))
    ]


def sum_by_row(
    columns: list[Tensor], indices: list[Tensor], table_of: Sequence[int], heights: Sequence[int]
) -> list[Tensor]:
    """Sum values by the row of the table they are for, in the order they stand in.

    Args:
        columns: values ``[n, W]`` of each column.
        indices: ``[n]`` of each.
        table_of: the table of each; each of the tables has a column.
        heights: rows ``V`` of each table.

    Returns:
        The distinct rows ``[m]`` of each table, rising, and then their sums ``[m, W]`` of each.

    Raises:
        IndexError: an index that its table has no row for.
    """
    check_indices("sum_by_row", indices, table_of, heights)
    rows, sums = [], []
    for table in range(len(heights)):
        mine = [at for at, other in enumerate(table_of) if other == table]
        index, values = torch.cat([indices[at] for at in mine]), torch.cat([columns[at] for at in mine])
        distinct, row_of_value = torch.unique(index, return_inverse=True)
        rows.append(distinct)
        zeros = values.new_zeros((distinct.shape[0], *values.shape[1:]))
        sums.append(zeros.index_add(0, row_of_value, values))
    return [*rows, *sums]


def adam(given: Adam) -> None:
    """Update rows of a table in place."""
    if given.table.device.type == "cpu":
        check_rows_of(given)
    table, rows, drows, mean, square, touched, step, lr, beta1, beta2, eps = given
    elapsed = (step - touched[rows]).to(drows.dtype)[:, None]  # [n, 1], at least 1
    mean_of_rows = mean.index_select(0, rows).mul_(beta1**elapsed).add_(drows, alpha=1 - beta1)
    square_of_rows = square.index_select(0, rows).mul_(beta2**elapsed)
    square_of_rows.addcmul_(drows, drows, value=1 - beta2)
    mean.index_copy_(0, rows, mean_of_rows)
    square.index_copy_(0, rows, square_of_rows)
    touched.index_fill_(0, rows, step)
    denominator = square_of_rows.div_(1 - beta2**step).sqrt_().add_(eps)
    table.index_add_(0, rows, mean_of_rows.mul_(-lr / (1 - beta1**step)).div_(denominator))
