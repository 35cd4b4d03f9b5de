"""The auxiliary loss (eq. 6): a small network tells each state's next behaviour from a negative.

Being a sum of known terms, the loss is differentiated as it is computed: nothing of the network's width is
kept for a backward pass, which only scales gradients.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.cpu import mlp as cpu
from dien.ops.tower import Tower


def auxiliary_loss(
    states: Tensor,
    items: Tensor,
    negatives: Tensor,
    now: Tensor,
    ahead: int,
    weight: Tensor,
    bias: Tensor,
    tower: Tower,
) -> Tensor:
    """Sum ``-log σ(click) - log(1 - σ(non-click))`` over pairs of a state and the behaviour after it.

    Args:
        states: ``[N, H]``.
        items: ``[N, D]``, clicked.
        negatives: ``[N, D]``, not clicked.
        now: ``[S]`` int64, rising: the step of each pair's state.
        ahead: its items are those of the step ``now + ahead``.
        weight: ``[W, H + D]`` of the network's first layer, for a state and then an item.
        bias: ``[W]`` of the first layer.
        tower: the layers after it.

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
    if not cpu.serves(states, tower):
        return reference(states, items, negatives, now, ahead, weight, bias, tower)
    tensors = (states, items, negatives, weight, bias, *tower.parameters)
    differentiate = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    loss: Tensor = _fused(
        states, items, negatives, weight, bias, tower.parameters, tower.activation, now, ahead, differentiate
    )[0]
    return loss


def reference(
    states: Tensor,
    items: Tensor,
    negatives: Tensor,
    now: Tensor,
    ahead: int,
    weight: Tensor,
    bias: Tensor,
    tower: Tower,
) -> Tensor:
    """Compute :func:`auxiliary_loss` in plain PyTorch."""
    H = states.shape[1]
    of_state = F.linear(states[now], weight[:, :H], bias)  # [S, W]
    both = torch.cat([items[now + ahead], negatives[now + ahead]])  # [2S, D]
    logits = tower.apply(F.linear(both, weight[:, H:]) + of_state.repeat(2, 1))  # [2S]
    return _sum_of_terms(logits.reshape(2, -1))


def _sum_of_terms(logits: Tensor) -> Tensor:
    """Sum the loss over logits ``[2, S]`` of clicks and of non-clicks."""
    return F.softplus(-logits[0]).sum() + F.softplus(logits[1]).sum()


@torch.library.custom_op("dien::auxiliary_loss", mutates_args=())
def _fused(
    states: Tensor,
    items: Tensor,
    negatives: Tensor,
    weight: Tensor,
    bias: Tensor,
    parameters: list[Tensor],
    activation: str,
    now: Tensor,
    ahead: int,
    differentiate: bool,
) -> list[Tensor]:
    tower = Tower.of(activation, parameters)
    logits, gradients = cpu.auxiliary(
        states, items, negatives, now, ahead, weight, bias, tower, differentiate
    )
    return [_sum_of_terms(logits), *gradients]


@_fused.register_fake
def _(states: Tensor, *arguments: Any) -> list[Tensor]:
    *tensors, parameters, _activation, _now, _ahead, differentiate = arguments
    like = [states, *tensors, *parameters] if differentiate else []
    return [states.new_empty(()), *(tensor.new_empty(tensor.shape) for tensor in like)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.save_for_backward(*output[1:])


def _differentiate(ctx: Any, grads: list[Tensor]) -> tuple[Any, ...]:
    scale = grads[0]
    gradients = [gradient * scale for gradient in ctx.saved_tensors]
    return (*gradients[:5], gradients[5:], None, None, None, None)


_fused.register_autograd(_differentiate, setup_context=_save)
