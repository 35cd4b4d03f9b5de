"""The recipe for any log, large ones too: its impressions, split by a rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset_info import Recipe
from dien.data.leakage import warn_of_leaking
from dien.data.log import Log
from dien.data.prepare.changes import Known, count_changing
from dien.data.prepare.events import Events, History
from dien.data.prepare.features import Features, fit_features
from dien.data.prepare.histories import behaviours_of
from dien.data.prepare.look import expect_joined, warn_of_differing
from dien.data.prepare.negatives import REAL, sampled, sampler_of
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.rows import make_splits
from dien.data.prepare.splits import SplitEvents, SplitRule
from dien.data.prepare.training_counts import count_training
from dien.errors import DataError


@dataclass(frozen=True)
class Earlier:
    """An earlier log that this one continues.

    Attributes:
        features: its features, to keep and to extend.
        behaviours: ``[users]`` how many each user had.
        popularity: ``[items]`` its training behaviours.
        changing: its values of changing features.
    """

    features: Features
    behaviours: NDArray[np.int64]
    popularity: NDArray[np.int64]
    changing: Known


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

    What a user was shown at one time, in one context, is one impression, such as a basket or a page. Where
    the log names impressions, events of the same name are one, at their first time. The candidates of an
    impression share a history, which ends before the first event of that time: no history holds anything
    that happened at or after its impression, not at the same second either.

    In a log without labels every behaviour after the user's warm-up is a positive and gets sampled negatives,
    other than the impression's positives. Nothing else is avoided: a negative may be in the user's history,
    or be clicked later. In a log with labels the candidates are what was shown, the behaviours what was
    clicked, and each behaviour gets the items that were shown and not clicked since the click before it. With
    ``history="all"`` all that was shown is a behaviour, and gets none. A log with behaviours of their own
    (``log.behaviours``) has ``history="behaviours"``: these alone make the histories, the others the
    impressions. Where each row carries its own (:data:`~dien.data.log.HISTORY`), it is ``"row"``: a history
    is that of its impression alone, and no event is a behaviour of a later one.

    Vocabularies and popularity count what the training impressions hold, those of the warm-up included; of
    users and contexts they count training rows. An item first seen later is unknown, and is never drawn as a
    negative.

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
        history: ``clicked``: what was clicked is a behaviour; ``all``: what was shown and not clicked, too;
            ``behaviours``: what the log has of behaviours alone; ``row``: likewise, each row its own history.
        scratch: folder for rows while they are made, so that memory does not grow with them; None keeps them
            in memory.
        earlier: a log that this one continues.

    Raises:
        DataError: the log or an option cannot be used, or no training row is left.
    """
    if history not in get_args(History):
        raise DataError(f"history is {history!r}, expected one of {', '.join(get_args(History))}")
    for option, value, least, most in (("warmup", warmup, 0, 2**31), ("negatives", negatives, 1, 10_000)):
        if not least <= value <= most:
            raise DataError(f"{option} is {value}, expected at least {least}, at most {most:,}")
    if earlier is None:  # else its items and users may have their rows already
        expect_joined(log.joins)
    events = Events.of(log, history)
    # A large log is let go where nobody else holds it.
    log = replace(log, events=log.events.clear(), behaviours=None)
    split = split.resolve(events)
    past = np.zeros(len(events.user_ids), np.int64) if earlier is None else earlier.behaviours
    split_events = SplitEvents(events, split, past)
    origin = REAL if events.labelled else sampled(negatives_by, negatives)
    per_positive = origin.per_positive or 0
    training = count_training(
        split_events, warmup=warmup, rows_each=1 + per_positive, max_train_rows=max_train_rows
    )
    if not training.rows:
        raise DataError(
            f"no training row: none of {len(events):,} events is in train ({split.text()}), after its user's "
            f"first {warmup} behaviours (warmup) and within max_train_rows ({max_train_rows}); change one of "
            "them"
        )
    changing, told = count_changing(
        log, events, training.held, training.occurrences.context, earlier.changing if earlier else {}
    )
    occurrences = replace(training.occurrences, changing=changing)
    features = fit_features(log, events, occurrences, earlier.features if earlier else None)
    popularity = training.popularity if earlier is None else training.popularity + earlier.popularity
    behaviours = behaviours_of(
        events,
        features.encode(events.features_of(events.behaviour), "behaviour"),
        unclicked=events.history is None,
    )
    splits = make_splits(
        split_events,
        features,
        warmup=warmup,
        kept=training.kept,
        sampler=sampler_of(negatives_by, features, popularity) if origin.sampled else None,
        per_positive=per_positive,
        seed=seed,
        scratch=scratch,
    )
    warn_of_leaking(features.schema, splits["train"])
    differing = warn_of_differing(training.differing, events)
    return Prepared.of(
        log,
        events,
        features,
        popularity=popularity,
        behaviours=behaviours,
        splits=splits,
        recipe=Recipe(
            name=name,
            seed=seed,
            **split.options(),
            warmup=warmup,
            negatives=origin.per_positive,
            max_train_rows=max_train_rows,
            history=history,
        ),
        split_rule=split.text(),
        negatives=origin,
        excluded=training.excluded | told | differing,
    )
