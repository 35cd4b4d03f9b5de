"""The C++ backend of the operators on rows."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Backend, Pointers, contiguous_rows
from dien.ops.rows import reference
from dien.ops.rows.arguments import Adam, check_indices, check_rows_of


class Table(ctypes.Structure):
    """``dien::rows::Table`` of problem.h."""

    _fields_ = (("values", Address), ("rows", ctypes.c_int64), ("width", ctypes.c_int64))


class Block(ctypes.Structure):
    """``dien::rows::Block`` of problem.h."""

    _fields_ = (
        ("table", ctypes.c_int64),
        ("count", ctypes.c_int64),
        ("indices", Address),
        ("values", Address),
        ("stride", ctypes.c_int64),
    )


class Problem(ctypes.Structure):
    """``dien::rows::Problem`` of problem.h."""

    _fields_ = (
        ("tables", ctypes.c_int64),
        ("blocks", ctypes.c_int64),
        ("table", ctypes.POINTER(Table)),
        ("block", ctypes.POINTER(Block)),
    )


class Sums(ctypes.Structure):
    """``dien::rows::Sums`` of problem.h."""

    _fields_ = (("rows", Address), ("values", Address), ("count", ctypes.c_int64))


class AdamStep(ctypes.Structure):
    """``dien::rows::Adam`` of problem.h."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("rows", Address),
        ("drows", Address),
        ("weights", Address),
        ("mean", Address),
        ("square", Address),
        ("touched", Address),
        ("step", ctypes.c_int32),
        ("lr", ctypes.c_double),
        ("beta1", ctypes.c_double),
        ("beta2", ctypes.c_double),
        ("eps", ctypes.c_double),
    )


def gather(tables: list[Tensor], indices: list[Tensor], table_of: Sequence[int]) -> list[Tensor]:
    """Compute :func:`dien.ops.rows.reference.gather`."""
    backend = _chosen(tables) if all(table.is_contiguous() for table in tables) else None
    if backend is None:
        return reference.gather(tables, indices, table_of)
    found = empty(tables, indices, table_of)
    pointers = Pointers()
    handed = [Table(pointers.strided(table), *table.shape) for table in tables]
    widths = [tables[table].shape[1] for table in table_of]
    columns = [column for one in found for column in torch.split(one, widths, 1)]
    problem = _problem(pointers, handed, [*table_of] * len(found), indices, columns)

    def say_why() -> None:
        check_indices("gather_rows", indices, table_of, [table.shape[0] for table in tables])

    backend.run("dien_rows_gather", problem, say_why=say_why)
    return found


def empty(tables: list[Tensor], indices: list[Tensor], table_of: Sequence[int]) -> list[Tensor]:
    """Make room for what :func:`gather` finds."""
    width = sum(tables[table].shape[1] for table in table_of)
    return [tables[0].new_empty((len(first), width)) for first in indices[:: len(table_of)]]


def sum_by_row(
    columns: list[Tensor], indices: list[Tensor], table_of: Sequence[int], heights: Sequence[int]
) -> list[Tensor]:
    """Compute :func:`dien.ops.rows.reference.sum_by_row`."""
    backend = _chosen(columns)
    if backend is None:
        return reference.sum_by_row(columns, indices, table_of, heights)
    widths, most = [0] * len(heights), [0] * len(heights)
    for table, column in zip(table_of, columns, strict=True):
        n, widths[table] = column.shape
        most[table] += n
    handed = [Table(None, height, width) for height, width in zip(heights, widths, strict=True)]
    pointers = Pointers()
    problem = _problem(pointers, handed, table_of, indices, [contiguous_rows(column) for column in columns])
    rows = [torch.empty(n, dtype=torch.int64) for n in most]
    values = [columns[0].new_empty((n, width)) for n, width in zip(most, widths, strict=True)]
    room = zip(rows, values, strict=True)
    sums = (Sums * len(heights))(*[Sums(row.data_ptr(), value.data_ptr(), 0) for row, value in room])

    def say_why() -> None:
        check_indices("sum_by_row", indices, table_of, heights)

    backend.run("dien_rows_sum", problem, ctypes.addressof(sums), say_why=say_why)
    counts = [one.count for one in sums] * 2
    return [each[:count] for each, count in zip((*rows, *values), counts, strict=True)]


def adam(given: Adam) -> None:
    """Compute :func:`dien.ops.rows.reference.adam`."""
    table, rows, drows, mean, square, touched, *rest = given
    served = all(tensor.is_contiguous() for tensor in (table, mean, square, touched))
    backend = _chosen([table]) if served else None
    if backend is None:
        return reference.adam(given)
    rows, drows = rows.contiguous(), drows.contiguous()
    addresses = [tensor.data_ptr() for tensor in (rows, drows, table, mean, square, touched)]
    step = AdamStep(rows.shape[0], *table.shape, *addresses, *rest)
    backend.run("dien_rows_adam", step, say_why=lambda: check_rows_of(given))
    return None


def _chosen(matrices: Sequence[Tensor]) -> Backend | None:
    """Choose the C++ backend, None where it serves no such tensors."""
    first = matrices[0]
    for matrix in matrices:
        if matrix.ndim != 2 or matrix.dtype != first.dtype:
            return None
    return chosen(first)


def _problem(
    pointers: Pointers,
    tables: Sequence[Table],
    table_of: Sequence[int],
    indices: Sequence[Tensor],
    columns: Sequence[Tensor],
) -> Problem:
    blocks = [
        Block(table, index.shape[0], pointers.contiguous(index), pointers.strided(column), column.stride(0))
        for table, index, column in zip(table_of, indices, columns, strict=True)
    ]
    return Problem(len(tables), len(blocks), (Table * len(tables))(*tables), (Block * len(blocks))(*blocks))
