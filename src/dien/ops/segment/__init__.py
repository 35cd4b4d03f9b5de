"""Softmax and sum over the steps of each row, packed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.dispatch import define, define_composite
from dien.ops.segment import cpu, reference
from dien.ops.segment.arguments import check_softmax, check_softmax_backward, check_sum


def segment_sum(values: Tensor, lengths: Tensor) -> Tensor:
    """Add up the steps of each row.

    Args:
        values: ``[P, ...]`` row after row.
        lengths: ``[B]`` steps of each row, may be 0.

    Returns:
        ``[B, ...]``, zero for a row without steps.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    total: Tensor = torch.ops.dien.segment_sum(values, lengths)
    return total


def segment_softmax(logits: Tensor, lengths: Tensor) -> Tensor:
    """Softmax over the steps of each row (the normalisation of eq. 8).

    Args:
        logits: ``[P]`` row after row.
        lengths: ``[B]`` steps of each row, may be 0; ``P = lengths.sum()``.

    Returns:
        ``[P]``, adding up to 1 over each row that has a step.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    scores: Tensor = torch.ops.dien.segment_softmax(logits, lengths)
    return scores


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output, inputs[1])


def _backward(ctx: Any, dscores: Tensor) -> tuple[Tensor, None]:
    return torch.ops.dien.segment_softmax_backward(dscores, *ctx.saved_tensors), None


define_composite(
    "segment_sum(Tensor values, Tensor lengths) -> Tensor", reference.segment_sum, check=check_sum
)
define(
    "segment_softmax(Tensor logits, Tensor lengths) -> Tensor",
    reference.softmax,
    check=check_softmax,
    cpu=cpu.softmax,
    fake=lambda logits, lengths: logits.new_empty(logits.shape),
    plain=reference.softmax,
    save=_save,
    backward=_backward,
)
define(
    "segment_softmax_backward(Tensor dscores, Tensor scores, Tensor lengths) -> Tensor",
    reference.softmax_backward,
    check=check_softmax_backward,
    cpu=cpu.softmax_backward,
    fake=lambda dscores, scores, lengths: scores.new_empty(scores.shape),
    plain=reference.softmax_backward,
)
