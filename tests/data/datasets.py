"""Small random datasets with every kind of feature, made by hand; what batches show of a dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from dien.data.batch import Batch
from dien.data.dataset import Dataset
from dien.data.dataset_info import Negatives, Recipe
from dien.data.features import TIME_SINCE, Feature, Schema, Side
from dien.data.features.encoders import Hashed, Intervals, Scaled
from dien.data.prepare.prepared import Prepared
from dien.data.ragged import Column, Ragged, to_offsets
from dien.data.tables import SPLITS, Behaviours, FeatureTable, Split, SplitName, Unclicked
from dien.data.vocabulary import Ids, Vocabulary
from dien.data.writer import write


def random_prepared(seed: int = 0, users: int = 9, items: int = 12, behaviours: int = 60) -> Prepared:
    """Users without behaviours, empty histories, empty lists, unknown values and missing numbers included."""
    rng = np.random.default_rng(seed)
    features = (
        Feature("item", "item", items),  # the last item row has no index of its own
        Feature("category", "item", 5),
        Feature("tags", "item", 6, "multi"),
        Feature("price", "item", 1, "numeric", encoder=Scaled(0.0, 1.0)),
        Feature("action", "behaviour", 4),
        Feature("dwell", "behaviour", 1, "numeric", encoder=Scaled(0.0, 1.0, log=True)),
        Feature(TIME_SINCE, "behaviour", 3, encoder=Intervals((10.0,))),
        Feature("user", "user", users + 1),
        Feature("age", "user", 7, encoder=Hashed(6)),
        Feature("device", "context", 3),
        Feature("wanted", "context", 6, "multi", table="tags"),
    )
    schema = Schema(features)

    def column(feature: Feature, rows: int) -> Column:
        if feature.kind == "multi":
            lengths = rng.integers(0, 4, rows)
            return Ragged(
                rng.integers(feature.size, size=lengths.sum()).astype(np.int32), to_offsets(lengths)
            )
        if feature.kind == "numeric":
            return np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows)).astype(np.float32)
        return rng.integers(feature.size, size=rows).astype(np.int32)

    def table(side: Side, rows: int) -> FeatureTable:
        return {f.name: column(f, rows) for f in schema.of(side) if f.name != TIME_SINCE}

    lengths = np.append(0, rng.multinomial(behaviours, rng.dirichlet(np.full(users, 0.5))))
    offsets = to_offsets(lengths)
    time = np.concatenate([np.sort(rng.integers(0, 100, n)) for n in lengths])
    shown_to = to_offsets(rng.integers(0, 3, behaviours))
    late = (
        rng.random(users + 1) < 0.5
    )  # the impressions of the others are at the second of their newest click

    def split(impressions: int) -> Split:
        user = np.sort(rng.integers(1, users + 1, impressions)).astype(np.int32)
        end = rng.integers(offsets[user], offsets[user + 1] + 1)
        end = end[np.lexsort((end, user))]
        newest = np.where(end > offsets[user], time[end - 1] if behaviours else 0, 0)
        shown = to_offsets(rng.integers(1, 4, impressions))
        return Split(
            user=user,
            end=end,
            time=newest + late[user],
            context=table("context", impressions),
            offsets=shown,
            item=rng.integers(1, items + 1, shown[-1]).astype(np.int32),
            label=rng.integers(0, 2, shown[-1]).astype(np.int8),
        )

    return Prepared(
        schema=schema,
        dropped=(),
        vocabularies={name: _vocabulary(size) for name, size in schema.vocabularies.items()},
        item_ids=Ids.of(pl.Series([f"i{k}" for k in range(items)])),
        items=table("item", items + 1),
        popularity=np.append(0, rng.integers(0, 9, items)),
        user_ids=Ids.of(pl.Series([f"u{k}" for k in range(users)])),
        users=table("user", users + 1),
        behaviours=Behaviours(
            item=rng.integers(1, items + 1, behaviours).astype(np.int32),
            time=time,
            offsets=offsets,
            features=table("behaviour", behaviours),
            unclicked=Unclicked(
                shown_to[:-1], shown_to[1:], rng.integers(1, items + 1, shown_to[-1]).astype(np.int32)
            ),
        ),
        splits={name: split(n) for name, n in zip(SPLITS, (30, int(rng.integers(0, 3)), 20), strict=True)},
        recipe=Recipe(name="random", seed=seed),
        split_rule="at random",
        negatives=Negatives(sampled=False, per_positive=None, rule="shown and not clicked"),
        excluded={"null ids": 0, "duplicates": 3},
        sources=(),
    )


def _vocabulary(size: int) -> Vocabulary:
    values = pl.Series([None, *(f"v{k}" for k in range(1, size))], dtype=pl.String)
    return Vocabulary(values, np.ones(size, np.int64))


def stored(prepared: Prepared, folder: Path) -> Dataset:
    """Write a dataset and open it."""
    write(prepared, folder)
    return Dataset.open(folder)


def without_rows(data: Dataset, name: SplitName) -> Dataset:
    """A dataset one of whose splits is empty; its dataset.json still says that there are rows."""
    split = data.splits[name]
    columns = {
        column: values[:0]
        for column, values in vars(split).items()
        if column not in ("context", "offsets") and values is not None
    }
    context = {feature: column[:0] for feature, column in split.context.items()}
    empty = Split(**columns, context=context, offsets=split.offsets[:1])
    return replace(data, splits={**data.splits, name: empty})


def auxiliary_negatives(batches: Iterable[Batch]) -> dict[tuple[int, int], list[int]]:
    """The negative at each reading of each behaviour, told by its user and how many the user had before.

    The batches' histories must begin with their users' first behaviours: none is cut.
    """
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for batch in batches:
        assert batch.negatives is not None
        assert batch.user_row is not None
        negatives, offsets = batch.negatives["item"].tolist(), batch.offsets.tolist()  # type: ignore[union-attr]
        for user, start, end in zip(batch.user_row.tolist(), offsets, offsets[1:], strict=False):
            for k, negative in enumerate(negatives[start:end]):
                found[user, k].append(negative)
    return found
