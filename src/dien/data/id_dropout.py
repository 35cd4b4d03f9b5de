"""Ids that training hides, rare ones often: where it knows little of an id, a model is to go by the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.data.batch import Batch, Columns
from dien.data.dataset import Dataset
from dien.data.features import Schema
from dien.data.ragged import row_of, whole_rows
from dien.data.random_streams import RandomStreams

IdSide = Literal["item", "user"]
_STREAM: dict[IdSide, int] = {"item": 2, "user": 3}
"""Of the draws of each side; the order of the rows and the drawn negatives have 0 and 1."""


def sides_with_ids(schema: Schema) -> tuple[IdSide, ...]:
    """Name the sides of which an id can be unknown.

    A hashed id never is: a new item has the bucket, and so the embedding, of some other one. Where all ids
    were too rare to be a feature, there is nothing to hide.
    """
    sides: tuple[IdSide, ...] = ("item", "user")
    return tuple(side for side in sides if (one := schema.id_of(side)) and one.vocabulary is not None)


@dataclass(frozen=True)
class IdDropout:
    """Makes the ids of some items and users of a batch unknown (index 0); their other features stay.

    An id that training has ``n`` times is hidden with probability ``k / (k + n)``. Of its occurrences the
    first one was new, and the fewer there were, the less its embedding says: that of a user with one click
    learns that click by heart. What is common is hardly ever hidden.

    It is drawn once for each item and each user of a batch, and holds wherever it stands there: as
    candidate, in all histories, and as a negative of the auxiliary loss. A new item is like that. Its id is
    unknown in the history and in the candidate alike; were each occurrence drawn by itself, the model would
    still recognise most items of a history by their other occurrences, and it would rarely see an unknown
    candidate whose earlier behaviours are unknown, too. From batch to batch it is another draw, so that every
    id still is learned.

    Draws follow from the keys given to :meth:`apply` and the row of the item or user alone: neither the other
    rows of the batch nor what was drawn before matters.

    Args:
        schema: says which features are ids.
        strength: ``k``, above 0: an id that training has as often is hidden in half of the batches.
        counts: by side, how often training has each row, ``[rows]`` of items or users
            (:func:`training_counts`).
    """

    schema: Schema
    strength: float
    counts: Mapping[IdSide, NDArray[np.int64]]

    def apply(
        self,
        batch: Batch,
        key: Sequence[int],
        *,
        target: NDArray[np.integer],
        history: NDArray[np.integer],
        negatives: NDArray[np.integer] | None,
        user: NDArray[np.integer],
    ) -> Batch:
        """Hide ids of a batch.

        Args:
            batch: encoded; it stays as it is.
            key: what the draws follow from, as seed, epoch and index; each >= 0.
            target: ``[B]`` item rows of its candidates.
            history: ``[N]`` item rows of its behaviours.
            negatives: ``[N]`` item rows of the auxiliary loss's negatives; None where it has none.
            user: ``[R]`` user rows.

        Returns:
            The batch with other ids; all else is shared with ``batch``.
        """
        sides = sides_with_ids(self.schema)
        if "item" in sides:
            batch = replace(
                batch,
                target=self._hide("item", batch.target, target, key),
                history=self._hide("item", batch.history, history, key),
                negatives=None
                if batch.negatives is None or negatives is None
                else self._hide("item", batch.negatives, negatives, key),
            )
        return replace(batch, user=self._hide("user", batch.user, user, key)) if "user" in sides else batch

    def _hide(self, side: IdSide, columns: Columns, rows: NDArray[np.integer], key: Sequence[int]) -> Columns:
        """Replace the ids ``[n]`` of some rows ``[n]`` by 0, where they stand among the columns."""
        ids = columns[side]
        assert isinstance(ids, Tensor)  # an id is categorical
        drawn = RandomStreams([_STREAM[side], *key], rows).random(np.arange(len(rows)))  # [n]
        share = self.strength / (self.strength + self.counts[side][rows])  # [n]
        return {**columns, side: ids.masked_fill(torch.from_numpy(drawn < share), 0)}


def training_counts(dataset: Dataset) -> dict[IdSide, NDArray[np.int64]]:
    """Count how often training has each item and each user.

    Args:
        dataset: where from; its train split is read, in parts.

    Returns:
        Of users, their candidates in train; of items, the times they were candidates or, where these are
        more, the events that negatives are drawn by (``Dataset.popularity``). Negatives that were sampled
        are no events, and do not count.
    """
    split = dataset.splits["train"]
    users = np.zeros(len(dataset.behaviours.offsets) - 1, np.int64)
    items = np.zeros_like(dataset.popularity)
    for part in whole_rows(split.offsets):
        offsets = split.offsets[part.start : part.stop + 1]
        rows = slice(offsets[0], offsets[-1])
        user, item = split.user[part][row_of(np.diff(offsets))], split.item[rows]
        if dataset.negatives_sampled:
            clicked = split.label[rows] == 1
            user, item = user[clicked], item[clicked]
        users += np.bincount(user, minlength=len(users))
        items += np.bincount(item, minlength=len(items))
    return {"item": np.maximum(items, dataset.popularity), "user": users}
