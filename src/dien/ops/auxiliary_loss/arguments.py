"""The arguments of the operator ``auxiliary_loss``."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Arguments(NamedTuple):
    """The logit of an item ``e`` after a state ``h`` is ``tail(weight (h, e) + bias)``.

    Attributes:
        states: ``[N, H]``.
        items: ``[N, D]``, clicked.
        negatives: ``[N, D]``, not clicked.
        weight: ``[W, H + D]`` of the first layer.
        bias: ``[W]`` of the first layer.
        now: ``[S]`` int64, rising: the steps of the states.
        tail: parameters of the layers after the first (:class:`dien.ops.mlp.MLPTail`).
        activation: of these.
        ahead: the items of a state are those of the step ``now + ahead``.
    """

    states: Tensor
    items: Tensor
    negatives: Tensor
    weight: Tensor
    bias: Tensor
    now: Tensor
    tail: list[Tensor]
    activation: str
    ahead: int
