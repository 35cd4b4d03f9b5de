"""The C++ backend of ``attention_gru``."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops import reference
from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Held

MISFIT = (
    "attention_gru: starts, lengths and scores do not fit gates; expected starts >= 0, lengths >= 0, "
    "starts + lengths <= N and lengths.sum() scores"
)


class Problem(ctypes.Structure):
    """``dien::gru::Problem`` of gru/problem.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("starts", Address),
        ("lengths", Address),
        ("gates", Address),
        ("gates_stride", ctypes.c_int64),
        ("weight", Address),
        ("bias", Address),
        ("scores", Address),
        ("state", Address),
    )


class Gradients(ctypes.Structure):
    """``dien::gru::Gradients`` of gru/problem.h."""

    _fields_ = (
        ("of_last", Address),
        ("of_states", Address),
        ("states", Address),
        ("gates", Address),
        ("scores", Address),
        ("state", Address),
    )


def forward(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """Run the recurrence; arguments and returns of :func:`dien.ops.reference.forward`."""
    backend = chosen(gates)
    if backend is None:
        return reference.forward(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind, keep_states)
    compiled, path = backend
    problem, _held = _problem(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind)
    last = gates.new_empty((problem.rows, problem.hidden))
    states = gates.new_empty((problem.pairs if keep_states else 0, problem.hidden))
    kept = states.data_ptr() if keep_states else None
    compiled.run("dien_gru_forward", MISFIT, problem, path, last.data_ptr(), kept)
    return last, states


def backward(
    grad_last: Tensor,
    grad_states: Tensor,
    states: Tensor,
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Differentiate :func:`forward`; arguments and returns of :func:`dien.ops.reference.backward`."""
    backend = chosen(gates)
    if backend is None:
        return reference.backward(
            grad_last, grad_states, states, gates, weight_hh, bias_hh, starts, lengths, scores, state, kind
        )
    compiled, path = backend
    problem, _held = _problem(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind)
    grad_last, grad_states, states = (t.contiguous() for t in (grad_last, grad_states, states))
    grad_gates = gates.new_empty(gates.shape)
    grad_weight = gates.new_empty(weight_hh.shape)
    grad_bias, grad_scores, grad_state = (
        gates.new_empty(0 if given is None else given.shape) for given in (bias_hh, scores, state)
    )
    compiled.run(
        "dien_gru_backward",
        MISFIT,
        problem,
        path,
        Gradients(
            of_last=grad_last.data_ptr(),
            of_states=grad_states.data_ptr(),
            states=states.data_ptr(),
            gates=grad_gates.data_ptr(),
            scores=None if scores is None else grad_scores.data_ptr(),
            state=None if state is None else grad_state.data_ptr(),
        ),
        grad_weight.data_ptr(),
        None if bias_hh is None else grad_bias.data_ptr(),
    )
    return grad_gates, grad_weight, grad_bias, grad_scores, grad_state


def _problem(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
) -> tuple[Problem, Held]:
    """Put the arguments as the library takes them, beside the tensors its addresses point into."""
    held = Held()
    if gates.stride(1) != 1:
        gates = gates.contiguous()
    return Problem(
        kind=reference.KINDS.index(kind),
        rows=lengths.shape[0],
        steps=gates.shape[0],
        pairs=int(lengths.sum()) if scores is None else scores.shape[0],
        hidden=weight_hh.shape[1],
        starts=held.address(starts),
        lengths=held.address(lengths),
        gates=held.rows(gates),
        gates_stride=gates.stride(0),
        weight=held.address(weight_hh),
        bias=held.address(bias_hh),
        scores=held.address(scores),
        state=held.address(state),
    ), held
