"""Look at a dataset folder: sizes, lengths, unknown values, drift between splits, popularity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dien.data.clicks import repeated_clicks, steps_as_targets
from dien.data.dataset import Dataset
from dien.data.dataset_info import DatasetInfo
from dien.data.inspection.counts import FeatureCounts, Place, SplitCounts, count_split, lengths_of
from dien.data.inspection.distribution import Distance, Distribution, distance, gini, top_share
from dien.data.leakage import leaking
from dien.data.ragged import slices
from dien.data.tables import SPLITS, Split, SplitName, begins

STEPS = 50
"""Newest behaviours of a history that training reads: the default of ``model.max_history``."""


@dataclass(frozen=True)
class Weights:
    """How much the rows of a split count in the loss and the metrics.

    Attributes:
        mean: of all rows; None, as the others, where there are no rows.
        least: the smallest.
        most: the largest.
        zero: share of rows whose weight is 0: they count for nothing.
    """

    mean: float | None
    least: float | None
    most: float | None
    zero: float | None


@dataclass(frozen=True)
class SplitFacts:
    """A split.

    Attributes:
        impressions: how many.
        rows: candidates of all impressions.
        positives: rows that were clicked.
        click_rate: share of them; None, like every share here, where there are no rows.
        click_rate_change: by how much it is above that of train, relative to it.
        first: time of the first impression, seconds since 1970; None where there is none.
        last: of the last one.
        leaks: impressions whose history is not strictly before them.
        users: distinct users of the impressions.
        new_users: of them, those without an impression in train.
        new_user_rows: share of rows that are theirs.
        unknown_user_rows: share of rows whose user's id is unknown (index 0); None too if it is no feature.
        items: distinct candidates.
        new_items: of them, those that are no candidate in train.
        new_item_rows: share of rows that are theirs.
        unknown_item_rows: share of rows whose item's id is unknown.
        unknown_item_clicks: share of the clicked rows whose item's id is unknown; None where none is clicked.
        repeated_clicks: share of the clicked rows whose item is in the history, of which every behaviour
            counts; likewise.
        history: behaviours before each impression.
        candidates: of each impression.
        weights: of the rows; None where all count alike.
        conversion_rate: share of the clicks whose conversion is known that led to one; None without any.
        unknown_conversions: clicks whose conversion is not known; None where the data has no conversions.
    """

    impressions: int
    rows: int
    positives: int
    click_rate: float | None
    click_rate_change: float | None
    first: int | None
    last: int | None
    leaks: int
    users: int
    new_users: int
    new_user_rows: float | None
    unknown_user_rows: float | None
    items: int
    new_items: int
    new_item_rows: float | None
    unknown_item_rows: float | None
    unknown_item_clicks: float | None
    repeated_clicks: float | None
    history: Distribution
    candidates: Distribution
    weights: Weights | None
    conversion_rate: float | None
    unknown_conversions: int | None


@dataclass(frozen=True)
class Coverage:
    """How much of a feature is known in a split.

    Attributes:
        feature: its name.
        place: where its values are.
        split: in which split.
        rows: how many candidates, steps of histories or impressions there are.
        unknown: share of them whose index is 0, whose list has no known value, or whose number is missing;
            None where there are none.
        mean: of a number where it is known, scaled as it is stored; None of other features.
        std: its standard deviation.
    """

    feature: str
    place: Place
    split: SplitName
    rows: int
    unknown: float | None
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class TableUse:
    """An embedding table, and what train has for it.

    Attributes:
        feature: the feature that owns it; ``time_since``, whose values are made in every batch, is left out.
        size: its rows, "unknown" (index 0) included.
        unseen: rows, index 0 aside, that no target, history, user or context of train has; those of items
            may still be reached by negatives drawn while training.
        unknown: how often index 0 occurs in train; if never, the embedding of "unknown" is not trained.
    """

    feature: str
    size: int
    unseen: int
    unknown: int


@dataclass(frozen=True)
class Drift:
    """How far a feature of targets, users or contexts in a split lies from train.

    Attributes:
        feature: its name.
        place: where its values are.
        split: ``valid`` or ``test``.
        distance: from train; None where a split is empty.
    """

    feature: str
    place: Place
    split: SplitName
    distance: Distance | None


@dataclass(frozen=True)
class Popularity:
    """How behaviours are spread over items.

    Attributes:
        behaviours: of each item.
        top_1_percent: share of all behaviours that the most frequent 1 % of items have.
        top_10_percent: likewise.
        gini: 0 where every item has as many, near 1 where one has all.
    """

    behaviours: Distribution
    top_1_percent: float | None
    top_10_percent: float | None
    gini: float | None


@dataclass(frozen=True)
class Telling:
    """A feature of the context that alone nearly tells the labels of train (:mod:`dien.data.leakage`).

    Attributes:
        feature: its name.
        auc: of its mean label by value, on held-out rows.
        rows: how many rows were looked at.
    """

    feature: str
    auc: float
    rows: int


@dataclass(frozen=True)
class Inspection:
    """What a dataset folder holds.

    Attributes:
        data: the folder.
        info: its ``dataset.json``.
        users: how many.
        items: how many.
        behaviours: how many.
        history: behaviours of each user.
        unclicked: items shown and not clicked up to each behaviour; None where the log does not say.
        popularity: of items.
        target_steps: share of the steps of train's histories (the newest :data:`STEPS`) that are training
            targets of their own (:func:`~dien.data.clicks.steps_as_targets`).
        splits: each split.
        coverage: of each feature, place and split.
        tables: embedding tables.
        drift: of each feature without a number, in ``valid`` and ``test``.
        telling: features that seem to be written after the click.
    """

    data: str
    info: DatasetInfo
    users: int
    items: int
    behaviours: int
    history: Distribution
    unclicked: Distribution | None
    popularity: Popularity
    target_steps: float | None
    splits: dict[SplitName, SplitFacts]
    coverage: tuple[Coverage, ...]
    tables: tuple[TableUse, ...]
    drift: tuple[Drift, ...]
    telling: tuple[Telling, ...]

    @property
    def leaks(self) -> int:
        """Impressions whose history is not strictly before them."""
        return sum(facts.leaks for facts in self.splits.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        found = dict(msgspec.json.decode(msgspec.json.encode(self)))
        data, info = found.pop("data"), found.pop("info")
        origin = {name: info[name] for name in _ORIGIN if name in info}
        return {"data": data, "origin": origin, **found, "leaks": self.leaks}


_ORIGIN = ("recipe", "split_rule", "negatives", "excluded", "dropped_features", "times", "from_time")


def inspect_data(dataset: Dataset) -> Inspection:
    """Check a dataset and describe it.

    Raises:
        DataError: its files do not fit together; the message names the first.
    """
    dataset.check()
    behaviours = dataset.behaviours
    counts = {name: count_split(dataset, name) for name in SPLITS}
    features = [feature for name in SPLITS for feature in counts[name].features]
    behaviours_of = np.zeros(len(dataset.popularity), np.int64)  # [items]
    for rows in slices(len(behaviours.item)):
        behaviours_of += np.bincount(behaviours.item[rows], minlength=len(behaviours_of))
    unclicked = behaviours.unclicked
    return Inspection(
        data=str(dataset.path),
        info=dataset.info,
        users=len(behaviours.offsets) - 2,
        items=len(behaviours_of) - 1,
        behaviours=len(behaviours.item),
        history=Distribution.of(lengths_of(behaviours.offsets[1:])),
        unclicked=Distribution.of(unclicked.end[s] - unclicked.start[s] for s in slices(len(unclicked.end)))
        if unclicked is not None
        else None,
        popularity=Popularity(
            behaviours=Distribution.of([behaviours_of[1:]]),
            top_1_percent=top_share(behaviours_of[1:], 1),
            top_10_percent=top_share(behaviours_of[1:], 10),
            gini=gini(behaviours_of[1:]),
        ),
        target_steps=steps_as_targets(dataset, STEPS),
        splits={name: _facts(dataset, name, counts) for name in SPLITS},
        coverage=tuple(_coverage(feature) for feature in features),
        tables=tuple(_tables(dataset, counts["train"])),
        drift=tuple(_drift(features)),
        telling=tuple(
            Telling(name, says.auc, says.rows)
            for name, says in leaking(dataset.schema, dataset.splits["train"]).items()
        ),
    )


def _coverage(counts: FeatureCounts) -> Coverage:
    mean, std = counts.mean_and_std()
    unknown = _ratio(counts.unknown, counts.rows)
    return Coverage(counts.feature.name, counts.place, counts.split, counts.rows, unknown, mean, std)


def _facts(dataset: Dataset, name: SplitName, counts: dict[SplitName, SplitCounts]) -> SplitFacts:
    split, own, train = dataset.splits[name], counts[name], counts["train"]
    rows, clicks = len(split.item), int(own.clicks.sum())
    click_rate, trained = _ratio(clicks, rows), _ratio(int(train.clicks.sum()), int(train.items.sum()))
    new_users, new_items = (own.users > 0) & (train.users == 0), (own.items > 0) & (train.items == 0)
    user_id, item_id = dataset.schema.id_of("user"), dataset.schema.id_of("item")
    unknown_user = None if user_id is None else dataset.users[user_id.name] == 0
    unknown_item = None if item_id is None else dataset.items[item_id.name] == 0
    conversion_rate, unknown_conversions = _conversions(split)
    return SplitFacts(
        impressions=len(split),
        rows=rows,
        positives=clicks,
        click_rate=click_rate,
        click_rate_change=click_rate / trained - 1 if click_rate is not None and trained else None,
        first=own.times[0] if own.times else None,
        last=own.times[1] if own.times else None,
        leaks=own.leaks,
        users=int(np.count_nonzero(own.users)),
        new_users=int(new_users.sum()),
        new_user_rows=_ratio(int(own.user_rows[new_users].sum()), rows),
        unknown_user_rows=None
        if unknown_user is None
        else _ratio(int(own.user_rows[unknown_user].sum()), rows),
        items=int(np.count_nonzero(own.items)),
        new_items=int(new_items.sum()),
        new_item_rows=_ratio(int(own.items[new_items].sum()), rows),
        unknown_item_rows=None if unknown_item is None else _ratio(int(own.items[unknown_item].sum()), rows),
        unknown_item_clicks=None
        if unknown_item is None
        else _ratio(int(own.clicks[unknown_item].sum()), clicks),
        repeated_clicks=_ratio(repeated_clicks(dataset, name), clicks),
        history=Distribution.of(
            split.end[r] - begins(dataset.behaviours, split, r) for r in slices(len(split))
        ),
        candidates=Distribution.of(lengths_of(split.offsets)),
        weights=None if split.weight is None else _weights(split.weight),
        conversion_rate=conversion_rate,
        unknown_conversions=unknown_conversions,
    )


def _conversions(split: Split) -> tuple[float | None, int | None]:
    """Give the share of clicks that led to a conversion, of those where it is known, and how many are not."""
    if split.conversion is None:
        return None, None
    made = unknown = clicks = 0
    for rows in slices(len(split.item)):
        part = split.conversion[rows]
        made += int(np.count_nonzero(part == 1))
        unknown += int(np.count_nonzero(part == -1))
        clicks += int(np.count_nonzero(split.label[rows]))
    return _ratio(made, clicks - unknown), unknown


def _weights(weight: NDArray[np.float32]) -> Weights:
    if not len(weight):
        return Weights(None, None, None, None)
    parts = [weight[rows] for rows in slices(len(weight))]
    return Weights(
        mean=sum(float(part.sum(dtype=np.float64)) for part in parts) / len(weight),
        least=float(min(part.min() for part in parts)),
        most=float(max(part.max() for part in parts)),
        zero=sum(int(np.count_nonzero(part == 0)) for part in parts) / len(weight),
    )


def _tables(dataset: Dataset, train: SplitCounts) -> Iterator[TableUse]:
    """Add up what train has for each table, over the features that share it."""
    counts_of: dict[str, NDArray[np.int64]] = {}
    for counts in train.features:
        if counts.feature.stored.indexed:
            owner = counts.feature.table or counts.feature.name
            counts_of[owner] = counts_of.get(owner, 0) + counts.counts
    for feature in dataset.schema.features:
        if (of_table := counts_of.get(feature.name)) is not None:
            yield TableUse(feature.name, feature.size, int((of_table[1:] == 0).sum()), int(of_table[0]))


def _drift(features: list[FeatureCounts]) -> Iterator[Drift]:
    """Compare every feature of targets, users and contexts with train."""
    train = {(f.place, f.feature.name): f.counts for f in features if f.split == "train"}
    for counts in features:
        if counts.split != "train" and counts.place != "history" and counts.feature.stored.indexed:
            apart = distance(train[counts.place, counts.feature.name], counts.counts)
            yield Drift(counts.feature.name, counts.place, counts.split, apart)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
