"""Split by time: train on the past, validate and test on what came after."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from dien.data.log import DataError, Log
from dien.data.negatives import PopularitySampler
from dien.data.prepared import Behaviours, Prepared, SplitName
from dien.data.ragged import ranges, row_of, to_offsets
from dien.data.recipes.assembly import Draft, assemble
from dien.data.recipes.events import Events

Moment = float | datetime


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
    """Prepare a log with global cut points in time.

    What a user did at one time (and in one context) is one impression, such as a basket: its candidates share
    a history, which ends before the first event of that time. So no history holds anything that happened at
    or after its impression.

    In a log without labels every behaviour after the user's warm-up is a positive and gets sampled
    negatives: items drawn by their popularity in the training period, other than the impression's positives.
    Nothing else is avoided: a negative may stand in the user's history, or be clicked later. In a log with
    labels the candidates are what was shown, and the behaviours what was clicked.

    Vocabularies hold the items of the training period, and the users and contexts of training rows. An item
    first seen later is unknown, and is never drawn as a negative.

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
    for name, value, least in (("warmup", warmup, 0), ("negatives", negatives, 1)):
        if value < least:
            raise DataError(f"{name} is {value}, expected at least {least}")
    events = Events.of(log)
    behaviours = events.behaviours()
    valid_time = _cut_point("valid_from", valid_from, behaviours.time)
    test_time = _cut_point("test_from", test_from, behaviours.time)
    if valid_time >= test_time:
        raise DataError(
            f"valid_from ({_utc(valid_time)}) is not before test_from ({_utc(test_time)}); "
            "set them further apart"
        )
    items = len(events.item_ids)
    popularity = np.bincount(behaviours.item[behaviours.time < valid_time], minlength=items).astype(np.int64)

    shown = _impressions(events, behaviours, warmup)
    time = events.time[shown.event]
    periods: dict[SplitName, NDArray[np.bool_]] = {
        "train": time < valid_time,
        "valid": (valid_time <= time) & (time < test_time),
        "test": test_time <= time,
    }
    rows = shown.lengths * (1 if events.labelled else 1 + negatives)
    over = 0
    if max_train_rows is not None:
        kept = periods["train"] & _latest(time, np.where(periods["train"], rows, 0), max_train_rows)
        over = int(rows[periods["train"]].sum() - rows[kept].sum())
        periods["train"] = kept
    drafts = {name: _where(shown, chosen) for name, chosen in periods.items()}
    if not len(drafts["train"].item):
        raise DataError(
            f"no training row: none of {len(behaviours.item)} behaviours lies before valid_from "
            f"({_utc(valid_time)}), after its user's first {warmup} (warmup) and within max_train_rows "
            f"({max_train_rows}); change one of them"
        )
    if not events.labelled:
        sampler = PopularitySampler(popularity)
        # A stream for each split, so that max_train_rows leaves validation and test as they are.
        for stream, name in enumerate(periods, 1):
            rng = np.random.default_rng([seed, stream])
            drafts[name] = _with_negatives(drafts[name], negatives, sampler, rng)
    return assemble(
        log,
        events,
        behaviours,
        drafts,
        item_occurrences=np.bincount(events.item[events.time < valid_time], minlength=items),
        popularity=popularity,
        recipe={
            "name": "temporal",
            "seed": seed,
            "valid_from": valid_time,
            "test_from": test_time,
            "warmup": warmup,
            "negatives": None if events.labelled else negatives,
            "max_train_rows": max_train_rows,
        },
        split_rule=f"by time: validation from {_utc(valid_time)}, test from {_utc(test_time)}",
        negatives={
            "sampled": not events.labelled,
            "per_positive": None if events.labelled else negatives,
            "rule": "shown and not clicked"
            if events.labelled
            else "by popularity in the training period, other than the impression's positives",
        },
        excluded={
            "events in a user's warm-up": len(events.item) - int(shown.lengths.sum()),
            "training rows over max_train_rows": over,
        },
    )


def _cut_point(name: str, moment: Moment, times: NDArray[np.int64]) -> int:
    """Turn an option into seconds since 1970; the second itself belongs to what comes after."""
    if isinstance(moment, datetime):
        return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())
    if not 0 < moment < 1:
        raise DataError(f"{name} is {moment}, expected a fraction between 0 and 1, or a moment")
    place = int(moment * len(times))
    return int(np.partition(times, place)[place])


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _impressions(events: Events, behaviours: Behaviours, warmup: int) -> Draft:
    """Group what was shown at one time to one user in one context, after the user's warm-up."""
    E = len(events.item)
    first = np.ones(E, bool)  # [E] whether an event is the first of its user and time
    first[1:] = (np.diff(events.user) != 0) | (np.diff(events.time) != 0)
    clicks_before: NDArray[np.int64] = np.cumsum(events.clicked) - events.clicked  # [E]
    end: NDArray[np.int64] = clicks_before[np.maximum.accumulate(np.where(first, np.arange(E), 0))]  # [E]
    shown = (end - behaviours.offsets[events.user] >= warmup).nonzero()[0]  # [C]

    moment = np.cumsum(first)[shown]
    for column in events.context:  # each splits moments further
        value = column.gather(shown).rank("dense").fill_null(0).to_numpy().astype(np.int64)
        moment = np.unique(moment * (value.max(initial=0) + 1) + value, return_inverse=True)[1]
    order = np.argsort(moment, kind="stable")
    shown, moment = shown[order], moment[order]
    starts = np.flatnonzero(np.diff(moment, prepend=-1))  # [I]
    return Draft(
        event=shown[starts],
        end=end[shown[starts]],
        lengths=np.diff(starts, append=len(shown)),
        item=events.item[shown],
        label=events.clicked[shown].astype(np.int8),
    )


def _latest(time: NDArray[np.int64], rows: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Choose the latest impressions ``[I]`` that have at most so many rows together."""
    latest_first = np.argsort(time, kind="stable")[::-1]
    chosen = np.empty(len(time), bool)
    chosen[latest_first] = np.cumsum(rows[latest_first]) <= most
    return chosen


def _where(draft: Draft, chosen: NDArray[np.bool_]) -> Draft:
    """Keep the chosen impressions ``[I]`` with their candidates."""
    candidates = np.repeat(chosen, draft.lengths)
    return Draft(
        event=draft.event[chosen],
        end=draft.end[chosen],
        lengths=draft.lengths[chosen],
        item=draft.item[candidates],
        label=draft.label[candidates],
    )


def _with_negatives(
    positives: Draft, each: int, sampler: PopularitySampler, rng: np.random.Generator
) -> Draft:
    """Add sampled negatives to impressions that have positives only; the positives stand first."""
    lengths = positives.lengths * (1 + each)
    item = np.empty(lengths.sum(), np.int32)
    label = np.zeros(len(item), np.int8)
    label[ranges(to_offsets(lengths)[:-1], positives.lengths)] = 1
    item[label == 1] = positives.item
    item[label == 0] = sampler.draw_outside(
        rng, row_of(lengths - positives.lengths), row_of(positives.lengths), positives.item
    )
    return Draft(positives.event, positives.end, lengths, item, label)
