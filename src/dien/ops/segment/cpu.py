"""The C++ backend of ``segment_softmax``."""

from __future__ import annotations

import ctypes

from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Pointers
from dien.ops.segment import reference
from dien.ops.segment.arguments import check_softmax_backward_steps, check_softmax_steps


class Problem(ctypes.Structure):
    """``dien::segment::Problem`` of problem.h."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("lengths", Address),
        ("values", Address),
    )


def softmax(logits: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.segment.reference.softmax`."""
    backend = chosen(logits)
    if backend is None:
        return reference.softmax(logits, lengths)
    pointers = Pointers()
    problem = _problem(pointers, logits, lengths)
    scores = logits.new_empty(logits.shape)
    backend.run(
        "dien_segment_softmax",
        problem,
        scores.data_ptr(),
        say_why=lambda: check_softmax_steps(logits, lengths),
    )
    return scores


def softmax_backward(dscores: Tensor, scores: Tensor, lengths: Tensor) -> Tensor:
    """Compute :func:`dien.ops.segment.reference.softmax_backward`."""
    backend = chosen(scores)
    if backend is None:
        return reference.softmax_backward(dscores, scores, lengths)
    pointers = Pointers()
    problem = _problem(pointers, scores, lengths)
    dlogits = scores.new_empty(scores.shape)
    backend.run(
        "dien_segment_softmax_backward",
        problem,
        pointers.contiguous(dscores),
        dlogits.data_ptr(),
        say_why=lambda: check_softmax_backward_steps(scores, lengths),
    )
    return dlogits


def _problem(pointers: Pointers, values: Tensor, lengths: Tensor) -> Problem:
    return Problem(
        rows=lengths.shape[0],
        steps=values.shape[0],
        lengths=pointers.indices(lengths),
        values=pointers.contiguous(values),
    )
