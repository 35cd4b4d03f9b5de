"""An MLP's tail as the C++ backends of ``mlp_attention`` and ``auxiliary_loss`` take it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Backend, Pointers
from dien.ops.mlp import ACTIVATIONS, MLPTail

MOST_LAYERS = 8
Addresses = Address * MOST_LAYERS


class Tail(ctypes.Structure):
    """``dien::mlp::Tail`` of problem.h."""

    _fields_ = (
        ("activation", ctypes.c_int32),
        ("layers", ctypes.c_int32),
        ("widths", ctypes.c_int64 * MOST_LAYERS),
        ("slopes", Addresses),
        ("weights", Addresses),
        ("biases", Addresses),
    )


class TailGradients(ctypes.Structure):
    """``dien::mlp::TailGradients`` of problem.h."""

    _fields_ = (("dslopes", Addresses), ("dweights", Addresses), ("dbiases", Addresses))


def chosen_for(states: Tensor, tail: MLPTail) -> Backend | None:
    """Choose the C++ backend, or None where it computes no such tail on states of this dtype."""
    served = len(tail.weights) <= MOST_LAYERS and [slopes.shape[0] for slopes in tail.slopes] == [
        weight.shape[1] for weight in tail.weights[: len(tail.slopes)]
    ]
    return chosen(states) if served else None


def handed_over(pointers: Pointers, tail: MLPTail, width: int) -> Tail:
    """Put a tail as the library takes it, after a first layer of ``width`` outputs."""

    def addresses(tensors: Sequence[Tensor]) -> ctypes.Array[Address]:
        return Addresses(*[pointers.contiguous(tensor) for tensor in tensors])

    widths = [width, *(weight.shape[0] for weight in tail.weights[:-1])]
    return Tail(
        activation=ACTIVATIONS.index(tail.activation),
        layers=len(widths),
        widths=(ctypes.c_int64 * MOST_LAYERS)(*widths),
        slopes=addresses(tail.slopes),
        weights=addresses(tail.weights),
        biases=addresses(tail.biases),
    )


def gradients_of(tail: MLPTail, gradients: Sequence[Tensor]) -> TailGradients:
    """Put where the library is to write the gradients of a tail's parameters."""
    layers, addresses = len(tail.weights), [gradient.data_ptr() for gradient in gradients]
    dweights, dbiases, dslopes = (Addresses(*addresses[i * layers : (i + 1) * layers]) for i in range(3))
    return TailGradients(dslopes, dweights, dbiases)
