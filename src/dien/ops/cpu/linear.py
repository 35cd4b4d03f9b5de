"""The C++ backend of ``linear``."""

from __future__ import annotations

import ctypes

import torch.nn.functional as F
from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Held


class Problem(ctypes.Structure):
    """``dien::linear::Problem`` of linear/problem.h."""

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
    """``dien::linear::Gradients`` of linear/problem.h."""

    _fields_ = (
        ("of_y", Address),
        ("of_y_stride", ctypes.c_int64),
        ("x", Address),
        ("weight", Address),
        ("bias", Address),
    )


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute ``x weight^T + bias``: x ``[N, K]``, weight ``[M, K]``, bias ``[M]``."""
    backend = chosen(x)
    if backend is None:
        return F.linear(x, weight, bias)
    compiled, path = backend
    problem, _held = _problem(x, weight, bias)
    y = x.new_empty((problem.rows, problem.outputs))
    compiled.run("dien_linear_forward", "linear", problem, path, y.data_ptr())
    return y


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, of_x: bool, of_weight: bool, of_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Differentiate :func:`forward` by what is asked for.

    Args:
        grad: ``[N, M]`` gradient of the result.
        x: ``[N, K]``.
        weight: ``[M, K]``.
        of_x: whether the gradient of x is wanted.
        of_weight: and of weight.
        of_bias: and of bias.

    Returns:
        The gradients of x, weight and bias, empty where not wanted.
    """
    backend = chosen(x)
    if backend is None:
        return (
            grad @ weight if of_x else x.new_empty(0),
            grad.t() @ x if of_weight else x.new_empty(0),
            grad.sum(0) if of_bias else x.new_empty(0),
        )
    compiled, path = backend
    problem, held = _problem(x, weight, None)
    found = (
        x.new_empty(x.shape if of_x else 0),
        weight.new_empty(weight.shape if of_weight else 0),
        weight.new_empty(weight.shape[0] if of_bias else 0),
    )
    grad = _in_rows(grad)
    gradients = Gradients(
        held.rows(grad),
        grad.stride(0),
        *(
            f.data_ptr() if wanted else None
            for f, wanted in zip(found, (of_x, of_weight, of_bias), strict=True)
        ),
    )
    compiled.run("dien_linear_backward", "linear", problem, path, gradients)
    return found


def _in_rows(tensor: Tensor) -> Tensor:
    """Have each row's values one after the other."""
    return tensor if tensor.stride(1) == 1 else tensor.contiguous()


def _problem(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Problem, Held]:
    """Put the arguments as the library takes them, beside the tensors its addresses point into."""
    held = Held()
    x = _in_rows(x)
    return Problem(
        rows=x.shape[0],
        inputs=x.shape[1],
        outputs=weight.shape[0],
        x=held.rows(x),
        x_stride=x.stride(0),
        weight=held.address(weight),
        bias=held.address(bias),
    ), held
