"""The C++ backend of ``linear``."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Pointers, contiguous_rows
from dien.ops.linear import reference


class Problem(ctypes.Structure):
    """``dien::linear::Problem`` of problem.h."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("x", Address),
        ("x_stride", ctypes.c_int64),
        ("weight", Address),
        ("bias", Address),
    )


class Gradients(ctypes.Structure):
    """``dien::linear::Gradients`` of problem.h."""

    _fields_ = (
        ("dy", Address),
        ("dy_stride", ctypes.c_int64),
        ("dx", Address),
        ("dweight", Address),
        ("dbias", Address),
    )


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute :func:`dien.ops.linear.reference.forward`."""
    backend = chosen(x)
    if backend is None:
        return reference.forward(x, weight, bias)
    pointers = Pointers()
    problem = _problem(pointers, x, weight, bias)
    y = x.new_empty((problem.rows, problem.outputs))
    backend.run("dien_linear_forward", problem, y.data_ptr())
    return y


def backward(
    dy: Tensor, x: Tensor, weight: Tensor, needs_dx: bool, needs_dweight: bool, needs_dbias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute :func:`dien.ops.linear.reference.backward`."""
    backend = chosen(x)
    if backend is None:
        return reference.backward(dy, x, weight, needs_dx, needs_dweight, needs_dbias)
    pointers = Pointers()
    problem = _problem(pointers, x, weight, None)
    dx = x.new_empty(x.shape if needs_dx else 0)
    dweight = weight.new_empty(weight.shape if needs_dweight else 0)
    dbias = weight.new_empty(weight.shape[0] if needs_dbias else 0)
    dy = contiguous_rows(dy)
    gradients = Gradients(
        pointers.strided(dy),
        dy.stride(0),
        dx.data_ptr() if needs_dx else None,
        dweight.data_ptr() if needs_dweight else None,
        dbias.data_ptr() if needs_dbias else None,
    )
    backend.run("dien_linear_backward", problem, gradients)
    return dx, dweight, dbias


def _problem(pointers: Pointers, x: Tensor, weight: Tensor, bias: Tensor | None) -> Problem:
    x = contiguous_rows(x)
    return Problem(
        rows=x.shape[0],
        inputs=x.shape[1],
        outputs=weight.shape[0],
        x=pointers.strided(x),
        x_stride=x.stride(0),
        weight=pointers.contiguous(weight),
        bias=pointers.contiguous(bias),
    )
