"""Split by time: train on the past, validate and test on what came after."""

from __future__ import annotations

from dataclasses import replace

from dien.data.features.indices import Indices
from dien.data.log import Log
from dien.data.prepare.events import NOT_FEATURES
from dien.data.prepare.impressions import impressions
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime, Moment
from dien.errors import DataError


def temporal(
    log: Log,
    *,
    seed: int = 0,
    valid_from: Moment = 0.8,
    test_from: Moment = 0.9,
    warmup: int = 5,
    negatives: int = 4,
    max_train_rows: int | None = None,
    rare_share: float = 0.0,
) -> Prepared:
    """Prepare a log with global cut points in time; see :func:`impressions`.

    Args:
        log: clicks, with or without labels.
        seed: the negatives follow from it alone.
        valid_from: where the training period ends: a fraction of all behaviours by time, or a moment (UTC
            where it names no zone).
        test_from: where the validation period ends.
        warmup: behaviours a user must have before the first impression; 0 allows empty histories.
        negatives: sampled for each positive; unused where the log has labels.
        max_train_rows: keep at most so many training rows (candidates), the latest ones, in whole
            impressions.
        rare_share: this share of the values that training has once is unknown, ids and other features alike,
            so that "unknown" is trained; of the features that the log itself does not define. In [0, 1].

    Raises:
        DataError: the log or an option cannot be used, or no training row is left.
    """
    return impressions(
        _with_rare_share(log, rare_share),
        ByTime(valid_from, test_from),
        name="temporal",
        seed=seed,
        warmup=warmup,
        negatives=negatives,
        max_train_rows=max_train_rows,
    )


def _with_rare_share(log: Log, share: float) -> Log:
    """Define the features that have a vocabulary and no definition yet, ids too, with a ``rare_share``."""
    if not 0 <= share <= 1:
        raise DataError(f"rare_share is {share}, expected a number from 0 to 1")
    if not share:
        return log
    of_events = [column for column in log.events if column.name not in NOT_FEATURES]
    columns = [c for c in (*log.items, *log.users, *of_events) if c.name not in log.features]
    usual = {column.name: log.definition(column) for column in columns}
    rare = {
        name: one.model_copy(update={"rare_share": share})
        for name, one in usual.items()
        if isinstance(one, Indices)
    }
    return replace(log, features={**log.features, **rare})
