"""Layers of a network in a graph, each by the weights it has; they act on the last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dien.errors import RunError
from dien.layers import MLP, Affine
from dien.layers.mlp import Dice
from dien.serving.export.graph import Graph, Name, Tensor


def weight(values: torch.Tensor) -> NDArray[np.float32]:
    """Read a weight as it is kept in a graph."""
    found: NDArray[np.float32] = values.detach().cpu().numpy().astype(np.float32, copy=False)
    return found


def apply(graph: Graph, layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer, as it is in evaluation, to ``[..., width]``.

    Raises:
        RunError: it is of another kind than the models' layers, as the activation of a model of one's own.
    """
    for kind, write in _LAYERS.items():
        if type(layer) is kind or (kind is nn.BatchNorm1d and isinstance(layer, kind)):
            return write(graph, layer, x)
    known = ", ".join(kind.__name__ for kind in _LAYERS)
    raise RunError(f"a layer {type(layer).__name__} cannot be exported; expected one of {known}")


def linear(graph: Graph, x: Tensor, matrix: torch.Tensor, bias: torch.Tensor | None = None) -> Name:
    """Multiply ``[..., inputs]`` by a matrix ``[outputs, inputs]``, and add a bias ``[outputs]``."""
    product = graph.op("MatMul", x, weight(matrix.t()))
    return product if bias is None else graph.op("Add", product, weight(bias))


def scaled(graph: Graph, x: Tensor, scale: torch.Tensor, shift: torch.Tensor) -> Name:
    """Scale and shift every channel of ``[..., C]``."""
    return graph.op("Add", graph.op("Mul", x, weight(scale)), weight(shift))


def joined(graph: Graph, parts: list[Tensor | None]) -> Name:
    """Put parts ``[n, ·]`` side by side; of width 0 are those that are None."""
    return graph.op("Concat", *(part for part in parts if part is not None), axis=1)


def _in_turn(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    for one in layer.mlp_layers if isinstance(layer, MLP) else layer:
        x = apply(graph, one, x)
    return x


def _batch_norm(graph: Graph, layer: Any, x: Tensor) -> Name:
    mean, scale = layer.running_mean, layer.weight * (layer.running_var + layer.eps).rsqrt()
    return scaled(graph, x, scale, layer.bias - mean * scale)


def _dice(graph: Graph, layer: Any, x: Tensor) -> Name:
    normed = x
    if layer.standardise:
        scale = (layer.running_var + layer.eps).rsqrt()
        normed = scaled(graph, x, scale, -layer.running_mean * scale)
    share = scaled(graph, graph.op("Sigmoid", normed), 1 - layer.alpha, layer.alpha)
    return graph.op("Mul", x, share)


def _silu(graph: Graph, _: Any, x: Tensor) -> Name:
    return graph.op("Mul", x, graph.op("Sigmoid", x))


_LAYERS: dict[type[nn.Module], Callable[[Graph, Any, Tensor], Tensor]] = {
    nn.Identity: lambda graph, layer, x: x,
    nn.Dropout: lambda graph, layer, x: x,
    nn.Linear: lambda graph, layer, x: linear(graph, x, layer.weight, layer.bias),
    Affine: lambda graph, layer, x: scaled(graph, x, layer.weight, layer.bias),
    nn.BatchNorm1d: _batch_norm,
    Dice: _dice,
    nn.PReLU: lambda graph, layer, x: graph.op("PRelu", x, weight(layer.weight)),
    nn.ReLU: lambda graph, layer, x: graph.op("Relu", x),
    nn.Sigmoid: lambda graph, layer, x: graph.op("Sigmoid", x),
    nn.SiLU: _silu,
    nn.Tanh: lambda graph, layer, x: graph.op("Tanh", x),
    nn.Sequential: _in_turn,
    MLP: _in_turn,
}
