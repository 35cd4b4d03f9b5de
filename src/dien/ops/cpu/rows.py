"""The C++ backend of the operators on rows of tables."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dien.ops.cpu.library import Address, Held, Library


class Table(ctypes.Structure):
    """``dien::rows::Table`` of rows/problem.h."""

    _fields_ = (("values", Address), ("rows", ctypes.c_int64), ("width", ctypes.c_int64))


class Block(ctypes.Structure):
    """``dien::rows::Block``."""

    _fields_ = (
        ("table", ctypes.c_int64),
        ("count", ctypes.c_int64),
        ("indices", Address),
        ("values", Address),
        ("stride", ctypes.c_int64),
    )


class Problem(ctypes.Structure):
    """``dien::rows::Problem``."""

    _fields_ = (
        ("tables", ctypes.c_int64),
        ("blocks", ctypes.c_int64),
        ("table", ctypes.POINTER(Table)),
        ("block", ctypes.POINTER(Block)),
    )


class Sums(ctypes.Structure):
    """``dien::rows::Sums``."""

    _fields_ = (("rows", Address), ("values", Address), ("count", ctypes.c_int64))


class Adam(ctypes.Structure):
    """``dien::rows::Adam``."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("rows", Address),
        ("gradient", Address),
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


class Columns(NamedTuple):
    """Rows of a table that stand side by side with others'.

    Attributes:
        table: which one.
        indices: ``[n]`` int64.
        values: ``[n, width of the table]``, each line's floats one after the other.
    """

    table: int
    indices: Tensor
    values: Tensor


def gather(backend: tuple[Library, int], tables: Sequence[Tensor], columns: Sequence[Columns]) -> bool:
    """Write the rows of tables ``[V, W]``; False where an index is out of range."""
    compiled, path = backend
    problem, _held = _problem([(table, *table.shape) for table in tables], columns)
    return _ran(compiled, "dien_rows_gather", problem, path)


def sum_by_row(
    backend: tuple[Library, int], sizes: Sequence[tuple[int, int]], columns: Sequence[Columns]
) -> list[tuple[Tensor, Tensor]] | None:
    """Sum values by row, in the order they stand in; None where an index is out of range.

    Args:
        backend: library and path.
        sizes: height and width of each table.
        columns: what to sum.

    Returns:
        For each table the distinct rows ``[n]``, rising, and their sums ``[n, W]``.
    """
    compiled, path = backend
    problem, _held = _problem([(None, *size) for size in sizes], columns)
    found = []
    for table, (_, width) in enumerate(sizes):
        most = sum(len(c.indices) for c in columns if c.table == table)
        found.append((torch.empty(most, dtype=torch.int64), torch.empty(most, width)))
    sums = (Sums * len(sizes))(*(Sums(rows.data_ptr(), values.data_ptr(), 0) for rows, values in found))
    if not _ran(compiled, "dien_rows_sum", problem, path, ctypes.addressof(sums)):
        return None
    return [(rows[: s.count], values[: s.count]) for (rows, values), s in zip(found, sums, strict=True)]


def adam(
    backend: tuple[Library, int],
    table: Tensor,
    rows: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor, Tensor],
    step: int,
    rates: tuple[float, float, float, float],
) -> bool:
    """Update distinct rows of a table; False where an index is out of range.

    Args:
        backend: library and path.
        table: ``[V, W]``.
        rows: ``[n]``.
        gradient: ``[n, W]``.
        moments: mean and square ``[V, W]``, and the step each row was last touched in, int32 ``[V]``.
        step: number of this one.
        rates: step size, both decay rates and epsilon.
    """
    compiled, path = backend
    held = Held()
    problem = Adam(
        len(rows),
        *table.shape,
        held.address(rows),
        held.address(gradient),
        *(tensor.data_ptr() for tensor in (table, *moments)),
        step,
        *rates,
    )
    return _ran(compiled, "dien_rows_adam", problem, path)


def _ran(compiled: Library, function: str, problem: ctypes.Structure, path: int, *others: int) -> bool:
    try:
        compiled.run(function, "index out of range", problem, path, *others)
    except ValueError:
        return False
    return True


def _problem(
    tables: Sequence[tuple[Tensor | None, int, int]], columns: Sequence[Columns]
) -> tuple[Problem, Held]:
    """Put the arguments as the library takes them, beside the tensors its addresses point into."""
    held = Held()
    of_tables = (Table * len(tables))(
        *(
            Table(None if table is None else held.rows(table), height, width)
            for table, height, width in tables
        )
    )
    of_columns = (Block * len(columns))(
        *(
            Block(c.table, len(c.indices), held.address(c.indices), held.rows(c.values), c.values.stride(0))
            for c in columns
        )
    )
    return Problem(len(tables), len(columns), of_tables, of_columns), held
