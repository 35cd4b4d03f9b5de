"""The items and users that a scorer knows: the run's own, or those of a dataset that has grown since."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dien.data.dataset import Dataset
from dien.data.features import Feature
from dien.data.ragged import Column, Ragged
from dien.data.tables import FeatureTable
from dien.data.vocabulary import Ids
from dien.extension import expect_extends
from dien.run import Run

_MEND = "append to the dataset it was trained on (dien prepare ... --append), or score without --catalogue"


class Catalogue(Protocol):
    """Items and users by their raw ids, with their features. A run is one."""

    @property
    def items(self) -> FeatureTable:
        """Item features of the item rows."""

    @property
    def users(self) -> FeatureTable:
        """User features of the user rows."""

    @property
    def item_ids(self) -> Ids:
        """Raw ids of the item rows."""

    @property
    def user_ids(self) -> Ids:
        """Raw ids of the user rows."""


@dataclass(frozen=True)
class Grown:
    """The catalogue of a dataset that goes on with that of a run, as the run's model can read it."""

    items: FeatureTable
    users: FeatureTable
    item_ids: Ids
    user_ids: Ids


def grown(run: Run, dataset: Dataset) -> Grown:
    """Take items and users from a dataset that has grown since a run was trained.

    Their ids and values that came later are "unknown" to the model; their other features are not.

    Raises:
        RunError: the dataset does not go on with the run's; the message names the first difference.
        DataError: it cannot be read, or an index is out of its range.
    """
    expect_extends(dataset, run, _MEND)
    dataset.check()
    return Grown(
        items=as_known(run.schema.of("item"), dataset.items),
        users=as_known(run.schema.of("user"), dataset.users),
        item_ids=dataset.item_ids,
        user_ids=dataset.user_ids,
    )


def as_known(features: Iterable[Feature], table: FeatureTable) -> FeatureTable:
    """Read columns whole, with 0 for each index that is beyond the run's tables.

    Args:
        features: of the run; those that ``table`` lacks, as ``time_since``, are passed over.
        table: columns of a dataset that goes on with the run's.
    """

    def known(feature: Feature) -> Column:
        column = table[feature.name]
        if isinstance(column, Ragged):
            values = np.where(column.values < feature.size, column.values, 0).astype(np.int32)
            return Ragged(values, np.array(column.offsets))
        if feature.stored.indexed:
            return np.where(column < feature.size, column, 0).astype(np.int32)
        return np.array(column, np.float32)

    return {feature.name: known(feature) for feature in features if feature.name in table}
