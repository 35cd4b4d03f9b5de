"""The arguments of the operator ``mlp_attention``."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from dien.ops.checks import check_alike, check_integers, check_rows, check_shape, refuse, shape
from dien.ops.mlp.arguments import PARAMETER, check_tail


class Arguments(NamedTuple):
    """A row ``b`` scores ``states[starts[b] : starts[b] + lengths[b]]`` for its target.

    The logit of a state ``k`` is ``tail(bias[b] + weight_state k + weight_product (q * k))``.

    Attributes:
        states: ``[N, H]`` packed steps ``k``.
        targets: ``[B, H]``, ``q`` of each row.
        bias: ``[B, W]`` all of the first layer that depends on the target alone.
        weight_state: ``[W, H]``.
        weight_product: ``[W, H]``.
        starts: ``[B]`` int32 or int64.
        lengths: ``[B]`` int32 or int64.
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


def check(x: Arguments) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    _check("mlp_attention", x)


def check_backward(x: Arguments, dlogits: Tensor) -> None:
    """Refuse what does not fit ``mlp_attention_backward``."""
    _check("mlp_attention_backward", x)
    if dlogits.ndim != 1:
        refuse("mlp_attention_backward", f"dlogits has shape {shape(dlogits)}", "[P]")
    check_alike("mlp_attention_backward", ("states", "dlogits"), (x.states, dlogits))


def check_steps(x: Arguments) -> None:
    """Refuse rows that read steps that are not there."""
    check_rows("mlp_attention", "states", x.states, x.starts, x.lengths)


def check_backward_steps(x: Arguments, dlogits: Tensor) -> None:
    """Refuse rows or gradients that do not fit ``mlp_attention_backward``."""
    check_rows("mlp_attention_backward", "states", x.states, x.starts, x.lengths, dlogits, "dlogits")


def check_targets(name: str, states: Tensor, targets: Tensor, starts: Tensor, lengths: Tensor) -> None:
    """Refuse states, rows and a target for each whose shapes or types do not fit."""
    if states.ndim != 2:
        refuse(name, f"states has shape {shape(states)}", "[N, H]")
    if lengths.ndim != 1 or starts.shape != lengths.shape:
        refuse(name, f"starts and lengths have shapes {shape(starts)} and {shape(lengths)}", "[B] both")
    check_integers(name, ("starts", "lengths"), (starts, lengths), "states", states.device)
    H, B = states.shape[1], lengths.shape[0]
    if targets.shape != (B, H):
        refuse(
            name,
            f"targets has shape {shape(targets)}",
            f"[B, H] = [{B}, {H}], as states {shape(states)} and lengths {shape(lengths)}",
        )


def _check(name: str, x: Arguments) -> None:
    states, targets, bias, weight_state, weight_product, starts, lengths, tail, activation = x
    check_targets(name, states, targets, starts, lengths)
    H, B = states.shape[1], lengths.shape[0]
    if bias.ndim != 2 or bias.shape[0] != B:
        refuse(name, f"bias has shape {shape(bias)}", f"[B, W] = [{B}, W]")
    W = bias.shape[1]
    check_shape(name, "weight_state", weight_state, "[W, H]", (W, H))
    check_shape(name, "weight_product", weight_product, "[W, H]", (W, H))
    check_tail(name, activation, tail, W)
    tensors = (states, targets, bias, weight_state, weight_product, *tail)
    names = ("states", "targets", "bias", "weight_state", "weight_product")
    check_alike(name, names, tensors, PARAMETER)
