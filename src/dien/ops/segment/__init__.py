"""Softmax and sum over the steps of each row, packed."""

from __future__ import annotations

import torch
from torch import Tensor

from dien.ops.dispatch import define_composite
from dien.ops.segment import reference
from dien.ops.segment.arguments import check_softmax, check_sum


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


def segment_softmax(logits: Tensor, lengths: Tensor, row: Tensor | None = None) -> Tensor:
    """Softmax over the steps of each row (the normalisation of eq. 8).

    Args:
        logits: ``[P]`` row after row.
        lengths: ``[B]`` steps of each row, may be 0; ``P = lengths.sum()``.
        row: ``[P]`` the row of each step, where the caller has it already.

    Returns:
        ``[P]``, adding up to 1 over each row that has a step.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    scores: Tensor = torch.ops.dien.segment_softmax(logits, lengths, row)
    return scores


define_composite(
    "segment_sum(Tensor values, Tensor lengths) -> Tensor", reference.segment_sum, check=check_sum
)
define_composite(
    "segment_softmax(Tensor logits, Tensor lengths, Tensor? row) -> Tensor",
    reference.segment_softmax,
    check=check_softmax,
)
