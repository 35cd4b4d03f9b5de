"""The C++ backend of ``auxiliary_loss``."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops.auxiliary_loss import reference
from dien.ops.auxiliary_loss.arguments import Arguments, check_steps
from dien.ops.cpu.library import Address, Pointers, contiguous_rows
from dien.ops.mlp import MLPTail
from dien.ops.mlp.cpu import Tail, TailGradients, chosen_for, gradients_of, handed_over


class Problem(ctypes.Structure):
    """``dien::auxiliary::Problem`` of problem.h."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("item", ctypes.c_int64),
        ("ahead", ctypes.c_int64),
        ("now", Address),
        ("states", Address),
        ("items", Address),
        ("items_stride", ctypes.c_int64),
        ("negatives", Address),
        ("negatives_stride", ctypes.c_int64),
        ("weight", Address),
        ("bias", Address),
        ("tail", Tail),
    )


class Gradients(ctypes.Structure):
    """``dien::auxiliary::Gradients`` of problem.h."""

    _fields_ = (
        ("dstates", Address),
        ("ditems", Address),
        ("dnegatives", Address),
        ("dweight", Address),
        ("dbias", Address),
        ("tail", TailGradients),
    )


def run(x: Arguments, needs_gradients: bool) -> list[Tensor]:
    """Compute :func:`dien.ops.auxiliary_loss.reference.run`.

    Raises:
        ValueError: ``now`` does not rise or names steps that are not there.
    """
    tail = MLPTail.of(x.activation, x.tail)
    backend = chosen_for(x.states, tail)
    if backend is None:
        return reference.run(x, needs_gradients)
    pointers = Pointers()
    items, negatives = contiguous_rows(x.items), contiguous_rows(x.negatives)
    problem = Problem(
        count=x.now.shape[0],
        steps=x.states.shape[0],
        hidden=x.states.shape[1],
        item=items.shape[1],
        ahead=x.ahead,
        now=pointers.indices(x.now),
        states=pointers.contiguous(x.states),
        items=pointers.strided(items),
        items_stride=items.stride(0),
        negatives=pointers.strided(negatives),
        negatives_stride=negatives.stride(0),
        weight=pointers.contiguous(x.weight),
        bias=pointers.contiguous(x.bias),
        tail=handed_over(pointers, tail, x.bias.shape[0]),
    )
    logits = x.states.new_empty((2, x.now.shape[0]))
    gradients: list[Tensor] = []
    wanted = None
    if needs_gradients:
        gradients = [tensor.new_empty(tensor.shape) for tensor in (*x[:5], *x.tail)]
        addresses = [gradient.data_ptr() for gradient in gradients[:5]]
        wanted = Gradients(*addresses, gradients_of(tail, gradients[5:]))
    backend.run("dien_auxiliary", problem, logits.data_ptr(), wanted, say_why=lambda: check_steps(x))
    return [reference.sum_of_terms(*logits), *gradients]
