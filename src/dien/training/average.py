"""A moving average of the weights: what is validated and kept in place of the weights of the last step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dien.models import Model

SMALL = 2**16
"""Numbers of an embedding table up to which all of it is averaged in each step, as that is faster."""


@dataclass(frozen=True)
class _Table:
    """A large embedding table, of which a step touches some rows.

    Attributes:
        weight: ``[V, D]``.
        average: ``[V, D]``, of each row as it was before the last step that changed the row.
        since: ``[V]`` logarithm of the product of all ``d`` before that step.
    """

    weight: nn.Parameter
    average: Tensor
    since: Tensor


class WeightAverage:
    """An exponential moving average of the weights of a model, ``a <- d a + (1 - d) w`` after each step.

    The first steps count less, as the weights then are far from what they come to: after ``t`` steps ``d`` is
    at most ``(1 + t) / (10 + t)``. What is no floating number is as the model has it.

    Of a large table with sparse gradients a step reads and writes the rows it has looked up, and no others:
    while a row ``w`` stays as it is, ``a`` comes nearer to it by a known factor, ``a <- w + D (a - w)`` with
    the product ``D`` of the steps' ``d``. That is made up for before the row changes, and for all rows when
    the average is read.

    Args:
        model: whose weights are averaged; the average begins with those it has.
        decay: ``d``, in (0, 1).
    """

    def __init__(self, model: Model, decay: float) -> None:
        self._model, self._decay = model, decay
        self._tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        self._parameters = dict(model.named_parameters())
        tables = {
            f"{name}.weight"
            for name, part in model.named_modules()
            if isinstance(part, nn.Embedding) and part.sparse and part.weight.numel() > SMALL
            if part.max_norm is None  # which changes rows outside of steps
        }
        self._tables = [
            _Table(weight, self._tensors[name], _zeros(weight))
            for name, weight in self._parameters.items()
            if name in tables
        ]
        self._others = [name for name in self._parameters if name not in tables]
        self._fallen = 0.0  # logarithm of the product of all d

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The average by name, as in the model's state."""
        for table in self._tables:
            self._make_up(table)
        self._begin_count()
        return self._tensors

    @torch.no_grad()
    def before_step(self) -> None:
        """Make up for the steps in which the rows that the optimiser is about to change were not changed."""
        for table in self._tables:
            if (gradient := table.weight.grad) is not None:
                # All rows where the table has been made one of dense gradients since.
                self._make_up(table, gradient._indices()[0] if gradient.is_sparse else None)

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the weights after so many steps.

        Args:
            steps: since the average has begun, and since it has begun anew with other tables.
        """
        decay = min(self._decay, (1 + steps) / (10 + steps))
        weights = {name: self._parameters[name] for name in self._others} | self._buffers()
        floating = [name for name, weight in weights.items() if weight.is_floating_point()]
        torch._foreach_lerp_(
            [self._tensors[name] for name in floating], [weights[name] for name in floating], 1 - decay
        )
        for name in weights.keys() - set(floating):
            self._tensors[name].copy_(weights[name])
        self._fallen += math.log(decay)

    def restart(self) -> None:
        """Begin anew with the weights that the model has."""
        self.load(self._model.state_dict())

    @torch.no_grad()
    def restart_tables(self) -> None:
        """Begin anew with the embedding tables that the model has, as they were drawn anew."""
        state = self._model.state_dict()
        for name, part in self._model.named_modules():
            if isinstance(part, nn.Embedding):
                self._tensors[f"{name}.weight"].copy_(state[f"{name}.weight"])
        self._begin_count()

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from an average that was kept, of the same names and shapes."""
        for name, tensor in tensors.items():
            self._tensors[name].copy_(tensor)
        self._begin_count()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the average as its weights, and its own again afterwards."""
        average = self.tensors
        own = {name: weight.data for name, weight in self._parameters.items()}
        buffers = self._buffers()
        own_buffers = {name: buffer.clone() for name, buffer in buffers.items()}
        try:
            for name, weight in self._parameters.items():
                weight.data = average[name]  # no copy of a table
            for name, buffer in buffers.items():
                buffer.copy_(average[name])
            yield
        finally:
            for name, weight in self._parameters.items():
                weight.data = own[name]
            for name, buffer in buffers.items():
                buffer.copy_(own_buffers[name])

    def _buffers(self) -> dict[str, Tensor]:
        """List the buffers that are in the model's state, as they are now: a layer may put new ones there."""
        return {name: buffer for name, buffer in self._model.named_buffers() if name in self._tensors}

    @torch.no_grad()
    def _make_up(self, table: _Table, rows: Tensor | None = None) -> None:
        """Bring rows of an average, all of them or some ``[n]``, to where the steps since have moved it."""
        if rows is None:
            left = torch.exp(self._fallen - table.since)[:, None].to(table.average.dtype)  # [V, 1]
            torch.lerp(table.weight, table.average, left, out=table.average)
            table.since.fill_(self._fallen)
            return
        left = torch.exp(self._fallen - table.since.index_select(0, rows))[:, None]  # [n, 1]
        weight, average = table.weight.index_select(0, rows), table.average.index_select(0, rows)  # [n, D]
        table.average.index_copy_(0, rows, torch.lerp(weight, average, left.to(weight.dtype)))
        table.since.index_fill_(0, rows, self._fallen)

    def _begin_count(self) -> None:
        """Count from here on, as a process does that goes on from a checkpoint: to the same bits."""
        self._fallen = 0.0
        for table in self._tables:
            table.since.zero_()


def _zeros(weight: Tensor) -> Tensor:
    dtype = torch.float32 if weight.device.type == "mps" else torch.float64  # mps lacks float64
    return torch.zeros(weight.shape[0], dtype=dtype, device=weight.device)
