"""The auxiliary loss (eq. 6): a small network tells each state's next behaviour from a negative.

Being a sum of known terms, the loss is differentiated as it is computed: nothing of the network's width is
kept for a backward pass, which only scales gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.auxiliary_loss import cpu, reference
from dien.ops.auxiliary_loss.arguments import Arguments, check
from dien.ops.dispatch import define, differentiate, will_differentiate
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
        now: ``[S]`` int32 or int64, rising: the steps of the states.
        ahead: the items of a state are those of the step ``now + ahead``.
        weight: ``[W, H + D]`` of the network's first layer, for a state and then an item.
        bias: ``[W]`` of the first layer.
        tail: the layers after it.

    Returns:
        A scalar, the sum of ``2 S`` terms.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    parameters = tail.parameters
    needs_gradients = will_differentiate((states, items, negatives, weight, bias, *parameters))
    loss: Tensor = torch.ops.dien.auxiliary_loss(
        states, items, negatives, weight, bias, now, parameters, tail.activation, ahead, needs_gradients
    )[0]
    return loss


def _fake(x: Arguments, needs_gradients: bool) -> list[Tensor]:
    like = [*x[:5], *x.tail] if needs_gradients else []
    return [x.states.new_empty(()), *(tensor.new_empty(tensor.shape) for tensor in like)]


def _save(ctx: Any, inputs: list[Any], output: list[Tensor]) -> None:
    *tensors, tail, activation, ahead, needs_gradients = inputs
    if not needs_gradients:
        raise RuntimeError("auxiliary_loss: gradients need needs_gradients=True")
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:], *tensors, *tail)
    ctx.rest = len(output) - 1, len(tensors), activation, ahead


def _backward(ctx: Any, dloss: Tensor | None, *_: None) -> tuple[Any, ...]:
    saved, (gradients_end, count, activation, ahead) = ctx.saved_tensors, ctx.rest
    gradients, given = saved[:gradients_end], saved[gradients_end:]
    if dloss is None:
        return (*(None,) * 6, [None] * (len(given) - count), None, None, None)
    scaled: list[Tensor | None]
    if torch.is_grad_enabled():  # for second derivatives: plain PyTorch differentiates itself
        now = given[5]

        def loss(*changed: Any) -> list[Tensor]:
            tail = list(changed[5:])
            return reference.run(Arguments._make((*changed[:5], now, tail, activation, ahead)), False)

        inputs = (*given[:5], *given[count:])
        scaled = differentiate(loss, inputs, lambda found: [(found[0], dloss)])
    else:
        scaled = [gradient * dloss for gradient in gradients]
    return (*scaled[:5], None, scaled[5:], None, None, None)


define(
    "auxiliary_loss({}, bool needs_gradients) -> Tensor[]",
    reference.run,
    check=check,
    cpu=cpu.run,
    fake=_fake,
    plain=lambda x, needs_gradients: reference.run(x, False),
    save=_save,
    backward=_backward,
    arguments=Arguments,
)
