"""What share of the values that a model reads is unknown to it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from torch import Tensor

from dien.data.batch import Batch, Columns, Values
from dien.data.features import Schema
from dien.data.ragged import Column, Ragged

PLACES = ("target", "history", "user", "context")
"""Where values are: of a row's candidate, of a step of a history as the model reads it, of the user or of the
context of such a history: an impression has one, with ``model.filter_by`` one for each value of its
candidates."""


class UnknownShares:
    """Counts values that are unknown or missing, batch by batch.

    Numbers and hashed ids are left out: of them every value is known.

    Args:
        schema: the features.
    """

    def __init__(self, schema: Schema) -> None:
        self._features = {one.name: one for one in schema.features if one.vocabulary is not None}
        self._rows: defaultdict[str, int] = defaultdict(int)
        self._unknown: dict[str, dict[str, int]] = {place: {} for place in PLACES}

    def add(self, batch: Batch) -> None:
        """Count what is in a batch."""
        rows = len(batch), int(batch.offsets[-1]), len(batch.offsets) - 1, len(batch.offsets) - 1
        for place, count in zip(PLACES, rows, strict=True):
            self._rows[place] += count
            columns: Columns = getattr(batch, place)
            unknown = self._unknown[place]
            for name, column in columns.items():
                if name in self._features:
                    unknown[name] = unknown.get(name, 0) + self._count(name, column)

    def _count(self, name: str, column: Values) -> int:
        if isinstance(column, Tensor):
            found: Column = column.numpy()
        else:
            found = Ragged(column.values.numpy(), column.offsets.numpy())
        return int(np.count_nonzero(~self._features[name].stored.known(found)))

    def shares(self) -> dict[str, dict[str, float]]:
        """Give the shares by place and feature; without the places that have no such feature, or no row."""
        return {
            place: {name: count / self._rows[place] for name, count in unknown.items()}
            for place, unknown in self._unknown.items()
            if unknown and self._rows[place]
        }
