"""What follows an MLP's first linear layer, for operators that compute that layer themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = ("none", "relu", "prelu", "sigmoid", "tanh")
"""Of a tower, in the order the C++ backend counts them."""


@dataclass(frozen=True)
class Tower:
    """An activation, then linear layers and activations in turn, down to one number.

    Attributes:
        activation: one of ``ACTIVATIONS``, of every hidden layer.
        weights: of the linear layers, ``[W_2, W_1]`` to ``[1, W_L]``.
        biases: of these, ``[W_2]`` to ``[1]``.
        slopes: of PReLU, ``[W_1]`` to ``[W_L]``; empty for other activations.
    """

    activation: str
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...] = ()

    @property
    def parameters(self) -> list[Tensor]:
        """Weights, biases and slopes, as :meth:`of` takes them."""
        return [*self.weights, *self.biases, *self.slopes]

    @classmethod
    def of(cls, activation: str, parameters: list[Tensor]) -> Tower:
        """Put :attr:`parameters` together again."""
        layers = len(parameters) // (3 if activation == "prelu" else 2)
        weights, biases, slopes = (tuple(parameters[i * layers : (i + 1) * layers]) for i in range(3))
        return cls(activation, weights, biases, slopes)

    def apply(self, hidden: Tensor) -> Tensor:
        """Run from the first linear layer's output ``[P, W_1]`` to ``[P]``, in plain PyTorch."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if self.activation == "prelu":
                hidden = F.prelu(hidden, self.slopes[layer])
            elif self.activation != "none":
                hidden = getattr(torch, self.activation)(hidden)
            hidden = F.linear(hidden, weight, bias)
        return hidden.squeeze(1)
