"""The C++ backend of ``matches``."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Pointers
from dien.ops.matches import reference
from dien.ops.matches.arguments import Arguments, behaviours_of, candidates_of, check_values

_NO_FLOATS = torch.empty(0)


class Lists(ctypes.Structure):
    """``dien::matches::Lists`` of problem.h."""

    _fields_ = (
        ("lists", ctypes.c_int64),
        ("values", ctypes.c_int64),
        ("value", Address),
        ("offsets", Address),
    )


class Problem(ctypes.Structure):
    """``dien::matches::Problem`` of problem.h."""

    _fields_ = (
        ("histories", ctypes.c_int64),
        ("history", Lists),
        ("target", Lists),
        ("offsets", Address),
        ("history_of", Address),
        ("count", Address),
        ("back", Address),
    )


def search(given: Arguments) -> tuple[Tensor, Tensor]:
    """Compute :func:`dien.ops.matches.reference.search`."""
    backend = chosen(_NO_FLOATS)  # it serves all integers
    if backend is None:
        return reference.search(given)
    count, back = empty(given)
    pointers = Pointers()

    def lists(values: Tensor, offsets: Tensor | None, n: int) -> Lists:
        first = None if offsets is None else pointers.indices(offsets)
        return Lists(n, values.shape[0], pointers.indices(values), first)

    problem = Problem(
        given.offsets.shape[0] - 1,
        lists(given.history, given.history_lists, behaviours_of(given)),
        lists(given.target, given.target_lists, candidates_of(given)),
        pointers.indices(given.offsets),
        pointers.indices(given.history_of),
        count.data_ptr(),
        back.data_ptr(),
    )
    backend.run("dien_matches", problem, say_why=lambda: check_values(given))
    return count, back


def empty(given: Arguments) -> tuple[Tensor, Tensor]:
    """Make room for what :func:`search` finds, ``[B]`` both."""
    count = given.history_of.new_empty(given.history_of.shape, dtype=torch.int64)
    return count, torch.empty_like(count)
