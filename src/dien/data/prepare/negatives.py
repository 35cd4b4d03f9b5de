"""Negatives of impressions: real ones, or sampled for positives that a log without labels has alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset_info import Negatives
from dien.data.negative_sampling import NegativeSampler, negative_sampler
from dien.data.prepare.features import Features
from dien.data.ragged import ranges, row_of, to_offsets
from dien.errors import DataError

REAL = Negatives(sampled=False, per_positive=None, by=None, rule="shown and not clicked")

_RULES = {
    "popularity": "by popularity in the training period, other than the impression's positives",
    "uniform": "uniform over the items clicked in training, other than the impression's positives",
}


def sampled(by: str, per_positive: int) -> Negatives:
    """Describe sampled negatives."""
    return Negatives(sampled=True, per_positive=per_positive, by=by, rule=_RULES.get(by, by))


def sampler_of(by: str, features: Features, popularity: NDArray[np.int64]) -> NegativeSampler:
    """Make the sampler of a rule, see :func:`~dien.data.negative_sampling.negative_sampler`.

    Raises:
        DataError: the rule names no categorical item feature; the message names those there are.
    """
    if by not in ("popularity", "uniform") and not _is_categorical(features, by):
        fit = ", ".join(name for name in features.items if _is_categorical(features, name))
        raise DataError(
            f"negatives by {by!r}: expected popularity, uniform or a categorical feature of items that does "
            f"not change: {fit}"
        )
    return negative_sampler(by, popularity, features.items.get(by))


def add_negatives(
    positives: NDArray[np.int32],
    lengths: NDArray[np.int64],
    per_positive: int,
    sampler: NegativeSampler,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Add sampled negatives to impressions that have positives only.

    Args:
        positives: ``[C]`` item rows, impression after impression.
        lengths: ``[I]`` positives of each.
        per_positive: negatives of each positive.
        sampler: draws them.
        rng: source of the draws.

    Returns:
        Item rows and labels of all candidates, the positives of each impression first, and how many
        candidates each impression has ``[I]``.
    """
    total = lengths * (1 + per_positive)
    item = np.empty(total.sum(), np.int32)
    label = np.zeros(len(item), np.int8)
    label[ranges(to_offsets(total)[:-1], lengths)] = 1
    item[label == 1] = positives
    item[label == 0] = sampler.draw_outside(
        rng, row_of(total - lengths), row_of(lengths), positives, np.repeat(positives, per_positive)
    )
    return item, label, total


def positive_of(lengths: NDArray[np.int64], per_positive: int) -> NDArray[np.int64]:
    """Tell the positive of each candidate that :func:`add_negatives` makes.

    Args:
        lengths: ``[I]`` positives of each impression.
        per_positive: negatives of each positive.

    Returns:
        The number of a positive for each candidate: its own, or that of the one it was drawn for.
    """
    total = lengths * (1 + per_positive)
    found = np.empty(total.sum(), np.int64)
    positive = np.zeros(len(found), bool)
    positive[ranges(to_offsets(total)[:-1], lengths)] = True
    every = np.arange(lengths.sum())
    found[positive], found[~positive] = every, np.repeat(every, per_positive)
    return found


def _is_categorical(features: Features, name: str) -> bool:
    kinds = {f.name: f.stored for f in features.schema.of("item") if not f.changes}
    return name in kinds and kinds[name].indexed and kinds[name].one_value
