"""The arguments of the operators on rows, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dien.ops.checks import check_alike, check_integers, check_range, check_shape, refuse, shape


class Adam(NamedTuple):
    """A step for some rows of a table; shapes and meaning as in :func:`dien.ops.adam_rows`.

    Attributes:
        table: ``[V, W]``, written.
        rows: ``[n]``.
        drows: ``[n, W]``.
        mean: ``[V, W]``, written.
        square: ``[V, W]``, written.
        touched: ``[V]``, written.
        step: number of this step.
        lr: step size.
        beta1: decay rate of ``mean``.
        beta2: decay rate of ``square``.
        eps: added to the denominator.
    """

    table: Tensor
    rows: Tensor
    drows: Tensor
    mean: Tensor
    square: Tensor
    touched: Tensor
    step: int
    lr: float
    beta1: float
    beta2: float
    eps: float


def check_gather(tables: list[Tensor], indices: list[Tensor], table_of: Sequence[int]) -> None:
    """Refuse shapes and types that do not fit ``gather_rows``, quoting them and the rule."""
    name, columns = "gather_rows", len(table_of)
    if not tables or not columns:
        refuse(name, f"{len(tables)} tables and {columns} columns", "one of each at least")
    for at, table in enumerate(tables):
        if table.ndim != 2:
            refuse(name, f"table {at} has shape {shape(table)}", "[V, W]")
    check_alike(name, (), tables, "table {}")
    _check_tables(name, table_of, len(tables))
    if len(indices) % columns:
        _refuse_indices(indices, columns)
    device = tables[0].device
    for at, column in enumerate(indices):
        first = indices[at - at % columns]
        if column.ndim != 1 or column.shape[0] != first.shape[0]:
            begin = at - at % columns
            _refuse_indices(indices[begin : begin + columns], columns)
        _check_indices(name, column, "the tables are", device)


def check_sum(
    columns: list[Tensor], indices: list[Tensor], table_of: Sequence[int], heights: Sequence[int]
) -> None:
    """Refuse shapes and types that do not fit ``sum_by_row``, quoting them and the rule."""
    name = "sum_by_row"
    if not columns or not len(columns) == len(indices) == len(table_of):
        found = f"{len(columns)} columns, {len(indices)} of indices and {len(table_of)} of tables"
        refuse(name, found, "as many of each, one at least")
    check_alike(name, (), columns, "column {}")
    _check_tables(name, table_of, len(heights))
    if len(set(table_of)) != len(heights) or min(heights) < 0:
        refuse(name, f"heights={list(heights)} and table_of={list(table_of)}", "a column of every table")
    first: dict[int, Tensor] = {}
    for column, index, table in zip(columns, indices, table_of, strict=True):
        if index.ndim != 1 or not column.ndim or column.shape[0] != index.shape[0]:
            refuse(name, f"indices have shape {shape(index)} and values {shape(column)}", "[n] and [n, W]")
        _check_indices(name, index, "the values are", columns[0].device)
        other = first.setdefault(table, column)
        if other.shape[1:] != column.shape[1:]:
            found = f"values of table {table} have shapes {shape(other)} and {shape(column)}"
            refuse(name, found, "[n, W] with one W")


def check_adam(given: Adam) -> None:
    """Refuse shapes, types and numbers that do not fit ``adam_rows``, quoting them and the rule."""
    name = "adam_rows"
    table, rows, drows, mean, square, touched, step, lr, beta1, beta2, eps = given
    if table.ndim != 2:
        refuse(name, f"table has shape {shape(table)}", "[V, W]")
    check_integers(name, ("rows", "touched"), (rows, touched), "table", table.device)
    if rows.dtype is not torch.int64 or touched.dtype is not torch.int32:
        refuse(name, f"rows are {rows.dtype} and touched {touched.dtype}", "torch.int64 and torch.int32")
    check_shape(name, "drows", drows, "[n, W]", (rows.shape[0], *table.shape[1:]))
    check_shape(name, "mean", mean, "[V, W]", table.shape)
    check_shape(name, "square", square, "[V, W]", table.shape)
    check_shape(name, "touched", touched, "[V]", table.shape[:1])
    check_alike(name, ("table", "drows", "mean", "square"), (table, drows, mean, square))
    if not 1 <= step < 2**31:
        refuse(name, f"step={step}", "1 to 2**31 - 1")
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1 and math.isfinite(lr) and 0 <= eps < math.inf):
        found = f"lr={lr}, betas=({beta1}, {beta2}) and eps={eps}"
        refuse(name, found, "a number, both in [0, 1) and 0 or more")


def check_indices(
    name: str, indices: Sequence[Tensor], table_of: Sequence[int], heights: Sequence[int]
) -> None:
    """Refuse indices that their tables have no rows for, quoting the first and the rule.

    Args:
        name: of the operator.
        indices: of the columns, of one list or of several.
        table_of: the table of each column of a list.
        heights: of each table.

    Raises:
        IndexError: there is one.
    """
    for at, column in enumerate(indices):
        what = f"{name}: column {at % len(table_of)}" if len(table_of) > 1 or name != "sum_by_row" else name
        check_range(what, column, heights[table_of[at % len(table_of)]])


def check_rows_of(given: Adam) -> None:
    """Refuse rows that are not there, named twice or touched in a step to come, quoting the first.

    Raises:
        IndexError: a row that is not there.
        ValueError: another.
    """
    rows, step = given.rows, given.step
    check_range("adam_rows", rows, given.table.shape[0])
    distinct, counts = torch.unique(rows, return_counts=True)
    if len(distinct) < len(rows):
        row = int(distinct[counts > 1][0])
        refuse("adam_rows", f"rows names row {row} more than once", "distinct rows")
    touched = given.touched[rows]
    wrong = torch.nonzero((touched < 0) | (touched > step))
    if len(wrong):
        at = int(wrong[0])
        found = f"touched is {int(touched[at])} for row {int(rows[at])} and step {step}"
        refuse("adam_rows", found, "0 to step, the number of the step a row was last touched in")


def _check_tables(name: str, table_of: Sequence[int], tables: int) -> None:
    for table in table_of:
        if not 0 <= table < tables:
            refuse(name, f"table_of names table {table}", f"0 to {tables - 1}, one of {tables} tables")


def _check_indices(name: str, index: Tensor, beside: str, device: torch.device) -> None:
    if index.dtype is not torch.int64:
        refuse(name, f"indices are {index.dtype}", "torch.int64")
    if index.device != device or index.layout is not torch.strided:
        found = f"indices are {index.layout} on {index.device} and {beside} on {device}"
        refuse(name, found, "dense tensors on one device")


def _refuse_indices(columns: Sequence[Tensor], count: int) -> None:
    shapes = [list(column.shape) for column in columns]
    refuse("gather_rows", f"indices have shapes {shapes}", f"[n] for each of {count} columns")
