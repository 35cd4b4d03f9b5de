"""Items and users of a dataset, as people search for them and as they are shown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.changing import values_at
from dien.data.dataset import Dataset
from dien.explain import ShownItem
from dien.explain.raw_text import features_text
from dien.serving.store.raw_values import decoder


class FoundUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user that a search has found.

    Attributes:
        id: raw id.
        behaviours: how many the log has of theirs.
    """

    id: str
    behaviours: int


class Items:
    """The items of a dataset.

    Args:
        dataset: the dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._names = dataset, dataset.names
        features = {feature.name: feature for feature in dataset.schema.of("item") if feature.name != "item"}
        decoders = {name: decoder(feature, dataset.vocabularies) for name, feature in features.items()}
        self._decoders = {name: decode for name, decode in decoders.items() if decode is not None}
        ids = dataset.item_ids.values
        names = pl.Series([""] * len(ids)) if self._names is None else self._names.values.fill_null("")
        self._search = pl.DataFrame(
            {
                "row": np.arange(len(ids)),
                "id": ids.str.to_lowercase(),
                "name": names.str.to_lowercase(),
                "count": dataset.popularity,
            }
        ).slice(1)  # the first is "unknown"

    def find(self, text: str, most: int) -> list[ShownItem]:
        """Find items that have a text in their id or name, whatever the case.

        Args:
            text: any; empty finds all.
            most: items to give: an id that is the text first, then what begins with it; the popular first.
        """
        sought = text.strip().lower()
        of = pl.col
        found = (
            self._search.filter(
                of("id").str.contains(sought, literal=True) | of("name").str.contains(sought, literal=True)
            )
            .with_columns(
                exact=of("id") == sought,
                begins=of("id").str.starts_with(sought) | of("name").str.starts_with(sought),
            )
            .sort("exact", "begins", "count", "row", descending=[True, True, True, False])
            .head(most)
        )
        return self.rows(found["row"].to_numpy())

    def rows(self, rows: NDArray[np.integer]) -> list[ShownItem]:
        """Show the items of rows ``[n]``, which have one each, not 0."""
        ids = self._dataset.item_ids.decode(rows).to_list()
        names = [None] * len(ids) if self._names is None else self._names.of_rows(rows)
        columns = values_at({name: self._dataset.items[name] for name in self._decoders}, rows, None)
        values = {name: self._decoders[name](column) for name, column in columns.items()}
        return [
            ShownItem(
                id=one,
                name=names[place],
                features=features_text(values, place),
            )
            for place, one in enumerate(ids)
        ]

    def shown(self, ids: Sequence[str]) -> list[ShownItem | None]:
        """Show items ``[n]`` by their raw ids; None of one that the dataset does not know."""
        rows = self._dataset.item_ids.encode_values(list(ids))
        known = iter(self.rows(rows[rows > 0]))
        return [next(known) if row else None for row in rows.tolist()]


class Users:
    """The users of a dataset.

    Args:
        dataset: the dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        ids = dataset.user_ids.values
        last = np.zeros(len(ids), np.int64)
        for number, split in enumerate(("train", "valid", "test"), 1):
            last[np.asarray(dataset.splits[split].user)] = number  # type: ignore[index]
        self._search = pl.DataFrame(
            {
                "raw": ids,
                "id": ids.str.to_lowercase(),
                "behaviours": np.diff(dataset.behaviours.offsets),
                "split": last,
                "row": np.arange(len(ids)),
            }
        ).slice(1)

    def find(self, text: str, most: int) -> list[FoundUser]:
        """Find users whose id begins with a text, whatever the case; those of the test split first.

        Args:
            text: any; empty finds all.
            most: users to give.
        """
        sought = text.strip().lower()
        found = (
            self._search.filter(pl.col("id").str.starts_with(sought))
            .with_columns(exact=pl.col("id") == sought)
            .sort("exact", "split", "row", descending=[True, True, False])
            .head(most)
        )
        return [
            FoundUser(id=raw, behaviours=behaviours)
            for raw, behaviours in found.select("raw", "behaviours").iter_rows()
        ]
