"""A small schema and random batches over it."""

import torch

from dien.data.batch import Batch, Columns, popularity_numbers
from dien.data.features import Feature, Schema, Side
from dien.packed import Packed

SCHEMA = Schema(
    (
        Feature("item", "item", 30),
        Feature("category", "item", 6),
        Feature("user", "user", 9),
        Feature("age", "user", 4),
    )
)
WITH_CONTEXT = Schema((*SCHEMA.features, Feature("hour", "context", 24)))
NO_PROFILE = Schema(SCHEMA.features[:2])
EVERY_KIND = Schema(
    (
        Feature("item", "item", 30),
        Feature("category", "item", 6, width=3),
        Feature("tags", "item", 8, "multi"),
        Feature("price", "item", 1, "numeric", width=1),
        Feature("text", "item", 4, "vector", width=2),
        Feature("bought_with", "item", 30, "multi", pooling="sum", table="item"),
        Feature("action", "behaviour", 5, width=4),
        Feature("dwell", "behaviour", 1, "numeric"),
        Feature("queries", "behaviour", 7, "multi", pooling="max", width=3),
        Feature("user", "user", 9),
        Feature("favourite", "user", 6, table="category"),
        Feature("segments", "user", 5, "multi", pooling="max"),
        Feature("income", "user", 1, "numeric"),
        Feature("face", "user", 3, "vector", width=3, frozen=True),
        Feature("hour", "context", 24, width=1),
        Feature("last_action", "context", 5, table="action"),
        Feature("position", "context", 1, "numeric"),
    )
)
"""Features of every kind on every side; tables shared within a side and across sides, either way round."""


def random_column(feature: Feature, n: int, random: torch.Generator) -> torch.Tensor | Packed:
    """Random values of a feature: a third of the numbers and vectors missing, lists of 0 to 3 indices."""
    if feature.kind == "numeric":
        numbers = torch.randn(n, generator=random)
        return numbers.masked_fill(torch.rand(n, generator=random) < 1 / 3, float("nan"))
    if feature.kind == "vector":
        vectors = torch.randn(n, feature.size, generator=random)
        return vectors.masked_fill(torch.rand(n, 1, generator=random) < 1 / 3, float("nan"))
    if feature.kind == "multi":
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.randint(4, (n,), generator=random)])
        offsets = offsets.cumsum(0)
        return Packed(torch.randint(feature.size, (int(offsets[-1]),), generator=random), offsets)
    return torch.randint(feature.size, (n,), generator=random)


def take(column: torch.Tensor | Packed, rows: list[int]) -> torch.Tensor | Packed:
    """Rows of a column, in this order."""
    if not isinstance(column, Packed):
        return column[rows]
    lists = [column.values[column.offsets[r] : column.offsets[r + 1]] for r in rows]
    return Packed(
        torch.cat([column.values[:0], *lists]),
        torch.tensor([0, *map(len, lists)], dtype=torch.int64).cumsum(0),
    )


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

    def columns(n: int, *sides: Side) -> Columns:
        return {f.name: random_column(f, n, random) for f in schema.of(*sides)}

    def matches() -> torch.Tensor:
        """A third of the names match nothing, and some times are not known."""
        F = len(schema.matched)
        count = torch.randint(3, (B, F), generator=random).float()
        steps, seconds = (torch.randint(1, 10**6, (B, F), generator=random).float() for _ in range(2))
        missing = count == 0, (count == 0) | (torch.rand(B, F, generator=random) < 0.2)
        steps, seconds = (
            x.masked_fill(gap, float("nan")) for x, gap in zip((steps, seconds), missing, strict=True)
        )
        return torch.cat([count.sum(1, keepdim=True), count, steps, seconds], 1)

    def popularity() -> torch.Tensor:
        """A third of the items have never been seen."""
        numbers = torch.randint(10**6, (B, popularity_numbers(len(schema.matched))), generator=random).float()
        new = torch.rand(B, generator=random) < 1 / 3
        numbers[new, :-2], numbers[new, -2:] = 0.0, float("nan")
        return numbers

    N, R, B = sum(lengths), len(lengths), len(history_of)
    return Batch(
        history=columns(N, "item", "behaviour"),
        offsets=torch.tensor([0, *lengths]).cumsum(0),
        history_of=torch.tensor(history_of, dtype=torch.int64),
        target=columns(B, "item"),
        user=columns(R, "user"),
        context=columns(R, "context"),
        label=torch.randint(2, (B,), generator=random).float(),
        negatives=columns(N, "item") if negatives else None,
        matches=matches(),
        popularity=popularity(),
    )


def candidates(batch: Batch, chosen: list[int]) -> Batch:
    """Some candidates of a batch, in this order, over the same histories."""
    return Batch(
        history=batch.history,
        offsets=batch.offsets,
        history_of=batch.history_of[chosen],
        target={name: take(column, chosen) for name, column in batch.target.items()},
        user=batch.user,
        context=batch.context,
        negatives=batch.negatives,
        matches=None if batch.matches is None else batch.matches[chosen],
        popularity=None if batch.popularity is None else batch.popularity[chosen],
    )


def alone(batch: Batch, b: int) -> Batch:
    """One candidate with its own history and nothing else."""
    r = int(batch.history_of[b])
    begin, end = int(batch.offsets[r]), int(batch.offsets[r + 1])

    def rows(columns: Columns, first: int, last: int) -> Columns:
        return {name: take(column, list(range(first, last))) for name, column in columns.items()}

    return Batch(
        history=rows(batch.history, begin, end),
        offsets=torch.tensor([0, end - begin]),
        history_of=torch.tensor([0]),
        target=rows(batch.target, b, b + 1),
        user=rows(batch.user, r, r + 1),
        context=rows(batch.context, r, r + 1),
        negatives=None if batch.negatives is None else rows(batch.negatives, begin, end),
        matches=None if batch.matches is None else batch.matches[b : b + 1],
        popularity=None if batch.popularity is None else batch.popularity[b : b + 1],
    )
