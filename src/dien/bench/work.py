"""Floating-point operations that each stage of a training step of DIEN cannot do without, by formula.

A multiplication and an addition count as two. Only products of matrices count; elementwise work (sigmoids,
tanh, softmax, Adam) and what an implementation computes a second time do not. Backward is twice forward:
each product needs the gradient of both its factors. docs/performance.md has the formulas as a table.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from dien.data.batch import Batch
from dien.models import DIEN

FORWARD_AND_BACKWARD = 3


@dataclass(frozen=True)
class Sizes:
    """Sizes of a batch, or their means over several.

    Attributes:
        rows: candidates ``B``.
        steps: packed steps of the histories, ``N``.
        pairs: steps that candidates read, ``P``; steps of a shared history count for each.
        supervised: steps with a next one, ``S``, on which the auxiliary network runs twice.
    """

    rows: float
    steps: float
    pairs: float
    supervised: float

    @classmethod
    def mean(cls, batches: Sequence[Batch]) -> Sizes:
        """Average over batches."""

        def of(batch: Batch) -> tuple[int, int, int, int]:
            lengths = batch.offsets[1:] - batch.offsets[:-1]
            steps, pairs = int(lengths.sum()), int(lengths[batch.history_of].sum())
            return len(batch), steps, pairs, steps - int((lengths > 0).sum())

        return cls(*(sum(column) / len(batches) for column in zip(*map(of, batches), strict=True)))


def operations(model: DIEN, sizes: Sizes) -> dict[str, float]:
    """Count the operations of a training step, forward and backward, by stage, where it has any."""
    config = model.config
    B, N, P, S = sizes.rows, sizes.steps, sizes.pairs, sizes.supervised
    E, D, H = model.inputs.history_width, model.inputs.item_width, model.hidden_size
    joined = model.head.first.in_features
    projected = not isinstance(model.query, nn.Identity)
    if config.attention == "bilinear":
        attention = 2 * B * (H if projected else D) * H + 2 * P * H
    else:
        first = config.attention_hidden[0]
        # Per target: its part of the first layer, and its product with the weights of q * k.
        attention = 4 * B * H * first + 2 * P * _layers(H, *config.attention_hidden, 1)
    attention += 2 * B * D * H * projected
    pooled = config.gru == "gru"  # the second GRU runs over histories, and attention sums its states up
    evolution = 2 * N * 3 * H * 2 * H + 2 * P * H if pooled else 2 * (N + P) * 3 * H * H
    forward = {
        "extractor": 2 * N * 3 * H * (E + H),
        "attention": attention,
        "evolution": evolution,
        "auxiliary network": 2 * S * H * config.auxiliary_hidden[0]
        + 2 * 2 * S * _layers(D, *config.auxiliary_hidden, 1),
        "head": 2 * B * _layers(joined, *config.head_hidden, 1),
    }
    if not config.auxiliary_weight:
        del forward["auxiliary network"]
    return {stage: FORWARD_AND_BACKWARD * count for stage, count in forward.items()}


def _layers(*widths: int) -> int:
    """Weights of an MLP of these widths."""
    return sum(a * b for a, b in itertools.pairwise(widths))
