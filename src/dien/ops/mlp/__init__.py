"""What follows an MLP's first linear layer, for operators that compute that layer themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = ("none", "relu", "prelu", "sigmoid", "tanh")
"""Of a tail, in the order the C++ backend counts them."""


@dataclass(frozen=True)
class MLPTail:
    """The layers of an MLP after its first: an activation, then linear layers and activations, to one number.

    Attributes:
        activation: one of ``ACTIVATIONS``, of every hidden layer.
        weights: of the linear layers, ``[W_2, W_1]`` to ``[1, W_L]``.
        biases: of these, ``[W_2]`` to ``[1]``.
        slopes: of PReLU, ``[W_1]`` to ``[W_L]``; empty for other activations.

    Raises:
        ValueError: no activation has this name.
    """

    activation: str
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r}; expected one of {', '.join(ACTIVATIONS)}")

    @property
    def parameters(self) -> list[Tensor]:
        """Weights, biases and slopes, as :meth:`of` takes them."""
        return [*self.weights, *self.biases, *self.slopes]

    @classmethod
    def of(cls, activation: str, parameters: list[Tensor]) -> MLPTail:
        """Put :attr:`parameters` together again."""
        layers = len(parameters) // (3 if activation == "prelu" else 2)
        weights, biases, slopes = (tuple(parameters[i * layers : (i + 1) * layers]) for i in range(3))
        return cls(activation, weights, biases, slopes)

    def apply(self, hidden: Tensor) -> Tensor:
        """Run from the first linear layer's output ``[P, W_1]`` to ``[P]``, in plain PyTorch."""
        return self.forward(hidden)[0]

    def forward(self, hidden: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Run as :meth:`apply`; also return what goes into each activation and what comes out of it."""
        layers = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z, a = hidden, hidden  # [P, W_l]
            if self.activation == "prelu":
                a = F.prelu(z, self.slopes[layer])
            elif self.activation != "none":
                a = getattr(torch, self.activation)(z)
            layers.append((z, a))
            hidden = F.linear(a, weight, bias)
        return hidden.squeeze(1), layers

    def backward(self, layers: list[tuple[Tensor, Tensor]], dlogits: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Differentiate :meth:`forward`.

        Args:
            layers: what it returned.
            dlogits: ``[P]``.

        Returns:
            The gradient of its argument ``[P, W_1]``, and those of :attr:`parameters`.
        """
        dweights, dbiases, dslopes = [], [], []
        dhidden = dlogits[:, None]
        for layer in reversed(range(len(layers))):
            z, a = layers[layer]
            dweights.append(dhidden.t() @ a)
            dbiases.append(dhidden.sum(0))
            da = dhidden @ self.weights[layer]
            if self.activation == "prelu":
                slope = self.slopes[layer]
                dslopes.append((da * z.clamp(max=0)).sum_to_size(slope.shape))
                dhidden = torch.where(z > 0, da, da * slope)
            elif self.activation == "relu":
                dhidden = da * (z > 0)
            elif self.activation == "sigmoid":
                dhidden = da * a * (1 - a)
            elif self.activation == "tanh":
                dhidden = da * (1 - a * a)
            else:
                dhidden = da
        return dhidden, [*reversed(dweights), *reversed(dbiases), *reversed(dslopes)]
