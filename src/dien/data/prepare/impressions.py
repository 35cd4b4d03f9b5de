"""Impressions by user and time, split by a rule: the recipe of logs, large ones too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset_info import Negatives, Recipe
from dien.data.features.columns import from_pieces, pieces_of
from dien.data.log import Log
from dien.data.negative_sampling import Sampler, sampler
from dien.data.prepare.columns import ColumnWriter
from dien.data.prepare.events import Events, History, first_of_moment, first_of_user
from dien.data.prepare.features import Features, Occurrences, fit_features
from dien.data.prepare.histories import behaviours_of
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import NONE, TRAIN, SplitRule
from dien.data.ragged import ranges, row_of, to_offsets
from dien.data.tables import SPLITS, Split, SplitName
from dien.errors import DataError


@dataclass(frozen=True)
class Shown:
    """Impressions of whole users, in order of user, time and first event.

    Attributes:
        event: ``[I]`` its first event: its user, time and context are the impression's.
        end: ``[I]`` behaviours of the log before it: the end of its history among all.
        past: ``[I]`` behaviours of its user before it.
        lengths: ``[I]`` events.
        candidate: ``[C]`` the events, impression after impression.
        part: ``[I]`` int8, its split.
    """

    event: NDArray[np.int64]
    end: NDArray[np.int64]
    past: NDArray[np.int64]
    lengths: NDArray[np.int64]
    candidate: NDArray[np.int64]
    part: NDArray[np.int8]

    def keep(self, chosen: NDArray[np.bool_]) -> Shown:
        """Keep the chosen impressions ``[I]``."""
        return Shown(
            self.event[chosen],
            self.end[chosen],
            self.past[chosen],
            self.lengths[chosen],
            self.candidate[np.repeat(chosen, self.lengths)],
            self.part[chosen],
        )


@dataclass(frozen=True)
class Earlier:
    """What a log that goes on with an earlier one needs to know of it.

    Attributes:
        features: its features, to keep and to extend.
        behaviours: ``[users]`` how many each user had.
        popularity: ``[items]`` its training behaviours.
    """

    features: Features
    behaviours: NDArray[np.int64]
    popularity: NDArray[np.int64]


def impressions(
    log: Log,
    split: SplitRule,
    *,
    name: str = "table",
    seed: int = 0,
    warmup: int = 1,
    negatives: int = 4,
    negatives_by: str = "popularity",
    max_train_rows: int | None = None,
    history: History = "clicked",
    scratch: Path | None = None,
    earlier: Earlier | None = None,
) -> Prepared:
    """Prepare a log impression by impression.

    What a user was shown at one time, in one context, is one impression, such as a basket or a page; where
    the log names impressions, what it names alike is one, at its first time. Its candidates share a history,
    which ends before the first event of that time: no history holds anything that happened at or after its
    impression, not at the same second either.

    In a log without labels every behaviour after the user's warm-up is a positive and gets sampled
    negatives, other than the impression's positives. Nothing else is avoided: a negative may stand in the
    user's history, or be clicked later. In a log with labels the candidates are what was shown, the
    behaviours what was clicked, and each behaviour carries what was shown and not clicked since the click
    before it; or all that was shown is a behaviour (``history``), and carries nothing.

    Vocabularies and popularity count what the training impressions hold, those of the warm-up included; of
    users and contexts, training rows. An item first seen later is unknown, and is never drawn as a negative.

    Args:
        log: clicks, with or without labels.
        split: which impressions train, validate and test.
        name: of the recipe, for ``dataset.json``.
        seed: the negatives follow from it alone.
        warmup: behaviours a user must have before the first impression; 0 allows empty histories.
        negatives: sampled for each positive; unused where the log has labels.
        negatives_by: ``popularity`` among training clicks, ``uniform`` over the items clicked in training, or
            the name of an item feature: by popularity among the items with the positive's value of it.
        max_train_rows: keep at most so many training rows (candidates), the latest ones, in whole
            impressions.
        history: ``clicked``: what was clicked is a behaviour; ``all``: what was shown and not clicked, too.
        scratch: folder for rows while they grow, so that memory does not grow with them; None keeps them in
            memory.
        earlier: what a log that this one goes on with has left.

    Raises:
        DataError: the log or an option cannot be used, or no training row is left.
    """
    for option, value, least in (("warmup", warmup, 0), ("negatives", negatives, 1)):
        if value < least:
            raise DataError(f"{option} is {value}, expected at least {least}")
    events = Events.of(log, history)
    log = replace(log, events=log.events.clear())  # a large one is let go where nobody else holds it
    split = split.settle(events)
    past = np.zeros(len(events.user_ids), np.int64) if earlier is None else earlier.behaviours
    each = 0 if events.labelled else negatives
    counted = _count(events, split, past, warmup, 1 + each, max_train_rows)
    if not counted.train_rows:
        raise DataError(
            f"no training row: none of {len(events):,} events falls to train ({split.text()}), after its "
            f"user's first {warmup} behaviours (warmup) and within max_train_rows ({max_train_rows}); change "
            "one of them"
        )
    features = fit_features(log, events, counted.occurrences, earlier.features if earlier else None)
    popularity = counted.popularity if earlier is None else counted.popularity + earlier.popularity
    behaviours = behaviours_of(events, features.encode(events.features_of(events.behaviour), "behaviour"))
    draw = None
    if not events.labelled:
        if negatives_by not in ("popularity", "uniform") and not _is_categorical(features, negatives_by):
            raise DataError(
                f"negatives by {negatives_by!r}: expected popularity, uniform or a categorical feature of "
                f"items: {', '.join(n for n in features.items if _is_categorical(features, n))}"
            )
        draw = sampler(negatives_by, popularity, features.items.get(negatives_by))
    splits = _rows(events, features, counted, split, past, warmup, each, draw, seed, scratch)
    return Prepared(
        schema=features.schema,
        dropped=features.dropped,
        vocabularies=features.vocabularies,
        item_ids=events.item_ids,
        items=features.items,
        popularity=popularity,
        user_ids=events.user_ids,
        users=features.users,
        behaviours=behaviours,
        splits=splits,
        recipe=Recipe(
            name=name,
            seed=seed,
            **split.options(),
            warmup=warmup,
            negatives=each or None,
            max_train_rows=max_train_rows,
            history=history,
        ),
        split_rule=split.text(),
        negatives=Negatives(
            sampled=not events.labelled,
            per_positive=each or None,
            by=None if events.labelled else negatives_by,
            rule="shown and not clicked" if events.labelled else _RULES.get(negatives_by, negatives_by),
        ),
        excluded={**log.excluded, **{what: n for what, n in counted.excluded.items() if n}},
        sources=log.sources,
    )


_RULES = {
    "popularity": "by popularity in the training period, other than the impression's positives",
    "uniform": "uniform over the items clicked in training, other than the impression's positives",
}


@dataclass(frozen=True)
class _Counted:
    """What the first pass over the log finds.

    Attributes:
        occurrences: what vocabularies count.
        popularity: ``[items]`` training behaviours.
        train_rows: candidates in training.
        kept: which training impressions max_train_rows keeps ``[train]``; None for all.
        excluded: events in no split, by reason.
    """

    occurrences: Occurrences
    popularity: NDArray[np.int64]
    train_rows: int
    kept: NDArray[np.bool_] | None
    excluded: dict[str, int]


def _count(
    events: Events,
    split: SplitRule,
    past: NDArray[np.int64],
    warmup: int,
    rows_each: int,
    max_train_rows: int | None,
) -> _Counted:
    """Go through the log once to count what training holds."""
    items, users = len(events.item_ids), len(events.user_ids)
    item, popularity = np.zeros(items, np.int64), np.zeros(items, np.int64)
    user = np.zeros(users, np.int64)
    context, behaviour = np.zeros(len(events), np.int32), np.zeros(len(events), bool)
    excluded = {
        "events in a user's warm-up": 0,
        "events in no split": 0,
        "training rows over max_train_rows": 0,
    }
    kept = None
    for begin, part, shown in _slices(events, split, past):
        of_event = np.empty(len(part), np.int8)
        of_event[shown.candidate] = np.repeat(shown.part, shown.lengths)
        training = of_event == TRAIN
        item += np.bincount(part.item[training], minlength=items)
        popularity += np.bincount(part.item[training & part.behaviour], minlength=items)
        behaviour[begin : begin + len(part)] = training & part.behaviour
        warm = shown.past >= warmup
        excluded["events in a user's warm-up"] += int(shown.lengths[~warm].sum())
        excluded["events in no split"] += int(shown.lengths[warm & (shown.part == NONE)].sum())
        chosen = warm & (shown.part == TRAIN)
        context[begin + shown.event[chosen]] = shown.lengths[chosen] * rows_each
    if max_train_rows is not None:
        first = context.nonzero()[0]
        kept = _latest(events.time[first], context[first].astype(np.int64), max_train_rows)
        excluded["training rows over max_train_rows"] = int(context[first[~kept]].sum(dtype=np.int64))
        context[first[~kept]] = 0
    for begin, part in events.slices():
        user += np.bincount(part.user, context[begin : begin + len(part)], users).astype(np.int64)
    return _Counted(
        Occurrences(item, user, context, behaviour),
        popularity,
        int(context.sum(dtype=np.int64)),
        kept,
        excluded,
    )


def _rows(
    events: Events,
    features: Features,
    counted: _Counted,
    split: SplitRule,
    past: NDArray[np.int64],
    warmup: int,
    each: int,
    draw: Sampler | None,
    seed: int,
    scratch: Path | None,
) -> dict[SplitName, Split]:
    """Go through the log again and write the impressions of each split."""
    growing = {name: ColumnWriter(scratch and scratch / name) for name in SPLITS}
    # A stream for each split, so that max_train_rows leaves validation and test as they are.
    streams = {name: np.random.default_rng([seed, stream]) for stream, name in enumerate(SPLITS, 1)}
    rows = dict.fromkeys(SPLITS, 0)
    for into in growing.values():
        into.append("offsets", np.zeros(1, np.int64))
    behaviours, trained = 0, 0
    for _, part, shown in _slices(events, split, past):
        shown = replace(shown, end=shown.end + behaviours)
        behaviours += int(part.behaviour.sum())
        shown = shown.keep(shown.past >= warmup)
        for number, name in enumerate(SPLITS):
            chosen = shown.keep(shown.part == number)
            if name == "train" and counted.kept is not None:
                kept = counted.kept[trained : trained + len(chosen.event)]
                trained += len(chosen.event)
                chosen = chosen.keep(kept)
            context = features.encode(part.features_of(chosen.event), "context")
            item, label = part.item[chosen.candidate], part.clicked[chosen.candidate].astype(np.int8)
            lengths = chosen.lengths
            if draw is not None:
                item, label, lengths = _with_negatives(item, lengths, each, draw, streams[name])
            into = growing[name]
            into.append("user", part.user[chosen.event])
            into.append("end", chosen.end)
            into.append("time", part.time[chosen.event])
            into.append("offsets", rows[name] + np.cumsum(lengths))
            rows[name] += int(lengths.sum())
            into.append("item", item)
            into.append("label", label)
            for feature, column in context.items():
                for piece, values in pieces_of(column).items():
                    into.append(f"context/{feature}/{piece}", values)
    return {name: _finish(into, features) for name, into in growing.items()}


def _finish(growing: ColumnWriter, features: Features) -> Split:
    columns = growing.finish()
    pieces: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in columns.items():
        if name.startswith("context/"):
            _, feature, piece = name.split("/")
            pieces.setdefault(feature, {})[piece] = values
    context = {f.name: from_pieces(pieces[f.name]) for f in features.schema.of("context")}
    return Split(
        user=columns["user"],
        end=columns["end"],
        time=columns["time"],
        context=context,
        offsets=columns["offsets"],
        item=columns["item"],
        label=columns["label"],
    )


def _slices(events: Events, split: SplitRule, past: NDArray[np.int64]) -> Iterator[tuple[int, Events, Shown]]:
    """Cut the log into slices of users, with their impressions and the split of each."""
    for begin, part in events.slices():
        shown = _group(part)
        first = shown.event
        of_log = None if part.split is None else part.split[first]
        user, time = part.user[first], part.time[first]
        yield (
            begin,
            part,
            replace(
                shown,
                past=shown.past + past[user],
                part=split.assign(user, time, shown.lengths, of_log),
            ),
        )


def _group(events: Events) -> Shown:
    """Group events into impressions: one user, time and context, or what the log names alike."""
    E = len(events)
    first = first_of_moment(events)
    before: NDArray[np.int64] = np.cumsum(events.behaviour) - events.behaviour  # [E]
    start = np.maximum.accumulate(np.where(first, np.arange(E), 0))  # [E] first event of the moment
    group = np.cumsum(first) - 1  # [E]
    if events.impression is not None:
        group = _joint(events.user.astype(np.int64), events.impression)
    for name in events.context:
        group = _joint(group, events.features[name].rank("dense").fill_null(0).to_numpy())
    group, event = _by_first_event(group)
    user_start = np.maximum.accumulate(np.where(first_of_user(events), np.arange(E), 0))  # [E]
    before_user = before[user_start]  # [E]
    end = before[start[event]]
    return Shown(
        event=event,
        end=end,
        past=end - before_user[event],
        lengths=np.bincount(group, minlength=len(event)),
        candidate=np.argsort(group, kind="stable"),
        part=np.zeros(len(event), np.int8),
    )


def _joint(left: NDArray[np.int64], right: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give each distinct pair of two columns ``[E]`` a number."""
    values, codes = np.unique(right, return_inverse=True)
    return np.unique(left * len(values) + codes, return_inverse=True)[1]


def _by_first_event(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Renumber groups ``[E]`` by their first events, and give these ``[I]``."""
    _, event, group = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(event)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[group], event[order]


def _latest(time: NDArray[np.int64], rows: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Choose the latest impressions ``[I]`` that have at most so many rows together."""
    latest_first = np.argsort(time, kind="stable")[::-1]
    chosen = np.empty(len(time), bool)
    chosen[latest_first] = np.cumsum(rows[latest_first]) <= most
    return chosen


def _with_negatives(
    positives: NDArray[np.int32],
    lengths: NDArray[np.int64],
    each: int,
    draw: Sampler,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Add sampled negatives to impressions that have positives only; the positives stand first."""
    total = lengths * (1 + each)
    item = np.empty(total.sum(), np.int32)
    label = np.zeros(len(item), np.int8)
    label[ranges(to_offsets(total)[:-1], lengths)] = 1
    item[label == 1] = positives
    item[label == 0] = draw.draw_outside(
        rng, row_of(total - lengths), row_of(lengths), positives, np.repeat(positives, each)
    )
    return item, label, total


def _is_categorical(features: Features, name: str) -> bool:
    return any(f.name == name and f.stored.indexed and f.stored.one_value for f in features.schema.of("item"))
