"""The first pass over a log: what its training impressions hold, and how many rows they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dien.data.prepare.events import Events
from dien.data.prepare.features import Occurrences
from dien.data.prepare.grouping import Differing, Impressions
from dien.data.prepare.splits import NO_SPLIT, TRAIN, SplitEvents

_WARM_UP = "events in a user's warm-up"
_NO_SPLIT = "events in no split"
_OVER = "training rows over max_train_rows"


@dataclass(frozen=True)
class TrainingCounts:
    """What the training impressions of a log hold.

    Attributes:
        occurrences: what vocabularies count, but for features that change.
        held: ``[E]`` whether the item of each event counts.
        popularity: ``[items]`` training behaviours.
        rows: training rows (candidates).
        kept: ``[training impressions]`` which of them ``max_train_rows`` keeps; None for all.
        excluded: events and rows that were left out, by reason.
        differing: impressions of all splits whose candidates differ in their context; none of a log without
            labels, where nothing says what was shown together.
    """

    occurrences: Occurrences
    held: NDArray[np.bool_]
    popularity: NDArray[np.int64]
    rows: int
    kept: NDArray[np.bool_] | None
    excluded: dict[str, int]
    differing: Differing


def count_training(
    split_events: SplitEvents, *, warmup: int, rows_each: int, max_train_rows: int | None
) -> TrainingCounts:
    """Count what the training impressions of a log hold.

    Args:
        split_events: the log.
        warmup: behaviours a user must have before the first impression.
        rows_each: rows that an event of an impression makes.
        max_train_rows: at most so many training rows, the latest ones; None for all.
    """
    events = split_events.events
    items, users = len(events.item_ids), len(events.user_ids)
    item, popularity = np.zeros(items, np.int64), np.zeros(items, np.int64)
    user = np.zeros(users, np.int64)
    context = np.zeros(len(events), np.int32)
    held, behaviour = np.zeros((2, len(events)), bool)
    excluded = {_WARM_UP: 0, _NO_SPLIT: 0, _OVER: 0}
    kept, differing = None, Differing()
    for begin, part, shown, split in split_events.slices():
        if events.labelled:
            differing += Differing.of(part)
        split_of_event = np.full(len(part), NO_SPLIT, np.int8)
        split_of_event[shown.candidate] = np.repeat(split, shown.lengths)
        training = (split_of_event == TRAIN) | _read_in_training(part, shown, split)
        item += np.bincount(part.item[training], minlength=items)
        popularity += np.bincount(part.item[training & part.behaviour], minlength=items)
        held[begin : begin + len(part)] = training
        behaviour[begin : begin + len(part)] = training & part.behaviour
        warm = shown.past >= warmup
        excluded[_WARM_UP] += int(shown.lengths[~warm].sum())
        excluded[_NO_SPLIT] += int(shown.lengths[warm & (split == NO_SPLIT)].sum())
        chosen = warm & (split == TRAIN)
        context[begin + shown.event[chosen]] = shown.lengths[chosen] * rows_each
    if max_train_rows is not None:
        first = context.nonzero()[0]
        kept = _latest(events.time[first], context[first].astype(np.int64), max_train_rows)
        excluded[_OVER] = int(context[first[~kept]].sum(dtype=np.int64))
        context[first[~kept]] = 0
    for begin, part in events.slices():
        user += np.bincount(part.user, context[begin : begin + len(part)], users).astype(np.int64)
    return TrainingCounts(
        occurrences=Occurrences(item, user, context, behaviour),
        held=held,
        popularity=popularity,
        rows=int(context.sum(dtype=np.int64)),
        kept=kept,
        excluded=excluded,
        differing=differing,
    )


def _read_in_training(events: Events, shown: Impressions, split: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Mark what is a behaviour alone ``[E]`` and in the history of a training impression of its user."""
    if events.shown is None:
        return np.zeros(len(events), bool)
    training = split == TRAIN
    if events.history is not None:
        return ~events.shown & np.isin(events.history, events.history[shown.event[training]])
    end = np.zeros(len(events.user_ids), np.int64)
    end[shown.user[training]] = shown.end[training]  # the last one of a user stays: it is the longest
    number = np.cumsum(events.behaviour) - 1
    return ~events.shown & (number < end[events.user])


def _latest(time: NDArray[np.int64], rows: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Choose the latest impressions ``[I]`` that have at most ``most`` rows together."""
    latest_first = np.argsort(time, kind="stable")[::-1]
    chosen = np.empty(len(time), bool)
    chosen[latest_first] = np.cumsum(rows[latest_first]) <= most
    return chosen
