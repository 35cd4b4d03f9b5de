"""What operators refuse of an MLP's tail."""

from __future__ import annotations

from torch import Tensor

from dien.ops.checks import check_shape, refuse, shape
from dien.ops.mlp import ACTIVATIONS

PARAMETER = "parameter {} of the tail"
"""What messages call one that has no name of its own, by its number."""


def check_tail(operator: str, activation: str, tail: list[Tensor], width: int) -> None:
    """Refuse parameters that are no tail of a first layer of ``width`` outputs.

    Args:
        operator: that takes them.
        activation: their activation.
        tail: weights, biases and of PReLU slopes, as :attr:`dien.ops.mlp.MLPTail.parameters`.
        width: ``W_1``.
    """
    if activation not in ACTIVATIONS:
        refuse(operator, f"activation {activation!r}", f"one of {', '.join(ACTIVATIONS)}")
    kinds = 3 if activation == "prelu" else 2
    layers, rest = divmod(len(tail), kinds)
    if rest or not layers:
        rule = "weights, biases and slopes" if kinds == 3 else "weights and biases"
        refuse(operator, f"the tail has {len(tail)} parameters", f"as many {rule}, one at least")
    for layer in range(layers):
        weight = tail[layer]
        if weight.ndim != 2 or weight.shape[1] != width or (layer == layers - 1 and weight.shape[0] != 1):
            outputs = 1 if layer == layers - 1 else "M"
            refuse(operator, f"weight {layer} of the tail has shape {shape(weight)}", f"[{outputs}, {width}]")
        bias = tail[layers + layer]
        if bias.shape != weight.shape[:1]:
            check_shape(operator, f"bias {layer} of the tail", bias, "[M]", weight.shape[:1])
        if kinds == 3:
            slopes = tail[2 * layers + layer]
            if slopes.shape != (width,) and slopes.shape != (1,):
                rule = f"[{width}], or [1] for all"
                refuse(operator, f"slopes {layer} of the tail have shape {shape(slopes)}", rule)
        width = weight.shape[0]
