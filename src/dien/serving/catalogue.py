"""The items and users that a scorer knows: the run's own, or those of a dataset that has grown since."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dien.data.changing import Attributes, Changing
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
    def items(self) -> Attributes:
        """Item features of the item rows."""

    @property
    def users(self) -> Attributes:
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

    items: Attributes
    users: Attributes
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
        items=_attributes(run.schema.of("item"), dataset.items),
        users=_attributes(run.schema.of("user"), dataset.users),
        item_ids=dataset.item_ids,
        user_ids=dataset.user_ids,
    )


def as_known(features: Iterable[Feature], table: FeatureTable) -> FeatureTable:
    """Read columns whole, with 0 for each index that is beyond the run's tables.

    Args:
        features: of the run; those that ``table`` lacks, as ``time_since``, are passed over.
        table: columns of a dataset that goes on with the run's.
    """
    return {
        feature.name: _known(feature, table[feature.name]) for feature in features if feature.name in table
    }


def _attributes(features: Iterable[Feature], table: Attributes) -> Attributes:
    """Do the same for features of items or users."""

    def known(feature: Feature) -> Column | Changing:
        column = table[feature.name]
        if isinstance(column, Changing):
            return Changing(_known(feature, column.values), np.array(column.since), np.array(column.rows))
        return _known(feature, column)

    return {feature.name: known(feature) for feature in features}


def _known(feature: Feature, column: Column) -> Column:
    if isinstance(column, Ragged):
        values = np.where(column.values < feature.size, column.values, 0).astype(np.int32)
        return Ragged(values, np.array(column.offsets))
    if feature.stored.indexed:
        return np.where(column < feature.size, column, 0).astype(np.int32)
    return np.array(column, np.float32)
