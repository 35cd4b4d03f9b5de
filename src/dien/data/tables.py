"""The tables of a dataset, in memory or memory-mapped: behaviours, impressions, features.

Their files: docs/data-format.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dien.data.changing import Attributes
from dien.data.features import Schema
from dien.data.ragged import Column

FeatureTable = dict[str, Column]
"""Feature name -> its values ``[rows]``, of behaviours or of impressions."""

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Behaviours:
    """What each user did, user after user, each user's in time order.

    Attributes:
        item: ``[M]`` int32 item rows.
        time: ``[M]`` int64 seconds since 1970.
        offsets: ``[U + 1]`` int64; user ``u`` owns ``offsets[u] : offsets[u + 1]``.
        features: behaviour features ``[M]``, without ``time_since``.
        unclicked: what was shown and not clicked up to each behaviour, None where the log does not say.
    """

    item: NDArray[np.int32]
    time: NDArray[np.int64]
    offsets: NDArray[np.int64]
    features: FeatureTable = field(default_factory=dict)
    unclicked: Unclicked | None = None


@dataclass(frozen=True)
class Unclicked:
    """Real negatives of the behaviours, for the auxiliary loss.

    Attributes:
        start: ``[M]`` int64.
        end: ``[M]`` int64; behaviour ``k`` has ``item[start[k] : end[k]]``, which may be empty; behaviours of
            one moment have the same.
        item: int32 item rows.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    item: NDArray[np.int32]


@dataclass(frozen=True)
class Split:
    """Impressions, sorted by user, then end, then time, and their candidates.

    Attributes:
        user: ``[I]`` int32 user rows.
        end: ``[I]`` int64; the history is the user's behaviours before this index.
        time: ``[I]`` int64 seconds since 1970.
        context: context features ``[I]``.
        offsets: ``[I + 1]`` int64; impression ``i`` owns the candidates ``offsets[i] : offsets[i + 1]``.
        item: ``[C]`` int32 item rows.
        label: ``[C]`` int8, 1 clicked and 0 not.
        weight: ``[C]`` float32, finite and at least 0, how much each counts in the loss and the metrics; None
            where all count alike. A sampled negative has the weight of the positive it was drawn for.
        conversion: ``[C]`` int8, 1 where a click led to what it is for, 0 where not (so without a click), -1
            where that is not known; None where the log does not say.
        start: ``[I]`` int64, where the history begins, of rows that carry their own; None where it begins
            with the user's first behaviour.
    """

    user: NDArray[np.int32]
    end: NDArray[np.int64]
    time: NDArray[np.int64]
    context: FeatureTable
    offsets: NDArray[np.int64]
    item: NDArray[np.int32]
    label: NDArray[np.int8]
    weight: NDArray[np.float32] | None = None
    conversion: NDArray[np.int8] | None = None
    start: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Split({len(self):,} impressions, {len(self.item):,} rows)"


@dataclass(frozen=True, eq=False)
class Tables:
    """What a prepared and an opened dataset both have.

    Attributes:
        schema: the features.
        items: item features of each item row.
        popularity: ``[items]`` int64, how often each occurs among the events negatives are drawn from.
        users: user features of each user row.
        behaviours: of all users.
        splits: the impressions to train, validate and test with.
    """

    schema: Schema
    items: Attributes
    popularity: NDArray[np.int64]
    users: Attributes
    behaviours: Behaviours
    splits: dict[SplitName, Split]

    def split(self, name: SplitName) -> Split:
        """Look up a split by its name.

        Raises:
            ValueError: there is none of this name.
        """
        if name not in self.splits:
            raise ValueError(f"split is {name!r}; expected one of {', '.join(self.splits)}")
        return self.splits[name]


def no_leak(data: Tables) -> bool:
    """Whether every history lies strictly before its impression: not at the same second either."""
    return all(
        bool((newest_time(data.behaviours, begins(data.behaviours, s), s.end) < s.time).all())
        for s in data.splits.values()
    )


def begins(
    behaviours: Behaviours, split: Split, rows: slice | NDArray[np.int64] = slice(None)
) -> NDArray[np.int64]:
    """Find where the histories of some impressions begin, before the newest of each are taken.

    Args:
        behaviours: of all users.
        split: the impressions.
        rows: those asked for.
    """
    return behaviours.offsets[split.user[rows]] if split.start is None else split.start[rows]


def newest_time(
    behaviours: Behaviours, start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the time of the newest behaviour in each impression's history.

    Args:
        behaviours: of all users.
        start: ``[I]`` where the histories begin (:func:`begins`).
        end: ``[I]`` where they end, as in :class:`Split`.

    Returns:
        ``[I]`` int64, the smallest int64 where the history is empty.
    """
    newest = np.full(len(end), np.iinfo(np.int64).min)
    filled = end > start
    newest[filled] = behaviours.time[end[filled] - 1]
    return newest
