"""The auxiliary loss (eq. 6): a small network tells each state's next behaviour from a negative.

Being a sum of known terms, the loss is differentiated as it is computed: nothing of the network's width is
kept for a backward pass, which only scales gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.auxiliary_loss import cpu, reference
from dien.ops.auxiliary_loss.arguments import Arguments
from dien.ops.dispatch import define
from dien.ops.mlp import MLPTail


def auxiliary_loss(
    states: Tensor,
    items: Tensor,
    negatives: Tensor,
    now: Tensor,
    ahead: int,
    weight: Tensor,
    bias: Tensor,
    tail: MLPTail,
) -> Tensor:
    """Sum ``-log σ(click) - log(1 - σ(non-click))`` over states and the behaviour after each.

    Args:
        states: ``[N, H]``.
        items: ``[N, D]``, clicked.
        negatives: ``[N, D]``, not clicked.
        now: ``[S]`` int64, rising: the steps of the states.
        ahead: the items of a state are those of the step ``now + ahead``.
        weight: ``[W, H + D]`` of the network's first layer, for a state and then an item.
        bias: ``[W]`` of the first layer.
        tail: the layers after it.

    Returns:
        A scalar, the sum of ``2 S`` terms.

    Raises:
        ValueError: shapes that do not fit, quoted with the rule.
    """
    H, D = states.shape[1], items.shape[1]
    if items.shape != negatives.shape or items.shape[0] != states.shape[0]:
        raise ValueError(
            f"auxiliary_loss: states, items and negatives have shapes {list(states.shape)}, "
            f"{list(items.shape)} and {list(negatives.shape)}; expected [N, H], [N, D] and [N, D]"
        )
    if weight.shape[1] != H + D:
        raise ValueError(
            f"auxiliary_loss: weight has shape {list(weight.shape)}; expected [W, H + D] = [W, {H + D}]"
        )
    parameters = tail.parameters
    tensors = (states, items, negatives, weight, bias, *parameters)
    needs_gradients = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    loss: Tensor = torch.ops.dien.auxiliary_loss(
        states, items, negatives, weight, bias, now, parameters, tail.activation, ahead, needs_gradients
    )[0]
    return loss


def _fake(x: Arguments, needs_gradients: bool) -> list[Tensor]:
    like = [*x[:5], *x.tail] if needs_gradients else []
    return [x.states.new_empty(()), *(tensor.new_empty(tensor.shape) for tensor in like)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    *tensors, tail, activation, ahead, needs_gradients = inputs
    if not needs_gradients:
        raise RuntimeError("auxiliary_loss: gradients need needs_gradients=True")
    ctx.save_for_backward(*output[1:], *tensors, *tail)
    ctx.rest = len(output) - 1, len(tensors), activation, ahead


def _backward(ctx: Any, doutput: list[Tensor]) -> tuple[Any, ...]:
    saved, (gradients_end, count, activation, ahead) = ctx.saved_tensors, ctx.rest
    gradients, given = saved[:gradients_end], saved[gradients_end:]
    if torch.is_grad_enabled():  # for second derivatives: plain PyTorch differentiates itself
        x = Arguments._make((*given[:count], list(given[count:]), activation, ahead))
        gradients = reference.run(x, True)[1:]
    scaled = [gradient * doutput[0] for gradient in gradients]
    return (*scaled[:5], None, scaled[5:], None, None, None)


define(
    "auxiliary_loss({}, bool needs_gradients) -> Tensor[]",
    reference.run,
    cpu=cpu.run,
    fake=_fake,
    save=_save,
    backward=_backward,
    arguments=Arguments,
)
