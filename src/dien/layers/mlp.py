"""Multi-layer perceptron and its activations, Dice among them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dice(nn.Module):
    """Dice, ``f(s) = p s + (1 - p) alpha s`` with ``p = σ((s - E[s]) / sqrt(Var[s] + eps))`` (DIN, eq. 5).

    In training the statistics are the batch's; in evaluation they are running averages, so that a score
    does not depend on the other rows of its batch. A training batch of one row has no variance and uses the
    running ones too.

    Args:
        width: number of channels ``C``.
        momentum: share of the newest batch in the running averages.
        eps: added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-8) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.alpha = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, s: Tensor) -> Tensor:
        """Apply to ``[B, C]``, returning ``[B, C]``."""
        normed = F.batch_norm(
            s,
            self.running_mean,
            self.running_var,
            training=self.training and s.shape[0] > 1,
            momentum=self.momentum,
            eps=self.eps,
        )
        p = torch.sigmoid(normed)
        return s * (self.alpha + (1 - self.alpha) * p)


def activation(name: str, width: int) -> nn.Module | None:
    """Build an activation by its name.

    Args:
        name: ``dice``, ``prelu``, ``relu``, ``sigmoid``, ``tanh`` or ``none``.
        width: channels, for those that learn something for each.

    Returns:
        The module, None for ``none``.

    Raises:
        ValueError: no activation has this name.
    """
    if name == "none":
        return None
    if name == "dice":
        return Dice(width)
    if name == "prelu":
        return nn.PReLU(width)
    plain: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    if name not in plain:
        raise ValueError(f"activation {name!r}; expected dice, prelu, {', '.join(plain)} or none")
    return plain[name]()


class MLP(nn.Module):
    """Linear layers, each followed by the activation.

    Parameters are named as in RecBole's ``MLPLayers``: a dropout, a linear layer and an activation in turn in
    ``mlp_layers``.

    Args:
        widths: input width, then that of each layer.
        activation_name: see :func:`activation`.
        last_activation: whether the last layer has the activation too.
    """

    def __init__(self, widths: Sequence[int], activation_name: str, *, last_activation: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers += [nn.Dropout(0.0), nn.Linear(inputs, outputs)]
            act = activation(activation_name, outputs)
            if act is not None and (last_activation or i < len(widths) - 2):
                layers.append(act)
        self.mlp_layers = nn.Sequential(*layers)

    @property
    def first(self) -> nn.Linear:
        """The first linear layer, for callers that split it (:meth:`after_first`)."""
        layer = self.mlp_layers[1]
        assert isinstance(layer, nn.Linear)
        return layer

    def after_first(self, hidden: Tensor) -> Tensor:
        """Go on from the first linear layer's output ``[B, widths[1]]``."""
        for layer in list(self.mlp_layers)[2:]:
            hidden = layer(hidden)
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``[B, widths[0]]``, returning ``[B, widths[-1]]``."""
        out: Tensor = self.mlp_layers(x)
        return out
