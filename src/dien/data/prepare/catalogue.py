"""New items and users that have no interaction yet: their rows and features are added to a dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.dataset import Dataset
from dien.data.features import Side
from dien.data.features.columns import concatenated
from dien.data.log import Log
from dien.data.prepare.prepared import Prepared
from dien.data.tables import FeatureTable
from dien.data.vocabulary import Ids
from dien.errors import DataError


def with_new_rows(dataset: Dataset, log: Log) -> Prepared | None:
    """Add the items and users of a log's tables that a dataset does not have.

    They come after those that are there. Their ids are "unknown" to a model, since no training row holds
    them; so is a value of a feature that is not in its vocabulary. Nothing else changes: what is known of the
    other items and users stays as it is.

    Args:
        dataset: what was prepared before.
        log: its items and users, with the same features; its interactions are not read.

    Returns:
        The dataset with the new rows; None where no item and no user is new.

    Raises:
        DataError: a table lacks a feature of the dataset.
    """
    item_ids, items, new_items = _grown(dataset, "item", dataset.item_ids, dataset.items, log.items)
    user_ids, users, new_users = _grown(dataset, "user", dataset.user_ids, dataset.users, log.users)
    if not new_items and not new_users:
        return None
    offsets = dataset.behaviours.offsets
    info = dataset.info
    return Prepared(
        schema=dataset.schema,
        items=items,
        popularity=np.append(dataset.popularity, np.zeros(new_items, np.int64)),
        users=users,
        behaviours=replace(
            dataset.behaviours, offsets=np.append(offsets, np.full(new_users, offsets[-1], np.int64))
        ),
        splits=dataset.splits,
        dropped=tuple(info.dropped_features),
        vocabularies=dataset.vocabularies,
        item_ids=item_ids,
        user_ids=user_ids,
        recipe=info.recipe,
        split_rule=info.split_rule,
        negatives=info.negatives,
        excluded={**info.excluded, **log.excluded},
        sources=(*info.sources, *log.sources),
        truth=info.truth,
        times=info.times,
        from_time=info.from_time,
    )


def numbered(ids: Ids, table: pl.DataFrame, column: str) -> tuple[NDArray[np.int32], pl.DataFrame]:
    """Give each row of a table its row among the known ids and the new ones after them.

    Returns:
        The row of each, and a table of all rows; of known ones it has the id alone.
    """
    rows = ids.encode(table[column]).copy()
    new = rows == 0
    rows[new] = len(ids) + np.arange(new.sum(), dtype=np.int32)
    known = pl.DataFrame({column: ids.values[1:]})
    return rows, pl.concat([known, table.filter(pl.Series(new))], how="diagonal")


def _grown(
    dataset: Dataset, side: Side, ids: Ids, known: FeatureTable, table: pl.DataFrame
) -> tuple[Ids, FeatureTable, int]:
    """Add the rows of a table whose id is not known; gives ids, features and the number of new rows."""
    new = numbered(ids, table, side)[1][len(ids) - 1 :]
    if new.is_empty():
        return ids, known, 0
    grown: FeatureTable = {}
    for feature in dataset.schema.of(side):
        found = new[feature.name].dtype if feature.name in new.columns else None
        if found is None or not feature.raw.holds(found):
            raise DataError(
                f"feature {feature.name}: expected a {feature.raw.kind} column of the {side}s, found "
                f"{found or 'none'}; give the table of {side}s (--{side}s) and the schema that the dataset "
                "was prepared with"
            )
        encoded = feature.encode(new[feature.name], dataset.vocabularies)
        grown[feature.name] = concatenated([known[feature.name], encoded])
    return Ids.of(pl.concat([ids.values[1:], new[side]])), grown, new.height
