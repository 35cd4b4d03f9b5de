"""What a recipe makes of a log: the arrays of docs/data-format.md, before they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dien.data.log import SourceFile
from dien.data.ragged import Column
from dien.data.schema import Schema
from dien.data.vocabulary import Ids, Vocabulary

FeatureTable = dict[str, Column]
"""Feature name -> its values ``[rows]``; row 0 of items and users is unknown."""

FORMAT = 2
"""Version of docs/data-format.md; a dataset of another one is refused."""

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
        end: ``[M]`` int64; behaviour ``k`` has ``item[start[k] : end[k]]``, which may be none; behaviours of
            one moment share theirs.
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
    """

    user: NDArray[np.int32]
    end: NDArray[np.int64]
    time: NDArray[np.int64]
    context: FeatureTable
    offsets: NDArray[np.int64]
    item: NDArray[np.int32]
    label: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Prepared:
    """A dataset in memory.

    Attributes:
        schema: the features that have at least one known value.
        dropped: features that have none and were left out of the schema.
        vocabularies: of each feature of the schema that has its own and no encoder.
        item_ids: raw ids of the item rows.
        items: item features of each row.
        popularity: ``[items]`` int64, how often each occurs among the events negatives are drawn from.
        user_ids: raw ids of the user rows.
        users: user features of each row.
        behaviours: of all users.
        splits: the impressions to train, validate and test with.
        recipe: its name, options and seed.
        split_rule: how the rows were split, for people.
        negatives: ``sampled`` (bool: drawn, or real), ``per_positive`` and ``rule`` (for people).
        excluded: what was left out, and how often.
        sources: the files the log was read from.
        truth: of synthetic logs: ``best_auc`` of any model in each split, and the rule of clicks.
    """

    schema: Schema
    dropped: tuple[str, ...]
    vocabularies: dict[str, Vocabulary]
    item_ids: Ids
    items: FeatureTable
    popularity: NDArray[np.int64]
    user_ids: Ids
    users: FeatureTable
    behaviours: Behaviours
    splits: dict[SplitName, Split]
    recipe: dict[str, Any]
    split_rule: str
    negatives: dict[str, Any]
    excluded: dict[str, int]
    sources: tuple[SourceFile, ...]
    truth: dict[str, Any] | None = None


class HasImpressions(Protocol):
    """A prepared or an opened dataset."""

    @property
    def behaviours(self) -> Behaviours:
        """Behaviours of all users."""

    @property
    def splits(self) -> Mapping[SplitName, Split]:
        """The impressions of each split."""


def no_leak(data: HasImpressions) -> bool:
    """Tell whether every history lies strictly before its impression: not at the same second either."""
    return all(bool((newest_time(data.behaviours, s) < s.time).all()) for s in data.splits.values())


def newest_time(behaviours: Behaviours, split: Split) -> NDArray[np.int64]:
    """Find the time of the newest behaviour in each impression's history.

    Returns:
        ``[I]`` int64, the smallest int64 where the history is empty.
    """
    newest = np.full(len(split), np.iinfo(np.int64).min)
    filled = split.end > behaviours.offsets[split.user]
    newest[filled] = behaviours.time[split.end[filled] - 1]
    return newest
