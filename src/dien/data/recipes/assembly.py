"""The last step of every recipe: vocabularies counted, features encoded, splits put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.log import DataError, Log
from dien.data.prepared import Behaviours, FeatureTable, Prepared, Split, SplitName
from dien.data.ragged import to_offsets
from dien.data.recipes.events import Events
from dien.data.schema import Feature, Schema, Side
from dien.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Draft:
    """Impressions of a split before their context is encoded, sorted by user, then end, then time.

    Attributes:
        event: ``[I]`` an event of the impression: its user, time and context are the impression's.
        end: ``[I]`` end of the history.
        lengths: ``[I]`` candidates of each impression.
        item: ``[C]`` int32 item rows of the candidates.
        label: ``[C]`` int8.
    """

    event: NDArray[np.int64]
    end: NDArray[np.int64]
    lengths: NDArray[np.int64]
    item: NDArray[np.int32]
    label: NDArray[np.int8]


def assemble(
    log: Log,
    events: Events,
    behaviours: Behaviours,
    drafts: dict[SplitName, Draft],
    *,
    item_occurrences: NDArray[np.int64],
    popularity: NDArray[np.int64],
    recipe: dict[str, Any],
    split_rule: str,
    negatives: dict[str, Any],
    excluded: dict[str, int],
) -> Prepared:
    """Put a dataset together.

    A user's features and the context count once for each training row; what item features count by is the
    recipe's.

    Args:
        log: what the events came from.
        events: its events in arrays.
        behaviours: its clicks.
        drafts: the impressions of each split.
        item_occurrences: ``[items]`` how often each item counts for the vocabularies, 0 where it is unknown.
        popularity: ``[items]`` what negatives are drawn by.
        recipe: name, options and seed.
        split_rule: for people.
        negatives: see :class:`Prepared`.
        excluded: what the recipe left out; what the log left out is added.

    Raises:
        DataError: a feature's name cannot be used.
    """
    train = drafts["train"]
    train_rows = np.bincount(events.user[train.event], train.lengths, len(events.user_ids)).astype(np.int64)
    vocabularies: dict[str, Vocabulary] = {}
    tables: dict[Side, FeatureTable] = {}
    sides: tuple[tuple[Side, pl.DataFrame, NDArray[np.int64]], ...] = (
        ("item", log.items, item_occurrences[1:]),
        ("user", log.users, train_rows[1:]),
    )
    for side, table, occurrences in sides:
        tables[side] = {}
        for name in (side, *(column for column in table.columns if column != side)):
            vocabulary = _vocabulary(name, table[name], occurrences, vocabularies)
            tables[side][name] = np.concatenate([np.zeros(1, np.int32), vocabulary.encode(table[name])])
    tables["context"] = {}
    for column in events.context:
        shown = column.gather(train.event)
        vocabulary = _vocabulary(column.name, shown, train.lengths, vocabularies)
        tables["context"][column.name] = vocabulary.encode(column)
    schema = Schema(
        tuple(
            Feature(name, side, len(vocabularies[name]))
            for side, columns in tables.items()
            for name in columns
            if len(vocabularies[name]) > 1
        )
    )
    kept = {side: {f.name: tables[side][f.name] for f in schema.of(side)} for side in tables}
    return Prepared(
        schema=schema,
        dropped=tuple(name for name, vocabulary in vocabularies.items() if len(vocabulary) == 1),
        vocabularies={feature.name: vocabularies[feature.name] for feature in schema.features},
        item_ids=events.item_ids,
        items=kept["item"],
        popularity=popularity,
        user_ids=events.user_ids,
        users=kept["user"],
        behaviours=behaviours,
        splits={
            name: Split(
                user=events.user[draft.event],
                end=draft.end,
                time=events.time[draft.event],
                context={name: column[draft.event] for name, column in kept["context"].items()},
                offsets=to_offsets(draft.lengths),
                item=draft.item,
                label=draft.label,
            )
            for name, draft in drafts.items()
        },
        recipe=recipe,
        split_rule=split_rule,
        negatives=negatives,
        excluded={**log.excluded, **{what: n for what, n in excluded.items() if n}},
        sources=log.sources,
    )


def _vocabulary(
    name: str, values: pl.Series, occurrences: NDArray[np.int64], others: dict[str, Vocabulary]
) -> Vocabulary:
    """Count a feature's values and enter it among the ``others``, if its name can be a new file's."""
    if any(name.casefold() == other.casefold() for other in others):
        raise DataError(f"two features are named {name!r}; rename the column of the item, user or context")
    if not name or name[0] == "." or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name):
        raise DataError(f"a feature cannot be named {name!r}: its name is a file's name; rename the column")
    if name in ("ids", "popularity"):
        raise DataError(
            f"a feature cannot be named {name!r}: DATA has a file of this name; rename the column"
        )
    others[name] = vocabulary = Vocabulary.count(values, occurrences)
    return vocabulary
