"""Embeddings of a batch, shared by every model: items, and the user and context beside them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.schema import Schema
from dien.layers import FeatureEmbedding


class Embedded(NamedTuple):
    """A batch's embeddings.

    Attributes:
        history: ``[N, D]`` behaviours.
        target: ``[B, D]`` candidates.
        profile: ``[B, ·]`` user and context of each candidate.
        negatives: ``[N, D]``, None where the batch has none or they were not asked for.
    """

    history: Tensor
    target: Tensor
    profile: Tensor
    negatives: Tensor | None


class Inputs(nn.Module):
    """The embedding tables of a schema.

    Args:
        schema: features of items, users and contexts.
        width: width of each feature's embedding.
    """

    def __init__(self, schema: Schema, width: int) -> None:
        super().__init__()

        def tables(*features: str) -> FeatureEmbedding:
            sizes = {f.name: f.size for side in features for f in schema.of(side)}  # type: ignore[arg-type]
            return FeatureEmbedding(sizes, width)

        self.item = tables("item")
        self.profile = tables("user", "context")
        self.item_width, self.profile_width = self.item.width, self.profile.width

    def forward(self, batch: Batch, *, negatives: bool = False) -> Embedded:
        """Embed a batch, its negatives only where asked for and present."""
        parts = [batch.history, batch.target]
        if negatives and batch.negatives is not None:
            parts.append(batch.negatives)
        history, target, *rest = self.item(*parts)
        (profile,) = self.profile({**batch.user, **batch.context})  # [R, ·]
        return Embedded(
            history,
            target,
            torch.index_select(profile, 0, batch.history_of),
            rest[0] if rest else None,
        )
