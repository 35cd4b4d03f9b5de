"""The arguments of the operator ``auxiliary_loss``."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from dien.ops.checks import check_alike, check_integers, check_shape, refuse, shape
from dien.ops.mlp.arguments import PARAMETER, check_tail

_NAME = "auxiliary_loss"


class Arguments(NamedTuple):
    """The logit of an item ``e`` after a state ``h`` is ``tail(weight (h, e) + bias)``.

    Attributes:
        states: ``[N, H]``.
        items: ``[N, D]``, clicked.
        negatives: ``[N, D]``, not clicked.
        weight: ``[W, H + D]`` of the first layer.
        bias: ``[W]`` of the first layer.
        now: ``[S]`` int32 or int64, rising: the steps of the states.
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


def check(x: Arguments, *_: bool) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    states, items, negatives, weight, bias, now, tail, activation, ahead = x
    alike = states.ndim == items.ndim == 2 and items.shape == negatives.shape
    if not alike or items.shape[0] != states.shape[0]:
        refuse(
            _NAME,
            f"states, items and negatives have shapes {shape(states)}, {shape(items)} and {shape(negatives)}",
            "[N, H], [N, D] and [N, D]",
        )
    width = states.shape[1] + items.shape[1]
    if weight.ndim != 2 or weight.shape[1] != width:
        refuse(_NAME, f"weight has shape {shape(weight)}", f"[W, H + D] = [W, {width}]")
    check_shape(_NAME, "bias", bias, "[W]", weight.shape[:1])
    check_integers(_NAME, ("now",), (now,), "states", states.device)
    if ahead < 0:
        refuse(_NAME, f"ahead={ahead}", "0 or more")
    check_tail(_NAME, activation, tail, weight.shape[0])
    names = ("states", "items", "negatives", "weight", "bias")
    check_alike(_NAME, names, (states, items, negatives, weight, bias, *tail), PARAMETER)


def check_steps(x: Arguments) -> None:
    """Refuse steps that do not rise or are not there, quoting the first and the rule."""
    N, now = x.states.shape[0], x.now
    wrong = (now < 0) | (now >= N - x.ahead)
    wrong[1:] |= now[1:] <= now[:-1]
    if wrong.any():
        at = int(wrong.nonzero()[0])
        before = f" after {int(now[at - 1])}" if at else ""
        refuse(
            _NAME,
            f"now does not fit states {shape(x.states)}: it has {int(now[at])} at position {at}{before}, "
            f"ahead={x.ahead}",
            "rising steps >= 0, each + ahead below N",
        )
