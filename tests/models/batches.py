"""A small schema and random batches over it."""

import torch

from dien.data.batch import Batch, Columns
from dien.data.schema import Feature, Schema, Side

SCHEMA = Schema(
    (
        Feature("item", "item", 30),
        Feature("category", "item", 6),
        Feature("user", "user", 9),
        Feature("age", "user", 4),
    )
)
WITH_CONTEXT = Schema((*SCHEMA.features, Feature("hour", "context", 24)))


def random_batch(
    lengths: list[int],
    history_of: list[int],
    schema: Schema = SCHEMA,
    *,
    seed: int = 0,
    negatives: bool = True,
) -> Batch:
    """Random features for histories of these lengths and candidates of these histories."""
    random = torch.Generator().manual_seed(seed)

    def columns(side: Side, n: int) -> Columns:
        return {f.name: torch.randint(f.size, (n,), generator=random) for f in schema.of(side)}

    N, R, B = sum(lengths), len(lengths), len(history_of)
    return Batch(
        history=columns("item", N),
        offsets=torch.tensor([0, *lengths]).cumsum(0),
        history_of=torch.tensor(history_of, dtype=torch.int64),
        target=columns("item", B),
        user=columns("user", R),
        context=columns("context", R),
        label=torch.randint(2, (B,), generator=random).float(),
        negatives=columns("item", N) if negatives else None,
    )


def candidates(batch: Batch, chosen: list[int]) -> Batch:
    """Some candidates of a batch, in this order, over the same histories."""
    index = torch.tensor(chosen)
    return Batch(
        history=batch.history,
        offsets=batch.offsets,
        history_of=batch.history_of[index],
        target={name: column[index] for name, column in batch.target.items()},
        user=batch.user,
        context=batch.context,
        negatives=batch.negatives,
    )


def alone(batch: Batch, b: int) -> Batch:
    """One candidate with its own history and nothing else."""
    r = int(batch.history_of[b])
    begin, end = int(batch.offsets[r]), int(batch.offsets[r + 1])

    def rows(columns: Columns, first: int, last: int) -> Columns:
        return {name: column[first:last] for name, column in columns.items()}

    return Batch(
        history=rows(batch.history, begin, end),
        offsets=torch.tensor([0, end - begin]),
        history_of=torch.tensor([0]),
        target=rows(batch.target, b, b + 1),
        user=rows(batch.user, r, r + 1),
        context=rows(batch.context, r, r + 1),
        negatives=None if batch.negatives is None else rows(batch.negatives, begin, end),
    )
