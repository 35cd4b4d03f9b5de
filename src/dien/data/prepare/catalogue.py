"""New items and users that have no interaction yet: their rows and features are added to a dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.changing import Attributes, Changing
from dien.data.dataset import Dataset
from dien.data.features import Side
from dien.data.features.columns import concatenated, continued
from dien.data.item_names import ItemNames
from dien.data.log import Log
from dien.data.prepare.changes import later_changes, lines_of
from dien.data.prepare.prepared import Prepared
from dien.data.vocabulary import Ids
from dien.errors import DataError


def with_new_rows(dataset: Dataset, log: Log, newest: int) -> Prepared | None:
    """Add the items and users of a log's tables that a dataset does not have, and what has changed since.

    They come after those that are there. Their ids are "unknown" to a model, since no training row holds
    them; so is a value of a feature that is not in its vocabulary. Of features that change over time, values
    after the newest event are added, too. Nothing else changes: what is known of the other items and users
    stays as it is.

    Args:
        dataset: what was prepared before.
        log: its items and users, with the same features; its interactions are not read.
        newest: second of the newest event of the dataset.

    Returns:
        The dataset with the new rows; None where no item and no user is new, and nothing has changed.

    Raises:
        DataError: a table lacks a feature of the dataset.
    """
    item_rows, item_table = numbered(dataset.item_ids, log.items, "item")
    user_rows, user_table = numbered(dataset.user_ids, log.users, "user")
    known: dict[Side, int] = {"item": len(dataset.item_ids), "user": len(dataset.user_ids)}
    changes, left = later_changes(log.changes, {"item": item_rows, "user": user_rows}, known, newest)
    log = replace(log, items=item_table, users=user_table, changes=changes)
    item_ids, items, new_items = _grown(dataset, "item", dataset.item_ids, dataset.items, log)
    user_ids, users, new_users = _grown(dataset, "user", dataset.user_ids, dataset.users, log)
    if not new_items and not new_users and all(frame.is_empty() for frame in changes.values()):
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
        excluded={**info.excluded, **log.excluded, **left},
        sources=(*info.sources, *log.sources),
        truth=info.truth,
        times=info.times,
        from_time=info.from_time,
        form=info.log,
        names=grown_names(dataset, item_ids, log),
    )


def grown_names(dataset: Dataset, ids: Ids, log: Log) -> ItemNames | None:
    """Keep the names of the items of a dataset, and add those that a later log has of the others.

    Args:
        dataset: what was prepared before.
        ids: of its items, and the new ones after them.
        log: what came after.

    Returns:
        The names of all; None where neither has any.
    """
    if dataset.names is None and log.names is None:
        return None
    none = pl.DataFrame(schema={"item": pl.String, "name": pl.String})
    return ItemNames.of(ids, none if log.names is None else log.names, dataset.names)


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
    dataset: Dataset, side: Side, ids: Ids, known: Attributes, log: Log
) -> tuple[Ids, Attributes, int]:
    """Add the rows of a log whose id is not known; gives ids, features and the number of new rows.

    Its items and users, and what changed of them, have the rows of the dataset.
    """
    table = log.items if side == "item" else log.users
    new = table[len(ids) - 1 :]
    if new.is_empty() and not any(feature.name in log.changes for feature in dataset.schema.of(side)):
        return ids, known, 0
    grown: Attributes = {}
    for feature in dataset.schema.of(side):
        changes = log.changes.get(feature.name)
        values = new if changes is None else changes
        found = values[feature.name].dtype if feature.name in values.columns else None
        if found is None or not feature.raw.holds(found) or feature.changes != (changes is not None):
            changing = ", which changes over time" if feature.changes else ""
            raise DataError(
                f"feature {feature.name}: expected a {feature.raw.kind} column of the {side}s{changing}, "
                f"found {found or 'none'}; give the table of {side}s (--{side}s) and the schema that the "
                "dataset was prepared with"
            )
        before = known[feature.name]
        if isinstance(before, Changing) and changes is not None:
            unknown = pl.Series(feature.name, [None], dtype=found)
            later = pl.concat([unknown, changes[feature.name]])
            encoded = feature.encode(later, dataset.vocabularies, first=0)
            grown[feature.name] = continued(before, Changing(encoded, *lines_of(log, changes)))
        elif not isinstance(before, Changing):
            encoded = feature.encode(new[feature.name], dataset.vocabularies)
            grown[feature.name] = concatenated([before, encoded])
    return Ids.of(pl.concat([ids.values[1:], new[side]])), grown, new.height
