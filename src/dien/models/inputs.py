"""Embeddings of a batch, shared by every model: items and behaviours, and user and context beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import FeatureEmbedding
from dien.layers.dropout import dropout
from dien.layers.embedding import INITIAL_STD, embedding_tables
from dien.layers.tables import SharedTables
from dien.models.checks import BatchCheck
from dien.models.config import ModelConfig
from dien.models.match_inputs import MatchInputs
from dien.models.popularity_inputs import PopularityInputs
from dien.ops import segment_sum


class Embedded(NamedTuple):
    """A batch's embeddings; ``D`` is the width of an item, ``D_b`` that of what is a behaviour's own.

    Attributes:
        history: ``[N, D + D_b]`` behaviours: the item, then the behaviour's own features, then its place.
        items: ``[N, D]`` the items alone of the history.
        target: ``[B, D]`` candidates.
        profile: ``[B, ·]`` user and context of each candidate, and ``numbers``; of width 0 where there is
            none.
        negatives: ``[N, D]``, None where the batch has none or they were not asked for.
        numbers: ``[B, ·]`` matches of target and history, and popularity of the target, the last columns of
            ``profile``; of width 0 where the model reads neither.
    """

    history: Tensor
    items: Tensor
    target: Tensor
    profile: Tensor
    negatives: Tensor | None
    numbers: Tensor


class Inputs(nn.Module):
    """The embeddings of a schema.

    Args:
        schema: features of items, behaviours, users and contexts.
        width: width of a feature's embedding where the feature names none.
        sparse: whether the gradients of the tables are sparse (``model.sparse_gradients``).
        matches: whether the batch's matches of target and history are read (``model.matches``).
        match_dropout: fraction of the candidates whose matches training hides (``model.match_dropout``).
        popularity: whether the popularity of the target is read (``model.popularity``).
        positions: places of a behaviour that have a vector, counted from the newest one: the longest history
            that is read (``model.position_embedding``); 0 for none.
        dropout: fraction of the numbers of embeddings that training drops (``model.embedding_dropout``).

    Raises:
        ValueError: no feature is of an item.

    Attributes:
        item_width: ``D``.
        history_width: ``D + D_b``.
        profile_width: width of user, context, matches and popularity.
        numbers_width: width of matches and popularity; 0 where neither is read.
        position_widths: of what a behaviour has of its place: one width or none.
    """

    def __init__(
        self,
        schema: Schema,
        width: int,
        *,
        sparse: bool = True,
        matches: bool = False,
        match_dropout: float = 0.0,
        popularity: bool = False,
        positions: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not schema.of("item"):
            raise ValueError(
                f"the schema has no feature of side 'item', of which a target is made; it has "
                f"{', '.join(f'{f.name} of {f.side}' for f in schema.features) or 'none at all'}"
            )
        sides = schema.of("item"), schema.of("user", "context"), schema.of("behaviour")
        # All tables first: any feature may share that of another, whosesoever it is.
        tables = SharedTables({})
        for features in sides:
            tables |= embedding_tables(features, width, sparse)
        self.item, self.profile, self.behaviour = (
            FeatureEmbedding(features, width, tables) for features in sides
        )
        self.matches = MatchInputs(len(schema.matched), match_dropout) if matches else None
        self.popularity = PopularityInputs(len(schema.matched)) if popularity else None
        of_numbers = (part for part in (self.matches, self.popularity) if part is not None)
        self.numbers_width = sum(part.width for part in of_numbers)
        self.item_width, self.profile_width = self.item.width, self.profile.width + self.numbers_width
        # No nn.Embedding: each row is read by every longer history, so that a dense gradient is the smaller.
        self.positions = nn.Parameter(INITIAL_STD * torch.randn(positions, width)) if positions else None
        self.position_widths = (width,) if positions else ()
        self.history_width = self.item.width + self.behaviour.width + sum(self.position_widths)
        self._check, self._dropout = BatchCheck(schema), dropout

    @classmethod
    def of(cls, config: ModelConfig, schema: Schema) -> Inputs:
        """Make the inputs that a configuration describes."""
        return cls(
            schema,
            config.embedding_size,
            sparse=config.sparse_gradients,
            matches=config.matches,
            match_dropout=config.match_dropout,
            popularity=config.popularity,
            positions=config.max_history if config.position_embedding else 0,
            dropout=config.embedding_dropout,
        )

    def tables(self) -> dict[str, nn.Embedding]:
        """List the embedding tables by the feature that owns each."""
        found: dict[str, nn.Embedding] = {}
        for part in (self.item, self.profile, self.behaviour):
            found |= zip(part.tables.names, cast("Iterable[nn.Embedding]", part.tables), strict=True)
        return found

    def forward(self, batch: Batch, *, negatives: bool = False) -> Embedded:
        """Embed a batch, its negatives only where asked for and present.

        Raises:
            TypeError: a field of the batch or a column is no tensor.
            ValueError: it is of the wrong shape or type, a feature is missing, or offsets or ``history_of``
                are wrong; the message names the field and the feature.
            IndexError: an index beyond its feature's table; likewise.
        """
        self._check(
            batch,
            negatives=negatives,
            matches=self.matches is not None,
            popularity=self.popularity is not None,
        )
        try:
            return self._embed(batch, negatives)
        except (IndexError, RuntimeError) as error:
            self._check.explain(batch, error)
            self._expect_places(batch, error)
            raise

    def _expect_places(self, batch: Batch, error: Exception) -> None:
        """Refuse histories that are longer than there are places with a vector."""
        if self.positions is None:
            return
        longest, places = int(batch.offsets.diff().max()), len(self.positions)
        if longest > places:
            raise ValueError(
                f"Batch.offsets: a history of {longest} behaviours; expected {places} at most, the places "
                "that have a vector (model.max_history, model.position_embedding)"
            ) from error

    def _embed(self, batch: Batch, negatives: bool) -> Embedded:
        parts = [batch.history, batch.target]
        if negatives and batch.negatives is not None:
            parts.append(batch.negatives)
        items, target, *rest = self._thinned(self.item(*parts))
        own = self._thinned(self.behaviour(batch.history)) if self.behaviour.width else []
        if self.positions is not None:
            own.append(self.positions.index_select(0, _from_the_newest(batch.offsets)))
        history = torch.cat([items, *own], 1) if own else items
        profile = target.new_zeros(len(batch), 0)
        if self.profile.width:
            (profile,) = self._thinned(self.profile({**batch.user, **batch.context}))  # [R, ·]
            profile = profile.index_select(0, batch.history_of)
        numbers = self._numbers(batch, target)
        if numbers.shape[1]:
            profile = torch.cat([profile, numbers], 1)
        return Embedded(history, items, target, profile, rest[0] if rest else None, numbers)

    def _numbers(self, batch: Batch, like: Tensor) -> Tensor:
        """Make inputs ``[B, ·]`` of matches and popularity, of the type of a tensor."""
        parts = [like.new_zeros(len(batch), 0)]
        if self.matches is not None and batch.matches is not None:
            parts.append(self.matches(batch.matches).to(like.dtype))
        if self.popularity is not None and batch.popularity is not None:
            parts.append(self.popularity(batch.popularity).to(like.dtype))
        return torch.cat(parts, 1)

    def _thinned(self, embedded: Iterable[Tensor]) -> list[Tensor]:
        """Drop numbers of embeddings in training, each by itself, and scale up what is left."""
        if not (self.training and self._dropout):
            return list(embedded)
        return [dropout(one, self._dropout) for one in embedded]


def _from_the_newest(offsets: Tensor) -> Tensor:
    """Count how many behaviours of its history are newer than each ``[N]``."""
    lengths = offsets[1:] - offsets[:-1]
    last = torch.repeat_interleave(offsets[1:] - 1, lengths)  # [N]
    return last - torch.arange(last.shape[0], device=offsets.device)


def pooled_history(embedded: Embedded, batch: Batch) -> Tensor:
    """Sum up each candidate's history, ``[B, D + D_b]``."""
    return _pooled(embedded.history, batch)


def pooled_items(embedded: Embedded, batch: Batch) -> list[Tensor]:
    """Sum up the items of each candidate's history, and multiply with the target, as the authors' heads do.

    Returns:
        Sum and product, both ``[B, D]``.
    """
    pooled = _pooled(embedded.items, batch)
    return [pooled, pooled * embedded.target]


def _pooled(steps: Tensor, batch: Batch) -> Tensor:
    """Sum up values ``[N, ·]`` of the steps of each candidate's history, ``[B, ·]``."""
    of_history = segment_sum(steps, batch.offsets[1:] - batch.offsets[:-1])  # [R, ·]
    return of_history.index_select(0, batch.history_of)
