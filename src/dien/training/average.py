"""A moving average of the weights: what is validated and kept in place of the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dien.models import Model


class WeightAverage:
    """An exponential moving average of the weights of a model, ``a <- d a + (1 - d) w`` after each step.

    The first steps count less, as the weights then are far from what they come to: after ``t`` steps ``d`` is
    at most ``(1 + t) / (10 + t)``. What is no floating number is as the model has it.

    Args:
        model: whose weights are averaged; the average begins with those it has.
        decay: ``d``, in (0, 1).

    Attributes:
        tensors: by name, as in the model's state.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self._model, self._decay = model, decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the weights after so many steps; every weight of the model is read and written."""
        share = 1 - min(self._decay, (1 + steps) / (10 + steps))
        for name, weight in self._model.state_dict().items():
            if weight.is_floating_point():
                self.tensors[name].lerp_(weight, share)
            else:
                self.tensors[name].copy_(weight)

    def restart(self) -> None:
        """Begin anew with the weights that the model has."""
        self.load(self._model.state_dict())

    @torch.no_grad()
    def restart_tables(self) -> None:
        """Begin anew with the embedding tables that the model has, as they were drawn anew."""
        state = self._model.state_dict()
        for name, part in self._model.named_modules():
            if isinstance(part, nn.Embedding):
                self.tensors[f"{name}.weight"].copy_(state[f"{name}.weight"])

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from an average that was kept, of the same names and shapes."""
        for name, tensor in tensors.items():
            self.tensors[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the average as its weights, and its own again afterwards."""
        own = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        self._model.load_state_dict(self.tensors)
        try:
            yield
        finally:
            self._model.load_state_dict(own)
