"""The C++ backend of ``attention_gru``."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from torch import Tensor

from dien.ops.attention_gru import reference
from dien.ops.attention_gru.arguments import KINDS, Arguments, check_backward_steps, check_steps
from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Backend, Pointers, contiguous_rows
from dien.ops.linear import cpu as linear


class Problem(ctypes.Structure):
    """``dien::gru::Problem`` of problem.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("projects", ctypes.c_int32),
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("starts", Address),
        ("lengths", Address),
        ("x", Address),
        ("x_stride", ctypes.c_int64),
        ("weight_ih", Address),
        ("bias_ih", Address),
        ("weight_hh", Address),
        ("bias_hh", Address),
        ("scores", Address),
        ("state", Address),
    )


class Results(ctypes.Structure):
    """``dien::gru::Results`` of problem.h."""

    _fields_ = (("last", Address), ("states", Address), ("activations", Address))


class Gradients(ctypes.Structure):
    """``dien::gru::Gradients`` of problem.h."""

    _fields_ = (
        ("dlast", Address),
        ("dstates", Address),
        ("states", Address),
        ("activations", Address),
        ("dx", Address),
        ("dweight_ih", Address),
        ("dweight_hh", Address),
        ("dbias_ih", Address),
        ("dbias_hh", Address),
        ("dscores", Address),
        ("dstate", Address),
    )


def forward(given: Arguments, keep_states: bool, keep_activations: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Compute :func:`dien.ops.attention_gru.reference.forward`.

    Raises:
        ValueError: rows that do not fit.
    """
    backend = chosen(given.x)
    if backend is None:
        return reference.forward(given, keep_states, keep_activations)
    pairs, asked = _pairs(backend, given), given
    if given.weight_ih is not None and pairs > given.x.shape[0]:  # then each step is projected once
        projections = linear.forward(given.x, given.weight_ih, given.bias_ih)
        given = given._replace(x=projections, weight_ih=None, bias_ih=None)
    pointers = Pointers()
    problem = _problem(pointers, given, pairs)
    last = given.x.new_empty((problem.rows, problem.hidden))
    states = given.x.new_empty((pairs if keep_states else 0, problem.hidden))
    activations = given.x.new_empty((pairs if keep_activations else 0, 4 * problem.hidden))
    results = Results(*[tensor.data_ptr() or None for tensor in (last, states, activations)])
    backend.run("dien_gru_forward", problem, results, say_why=lambda: check_steps(asked))
    return last, states, activations


def backward(
    given: Arguments, dlast: Tensor | None, dstates: Tensor | None, states: Tensor, activations: Tensor
) -> tuple[Tensor, ...]:
    """Compute :func:`dien.ops.attention_gru.reference.backward`.

    Raises:
        ValueError: rows that do not fit.
    """
    backend = chosen(given.x)
    if backend is None:
        return reference.backward(given, dlast, dstates, states, activations)

    def say_why() -> None:
        check_backward_steps(given, states)

    return _backward(backend, given, dlast, dstates, states, activations, say_why)


def _backward(
    backend: Backend,
    given: Arguments,
    dlast: Tensor | None,
    dstates: Tensor | None,
    states: Tensor,
    activations: Tensor,
    say_why: Callable[[], None],
) -> tuple[Tensor, ...]:
    x, weight_ih, bias_ih, pairs = given.x, given.weight_ih, given.bias_ih, states.shape[0]
    if weight_ih is not None and pairs > x.shape[0]:
        unread = x.new_empty((x.shape[0], weight_ih.shape[0]))  # backward reads no projections
        given = given._replace(x=unread, weight_ih=None, bias_ih=None)
        dprojections, _, dweight_hh, _, *rest = _backward(
            backend, given, dlast, dstates, states, activations, say_why
        )
        dx, dweight_ih, dbias_ih = linear.backward(
            dprojections, x, weight_ih, True, True, bias_ih is not None
        )
        return dx, dweight_ih, dweight_hh, dbias_ih, *rest
    pointers = Pointers()
    problem = _problem(pointers, given, pairs)
    differentiated = (x, weight_ih, given.weight_hh, bias_ih, given.bias_hh, given.scores, given.state)
    found = [x.new_empty(0 if tensor is None else tensor.shape) for tensor in differentiated]
    gradients = Gradients(
        *[pointers.contiguous(tensor) for tensor in (dlast, dstates, states, activations)],
        *[gradient.data_ptr() or None for gradient in found],
    )
    backend.run("dien_gru_backward", problem, gradients, say_why=say_why)
    return tuple(found)


def _pairs(backend: Backend, given: Arguments) -> int:
    if given.scores is not None:
        return given.scores.shape[0]
    return backend.pairs(given.starts, given.lengths, given.x.shape[0], lambda: check_steps(given))


def _problem(pointers: Pointers, given: Arguments, pairs: int) -> Problem:
    x = contiguous_rows(given.x)
    return Problem(
        kind=KINDS.index(given.kind),
        projects=given.weight_ih is not None,
        rows=given.lengths.shape[0],
        steps=x.shape[0],
        pairs=pairs,
        hidden=given.weight_hh.shape[1],
        inputs=x.shape[1],
        starts=pointers.indices(given.starts),
        lengths=pointers.indices(given.lengths),
        x=pointers.strided(x),
        x_stride=x.stride(0),
        weight_ih=pointers.contiguous(given.weight_ih),
        bias_ih=pointers.contiguous(given.bias_ih),
        weight_hh=pointers.contiguous(given.weight_hh),
        bias_hh=pointers.contiguous(given.bias_hh),
        scores=pointers.contiguous(given.scores),
        state=pointers.contiguous(given.state),
    )
