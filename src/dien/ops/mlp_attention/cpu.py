"""The C++ backend of ``mlp_attention``."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops.cpu.library import Address, Pointers
from dien.ops.mlp import MLPTail
from dien.ops.mlp.cpu import Tail, TailGradients, chosen_for, gradients_of, handed_over
from dien.ops.mlp_attention import reference
from dien.ops.mlp_attention.arguments import Arguments, check_backward_steps, check_steps


class Problem(ctypes.Structure):
    """``dien::attention::Problem`` of problem.h."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("starts", Address),
        ("lengths", Address),
        ("states", Address),
        ("targets", Address),
        ("bias", Address),
        ("weight_state", Address),
        ("weight_product", Address),
        ("tail", Tail),
    )


class Gradients(ctypes.Structure):
    """``dien::attention::Gradients`` of problem.h."""

    _fields_ = (
        ("dlogits", Address),
        ("dstates", Address),
        ("dtargets", Address),
        ("dbias", Address),
        ("dweight_state", Address),
        ("dweight_product", Address),
        ("tail", TailGradients),
    )


def forward(x: Arguments) -> Tensor:
    """Compute :func:`dien.ops.mlp_attention.reference.forward`.

    Raises:
        ValueError: a row reads steps that are not there.
    """
    tail = MLPTail.of(x.activation, x.tail)
    backend = chosen_for(x.states, tail)
    if backend is None:
        return reference.forward(x)
    pointers = Pointers()
    pairs = backend.pairs(x.starts, x.lengths, x.states.shape[0], lambda: check_steps(x))
    problem = _problem(pointers, x, tail, pairs)
    logits = x.states.new_empty(pairs)
    backend.run("dien_attention_forward", problem, logits.data_ptr(), say_why=lambda: check_steps(x))
    return logits


def backward(x: Arguments, dlogits: Tensor) -> list[Tensor]:
    """Compute :func:`dien.ops.mlp_attention.reference.backward`."""
    tail = MLPTail.of(x.activation, x.tail)
    backend = chosen_for(x.states, tail)
    if backend is None:
        return reference.backward(x, dlogits)
    pointers = Pointers()
    problem = _problem(pointers, x, tail, dlogits.shape[0])
    gradients = [tensor.new_empty(tensor.shape) for tensor in (*x[:5], *x.tail)]
    addresses = [gradient.data_ptr() for gradient in gradients[:5]]
    wanted = Gradients(pointers.contiguous(dlogits), *addresses, gradients_of(tail, gradients[5:]))
    backend.run("dien_attention_backward", problem, wanted, say_why=lambda: check_backward_steps(x, dlogits))
    return gradients


def _problem(pointers: Pointers, x: Arguments, tail: MLPTail, pairs: int) -> Problem:
    return Problem(
        rows=x.lengths.shape[0],
        steps=x.states.shape[0],
        pairs=pairs,
        hidden=x.states.shape[1],
        starts=pointers.indices(x.starts),
        lengths=pointers.indices(x.lengths),
        states=pointers.contiguous(x.states),
        targets=pointers.contiguous(x.targets),
        bias=pointers.contiguous(x.bias),
        weight_state=pointers.contiguous(x.weight_state),
        weight_product=pointers.contiguous(x.weight_product),
        tail=handed_over(pointers, tail, x.bias.shape[1]),
    )
