"""Split by time: train on the past, validate and test on what came after."""

from __future__ import annotations

from dien.data.log import Log
from dien.data.prepare.impressions import impressions
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime, Moment


def temporal(
    log: Log,
    *,
    seed: int = 0,
    valid_from: Moment = 0.8,
    test_from: Moment = 0.9,
    warmup: int = 5,
    negatives: int = 4,
    max_train_rows: int | None = None,
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

    Raises:
        DataError: the log or an option cannot be used, or no training row is left.
    """
    return impressions(
        log,
        ByTime(valid_from, test_from),
        name="temporal",
        seed=seed,
        warmup=warmup,
        negatives=negatives,
        max_train_rows=max_train_rows,
    )
