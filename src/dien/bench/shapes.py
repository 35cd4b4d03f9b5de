"""What is measured: random batches of the paper's sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dien.config import RunConfig, TrainConfig
from dien.data.batch import Batch, Columns, popularity_numbers
from dien.data.features import Feature, Schema
from dien.data.matches import matches_of
from dien.models import DIENConfig
from dien.packed import lengths_to_offsets

ITEMS, CATEGORIES, USERS = 50_000, 500, 100_000
BATCHES = 4


@dataclass(frozen=True)
class Shape:
    """A kind of batch.

    Attributes:
        about: what it is, in words.
        histories: of a batch, ``R``.
        candidates: of each history; the rows of a batch are ``B = histories * candidates``.
        mean: of the lengths, geometric and cut at the longest; None where all histories are the longest.
        train: whether it is trained on, besides being scored.
    """

    about: str
    histories: int
    candidates: int = 1
    mean: int | None = None
    train: bool = True

    @property
    def rows(self) -> int:
        """Candidates of a batch, ``B``."""
        return self.histories * self.candidates


SHAPES = {
    "mean-15": Shape("1,024 rows, histories geometric with mean 15", 1024, mean=15),
    "full": Shape("1,024 rows, all histories of the longest length", 1024),
    "paired": Shape("512 histories with mean 15, each with a positive and a negative", 512, 2, mean=15),
    "request": Shape("200 candidates of one history of the longest length", 1, 200, train=False),
}
"""By the name on the command line. The longest length is the model's ``max_history``."""


def paper() -> RunConfig:
    """Configure the model whose cost is spoken of: hidden 36, MLP attention 80-40, at most 100 steps, AUGRU.

    Embeddings are 18 wide, the auxiliary network 100-50 and the head 200-80, as DIENConfig has them; as in
    the paper there are no matches.
    """
    return RunConfig(
        model=DIENConfig(
            embedding_dropout=0.0,
            attention="mlp",
            max_history=100,
            matches=False,
            auxiliary_steps="all",
            auxiliary_score=False,
            behaviour_attention=False,
        ),
        training=TrainConfig(batch_size=1024),
    )


def schema(items: int = ITEMS) -> Schema:
    """Describe items with a category, and users; ``items`` counts "unknown" too."""
    return Schema(
        (
            Feature("item", "item", items),
            Feature("category", "item", CATEGORIES),
            Feature("user", "user", USERS),
        )
    )


def draw(
    shape: Shape,
    longest: int,
    *,
    items: int = ITEMS,
    seed: int = 0,
    matches: bool = False,
    popularity: bool = False,
) -> Batch:
    """Draw a batch, items and users uniformly: the caches have it no easier than on any real log.

    Args:
        shape: of the batch.
        longest: steps of the longest history.
        items: in the vocabulary, "unknown" included; at least 3.
        seed: the same gives the same batch.
        matches: whether the batch has matches of target and history, as they are drawn.
        popularity: whether it has the popularity of targets: numbers drawn uniformly.
    """
    random = torch.Generator().manual_seed(seed)
    R, B = shape.histories, shape.rows
    lengths = torch.full((R,), longest)
    if shape.mean is not None:
        lengths = torch.empty(R).geometric_(1 / shape.mean, generator=random).long().clamp_(1, longest)
    N = int(lengths.sum())

    def columns(item: Tensor) -> Columns:
        return {"item": item, "category": 1 + item % (CATEGORIES - 1)}

    history = torch.randint(1, items, (N,), generator=random)
    other = torch.randint(1, items - 1, (N,), generator=random)
    batch = Batch(
        history=columns(history),
        offsets=lengths_to_offsets(lengths),
        history_of=torch.arange(R).repeat_interleave(shape.candidates),
        target=columns(torch.randint(1, items, (B,), generator=random)),
        user={"user": torch.randint(1, USERS, (R,), generator=random)},
        context={},
        label=torch.randint(2, (B,), generator=random).float(),
        negatives=columns(1 + (history - 1 + other) % (items - 1)),  # any but the behaviour itself
    )
    if popularity:
        shape_of_it = B, popularity_numbers(len(schema(items).matched))
        batch = replace(batch, popularity=torch.randint(10**6, shape_of_it, generator=random).float())
    return replace(batch, matches=_matches(batch, items)) if matches else batch


def _matches(batch: Batch, items: int) -> Tensor:
    """Count the matches of a drawn batch, which has no times."""
    rows = np.arange(items, dtype=np.int32)
    history, target = (columns["item"] for columns in (batch.history, batch.target))
    assert isinstance(history, Tensor)
    assert isinstance(target, Tensor)
    return matches_of(
        schema(items).matched,
        {"item": rows, "category": 1 + rows % (CATEGORIES - 1)},
        item=history.numpy(),
        time=None,
        place=np.arange(len(history)),
        offsets=batch.offsets.numpy(),
        target=target.numpy(),
        target_features=batch.target,
        history_of=batch.history_of.numpy(),
        now=None,
        timed=False,
    )


def draws(shape: Shape, config: RunConfig, *, items: int = ITEMS, batches: int = BATCHES) -> list[Batch]:
    """Draw batches for a model; arguments as of :func:`draw`."""
    model = config.model
    return [
        draw(
            shape,
            model.max_history,
            items=items,
            seed=seed,
            matches=model.matches,
            popularity=model.popularity,
        )
        for seed in range(batches)
    ]
