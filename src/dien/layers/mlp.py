"""Multi-layer perceptron and its activations, Dice among them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.layers.bypass import bypassable
from dien.ops import linear
from dien.ops.dispatch import under_autocast
from dien.ops.mlp import ACTIVATIONS, MLPTail

FEW_ROWS = 64
"""Rows below which PyTorch's linear layer is faster than that of :mod:`dien.ops`, which packs weights."""


class Dice(nn.Module):
    """Dice, ``f(s) = p s + (1 - p) alpha s`` with ``p = σ((s - E[s]) / sqrt(Var[s] + eps))`` (DIN, eq. 5).

    In training the statistics are the batch's; in evaluation they are running averages, so that a score
    does not depend on the other rows of its batch. A training batch of one row has no variance and uses the
    running ones too.

    Args:
        width: number of channels ``C``.
        momentum: weight of the newest batch in the running averages.
        eps: added to the variance.
        standardise: without, ``p = σ(s)``, for what a batch normalisation has standardised already.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, width: int, momentum: float = 0.1, eps: float = 1e-8, *, standardise: bool = True
    ) -> None:
        super().__init__()
        self.momentum, self.eps, self.standardise = momentum, eps, standardise
        self.alpha = nn.Parameter(torch.zeros(width))
        if standardise:
            self.register_buffer("running_mean", torch.zeros(width))
            self.register_buffer("running_var", torch.ones(width))

    def forward(self, s: Tensor) -> Tensor:
        """Apply to ``[B, C]``, returning ``[B, C]``."""
        normed = s
        if self.standardise:
            normed = F.batch_norm(
                s,
                self.running_mean,
                self.running_var,
                training=self.training and s.shape[0] > 1,
                momentum=self.momentum,
                eps=self.eps,
            )
        if torch.is_grad_enabled():
            p = torch.sigmoid(normed)
            return s * (self.alpha + (1 - self.alpha) * p)
        # In place: to ask the system for memory takes longer than to compute.
        p = torch.sigmoid(normed) if normed is s else normed.sigmoid_()
        return p.mul_(1 - self.alpha).add_(self.alpha).mul_(s)


class Affine(nn.Module):
    """A learned scale and shift of every channel: a batch normalisation that was never put in training mode.

    Args:
        width: number of channels ``C``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``[B, C]``, returning ``[B, C]``."""
        return x * self.weight + self.bias

    def before(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Make one layer of this and a linear one, of weight ``[W, C]`` and bias ``[W]``, that follows."""
        return weight * self.weight, bias + weight @ self.bias


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation by the running statistics where a training batch has one row, thus no variance."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``[B, C]``, returning ``[B, C]``."""
        if self.training and input.shape[0] == 1:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def activation(name: str | type[nn.Module] | None, width: int) -> nn.Module | None:
    """Build an activation by its name.

    Args:
        name: ``dice``, ``prelu``, ``relu``, ``leakyrelu``, ``sigmoid``, ``silu``, ``tanh`` or ``none``, in
            small or capital letters; or a class that is made without arguments. None is ``none``.
        width: channels, for those that learn something for each.

    Returns:
        The module, None for ``none``.

    Raises:
        ValueError: no activation has this name.
    """
    if name is None:
        return None
    if not isinstance(name, str):
        if isinstance(name, type) and issubclass(name, nn.Module):
            return name()
        raise ValueError(f"activation {name!r}; expected the name of one, or a class of torch.nn as nn.ReLU")
    low = name.lower()
    if low == "none":
        return None
    if low == "dice":
        return Dice(width)
    if low == "prelu":
        return nn.PReLU(width)
    if low not in _PLAIN:
        raise ValueError(f"activation {name!r}; expected dice, prelu, {', '.join(_PLAIN)} or none")
    return _PLAIN[low]()


_PLAIN: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
_NAMES = {kind: name for name, kind in _PLAIN.items() if name in ACTIVATIONS} | {nn.PReLU: "prelu"}


class MLP(nn.Module):
    """Linear layers, each followed by the activation.

    Parameters are named as in RecBole's ``MLPLayers``: a dropout, a linear layer, perhaps a batch
    normalisation, and an activation in turn in ``mlp_layers``.

    Args:
        widths: input width, then that of each layer.
        activation_name: or class; see :func:`activation`.
        last_activation: whether the last layer has the activation too.
        batch_norm: whether each activation follows a batch normalisation; Dice then leaves its own out.
        dropout: fraction of each layer's inputs that training drops.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation_name: str | type[nn.Module] | None,
        *,
        last_activation: bool = True,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers += [nn.Dropout(dropout), nn.Linear(inputs, outputs)]
            act = activation(activation_name, outputs)
            if act is not None and (last_activation or i < len(widths) - 2):
                if batch_norm:
                    layers.append(BatchNorm(outputs))
                    act = Dice(outputs, standardise=False) if isinstance(act, Dice) else act
                layers.append(act)
        self.mlp_layers = nn.Sequential(*layers)

    @property
    def first(self) -> nn.Linear:
        """The first linear layer, which operators take apart from what follows (:meth:`tail`)."""
        layer = self.mlp_layers[1]
        assert isinstance(layer, nn.Linear)
        return layer

    def tail(self, last: nn.Linear | None = None) -> MLPTail | None:
        """Describe what follows the first linear layer, for operators that compute it fused.

        Args:
            last: a linear layer to one number that follows the MLP; None where it ends with that.

        Returns:
            None where an activation is none of these operators' (Dice looks at the whole batch), there is no
            hidden layer, or a part must be called (:mod:`dien.layers.bypass`).
        """
        layers = self._plain_layers()
        if layers is None or (last is not None and not bypassable(last, nn.Linear)):
            return None
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        acts = [layer for layer in layers if not isinstance(layer, nn.Linear)]
        linear = [*linear, last] if last is not None else linear
        kind = type(acts[0]) if acts else None
        name = "none" if kind is None else _NAMES.get(kind)
        if name is None or len(linear) < 2 or len(acts) not in (0, len(linear) - 1):
            return None
        for act, layer in zip(acts, linear, strict=False):
            if type(act) is not kind or not bypassable(act, type(act)):
                return None
            if isinstance(act, nn.PReLU) and act.num_parameters != layer.out_features:
                return None
        return MLPTail(
            name,
            tuple(layer.weight for layer in linear[1:]),
            tuple(layer.bias for layer in linear[1:]),
            tuple(act.weight for act in acts if isinstance(act, nn.PReLU)),
        )

    def composed(self) -> tuple[Tensor, Tensor] | None:
        """Multiply the layers of a network to one number, where no activation stands between them.

        Returns:
            The weight ``[1, widths[0]]`` and the bias ``[1]`` of the linear map that they are together; None
            where they are none, or a part must be called (:mod:`dien.layers.bypass`).
        """
        layers = self._plain_layers()
        if layers is None or not all(isinstance(layer, nn.Linear) for layer in layers):
            return None
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        weight: Tensor = linear[-1].weight
        bias: Tensor = linear[-1].bias
        for layer in reversed(linear[:-1]):
            weight, bias = weight @ layer.weight, bias + weight @ layer.bias
        return weight, bias

    def _plain_layers(self) -> list[nn.Module] | None:
        """List linear layers and activations as they follow each other.

        Returns:
            None where they do not take turns from a linear layer on, a dropout drops something, or a part has
            to be called.
        """
        if not bypassable(self, MLP) or not bypassable(self.mlp_layers, nn.Sequential):
            return None
        layers: list[nn.Module] = []
        for layer in self.mlp_layers:
            if isinstance(layer, nn.Dropout):
                if (layer.p and layer.training) or not bypassable(layer, nn.Dropout):
                    return None
                continue
            if isinstance(layer, nn.Linear):
                if not bypassable(layer, nn.Linear) or layer.bias is None:
                    return None
            elif not layers or not isinstance(layers[-1], nn.Linear):
                return None
            layers.append(layer)
        return layers if layers else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``[B, widths[0]]``, returning ``[B, widths[-1]]``."""
        layers = None
        plain = x.ndim == 2 and not under_autocast(x)  # what dien.ops multiplies is a matrix, in its own type
        if plain and len(x) >= FEW_ROWS and not torch.is_grad_enabled() and not torch.compiler.is_compiling():
            layers = self._plain_layers()
        if layers is None:
            out: Tensor = self.mlp_layers(x)
            return out
        for layer in layers:
            x = linear(x, layer.weight, layer.bias) if isinstance(layer, nn.Linear) else layer(x)
        return x
