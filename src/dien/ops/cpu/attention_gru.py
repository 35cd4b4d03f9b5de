"""The C++ backend of ``attention_gru``."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops import reference
from dien.ops.cpu import chosen, linear
from dien.ops.cpu.library import Address, Held

MISFIT = (
    "attention_gru: starts, lengths and scores do not fit gates or x; expected starts >= 0, lengths >= 0, "
    "starts + lengths <= N and lengths.sum() scores"
)


class Problem(ctypes.Structure):
    """``dien::gru::Problem`` of gru/problem.h."""

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
        ("gates", Address),
        ("gates_stride", ctypes.c_int64),
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
    """``dien::gru::Results`` of gru/problem.h."""

    _fields_ = (("last", Address), ("states", Address), ("opened", Address))


class Gradients(ctypes.Structure):
    """``dien::gru::Gradients`` of gru/problem.h."""

    _fields_ = (
        ("of_last", Address),
        ("of_states", Address),
        ("states", Address),
        ("opened", Address),
        ("gates", Address),
        ("x", Address),
        ("weight_ih", Address),
        ("bias_ih", Address),
        ("weight_hh", Address),
        ("bias_hh", Address),
        ("scores", Address),
        ("state", Address),
    )


def checks_rows(inputs: Tensor) -> bool:
    """Say whether these go to the C++ backend, which refuses rows that do not fit."""
    return inputs.device.type == "cpu" and chosen(inputs) is not None


def forward(
    inputs: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    keep_states: bool,
    keep_gates: bool,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recurrence; arguments and returns of :func:`dien.ops.reference.forward`."""
    backend = chosen(inputs)
    if backend is None:
        return reference.forward(
            inputs,
            weight_hh,
            bias_hh,
            starts,
            lengths,
            scores,
            state,
            kind,
            keep_states,
            keep_gates,
            weight_ih,
            bias_ih,
        )
    compiled, path = backend
    pairs = _pairs(lengths, scores)
    if weight_ih is not None and pairs > inputs.shape[0]:
        inputs, weight_ih, bias_ih = linear.forward(inputs, weight_ih, bias_ih), None, None
    problem, _held = _problem(
        inputs, weight_hh, bias_hh, starts, lengths, pairs, scores, state, kind, weight_ih, bias_ih
    )
    last = inputs.new_empty((problem.rows, problem.hidden))
    states = inputs.new_empty((pairs if keep_states else 0, problem.hidden))
    opened = inputs.new_empty((pairs if keep_gates else 0, 4 * problem.hidden))
    results = Results(*(tensor.data_ptr() or None for tensor in (last, states, opened)))
    compiled.run("dien_gru_forward", MISFIT, problem, path, results)
    return last, states, opened


def backward(
    grad_last: Tensor | None,
    grad_states: Tensor | None,
    states: Tensor,
    opened: Tensor,
    inputs: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Differentiate :func:`forward`; arguments and returns of :func:`dien.ops.reference.backward`."""
    backend = chosen(inputs)
    if backend is None:
        return reference.backward(
            grad_last,
            grad_states,
            states,
            opened,
            inputs,
            weight_hh,
            bias_hh,
            starts,
            lengths,
            scores,
            state,
            kind,
            weight_ih,
            bias_ih,
        )
    compiled, path = backend
    pairs = _pairs(lengths, scores)
    if weight_ih is not None and pairs > inputs.shape[0]:
        gates = inputs.new_empty((inputs.shape[0], weight_ih.shape[0]))  # not read
        by_gates, of_weight_hh, of_bias_hh, of_scores, of_state, _, _ = backward(
            grad_last,
            grad_states,
            states,
            opened,
            gates,
            weight_hh,
            bias_hh,
            starts,
            lengths,
            scores,
            state,
            kind,
        )
        of_x, of_weight_ih, of_bias_ih = linear.backward(
            by_gates, inputs, weight_ih, True, True, bias_ih is not None
        )
        return of_x, of_weight_hh, of_bias_hh, of_scores, of_state, of_weight_ih, of_bias_ih
    problem, held = _problem(
        inputs, weight_hh, bias_hh, starts, lengths, pairs, scores, state, kind, weight_ih, bias_ih
    )

    def like(tensor: Tensor | None) -> Tensor:
        return inputs.new_empty(0 if tensor is None else tensor.shape)

    def address(tensor: Tensor) -> int | None:
        return tensor.data_ptr() or None

    found = (
        like(inputs),
        like(weight_hh),
        like(bias_hh),
        like(scores),
        like(state),
        like(weight_ih),
        like(bias_ih),
    )
    of_inputs, of_weight_hh, of_bias_hh, of_scores, of_state, of_weight_ih, of_bias_ih = found
    gradients = Gradients(
        of_last=held.address(grad_last),
        of_states=held.address(grad_states),
        states=held.address(states),
        opened=held.address(opened),
        gates=address(of_inputs) if weight_ih is None else None,
        x=None if weight_ih is None else address(of_inputs),
        weight_ih=address(of_weight_ih),
        bias_ih=address(of_bias_ih),
        weight_hh=address(of_weight_hh),
        bias_hh=address(of_bias_hh),
        scores=address(of_scores),
        state=address(of_state),
    )
    compiled.run("dien_gru_backward", MISFIT, problem, path, gradients)
    return found


def _pairs(lengths: Tensor, scores: Tensor | None) -> int:
    return int(lengths.sum()) if scores is None else scores.shape[0]


def _problem(
    inputs: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    pairs: int,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    weight_ih: Tensor | None,
    bias_ih: Tensor | None,
) -> tuple[Problem, Held]:
    """Put the arguments as the library takes them, beside the tensors its addresses point into."""
    held = Held()
    if inputs.stride(1) != 1:
        inputs = inputs.contiguous()
    of_inputs, stride = held.rows(inputs), inputs.stride(0)
    return Problem(
        kind=reference.KINDS.index(kind),
        projects=weight_ih is not None,
        rows=lengths.shape[0],
        steps=inputs.shape[0],
        pairs=pairs,
        hidden=weight_hh.shape[1],
        inputs=0 if weight_ih is None else inputs.shape[1],
        starts=held.address(starts),
        lengths=held.address(lengths),
        gates=of_inputs if weight_ih is None else None,
        gates_stride=stride,
        x=None if weight_ih is None else of_inputs,
        x_stride=stride,
        weight_ih=held.address(weight_ih),
        bias_ih=held.address(bias_ih),
        weight_hh=held.address(weight_hh),
        bias_hh=held.address(bias_hh),
        scores=held.address(scores),
        state=held.address(state),
    ), held
