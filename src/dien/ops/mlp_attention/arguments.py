"""The arguments of the operator ``mlp_attention``."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Arguments(NamedTuple):
    """A row ``b`` scores ``states[starts[b] : starts[b] + lengths[b]]`` for its target.

    The logit of a state ``k`` is ``tail(bias[b] + weight_state k + weight_product (q * k))``.

    Attributes:
        states: ``[N, H]`` packed steps ``k``.
        targets: ``[B, H]``, ``q`` of each row.
        bias: ``[B, W]`` all of the first layer that depends on the target alone.
        weight_state: ``[W, H]``.
        weight_product: ``[W, H]``.
        starts: ``[B]`` int64.
        lengths: ``[B]`` int64.
        tail: parameters of the layers after the first (:class:`dien.ops.mlp.MLPTail`).
        activation: of these.
    """

    states: Tensor
    targets: Tensor
    bias: Tensor
    weight_state: Tensor
    weight_product: Tensor
    starts: Tensor
    lengths: Tensor
    tail: list[Tensor]
    activation: str
