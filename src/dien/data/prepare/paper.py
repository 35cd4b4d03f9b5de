"""The paper's recipe: each user's last behaviour is the target, a tenth of the users is the test set."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset_info import Negatives, Recipe
from dien.data.log import Log
from dien.data.negative_sampling import PopularitySampler
from dien.data.prepare.events import Events
from dien.data.prepare.features import Occurrences, fit_features
from dien.data.prepare.histories import behaviours_of
from dien.data.prepare.prepared import Prepared
from dien.data.ragged import ranges, to_offsets
from dien.data.tables import Behaviours, Split, SplitName
from dien.errors import DataError


def paper(log: Log, *, seed: int = 0, targets: Literal["last", "all"] = "last") -> Prepared:
    """Prepare a log as the authors' scripts do Amazon reviews.

    A user's behaviours stand in time order, ties in the order of the source. The last is the target, those
    before it the history; a user with a single behaviour has no row. Each target gets one negative, drawn
    uniformly over all behaviours (so by popularity), other than the target only. A user's two rows go to test
    with probability 1/10. Vocabularies count items, categories and users as they occur in the training
    rows, histories included.

    Unlike the authors, a tenth of the training users is kept for validation, and a user who is not in train
    is unknown instead of the most frequent user. Clicks of a log with labels are its behaviours; what was
    shown and not clicked is left out.

    Where times are days, a history may hold what happened on the day of its target.

    Args:
        log: clicks, with or without labels.
        seed: split and negatives follow from it alone.
        targets: ``last``, or ``all`` to make every behaviour after the first of a *training* user a target,
            with its own negative and the history before it. Validation and test are the same for both.

    Raises:
        DataError: the log cannot be used, or has too few users to train with.
    """
    if log.changes:
        raise DataError(
            f"feature {next(iter(log.changes))}: changes over time, which the recipe paper does not know; "
            "prepare a table (dien prepare table)"
        )
    events = Events.of(log)
    behaviours = behaviours_of(events, unclicked=False)
    counts = np.diff(behaviours.offsets)  # [U]
    popularity = np.bincount(behaviours.item, minlength=len(events.item_ids)).astype(np.int64)
    sampler = PopularitySampler(popularity)

    last = behaviours.offsets[1:][counts > 1] - 1  # [R] the targets, one a user
    negative = sampler.draw_other_than(np.random.default_rng([seed, 1]), behaviours.item[last])
    chance = np.random.default_rng([seed, 2]).random((2, len(last)))
    test = chance[0] < 0.1
    valid = ~test & (chance[1] < 0.1)
    train = ~test & ~valid

    if not train.any():
        raise DataError(
            f"no training row: {len(last)} of {log.users.height} users have two behaviours or more, and none "
            "of them is in train; use a larger log"
        )

    click, click_negative = last[train], negative[train]
    if targets == "all":
        users = (counts > 1).nonzero()[0][train]
        earlier = ranges(behaviours.offsets[users] + 1, counts[users] - 2)
        more = sampler.draw_other_than(np.random.default_rng([seed, 3]), behaviours.item[earlier])
        click = np.concatenate([click, earlier])
        click_negative = np.concatenate([click_negative, more])
        order = np.argsort(click)
        click, click_negative = click[order], click_negative[order]

    drawn: dict[SplitName, tuple[NDArray[np.int64], NDArray[np.int32]]] = {
        "train": (click, click_negative),
        "valid": (last[valid], negative[valid]),
        "test": (last[test], negative[test]),
    }
    event_of = events.clicked.nonzero()[0]  # [M]
    in_rows = _rows_that_hold(click, events.user[event_of[click]], behaviours)  # [M]
    of_train = np.bincount(event_of[click], minlength=len(events)) * 2  # [E]
    features = fit_features(
        log,
        events,
        Occurrences(
            item=np.bincount(behaviours.item, in_rows, len(events.item_ids)).astype(np.int64)
            + np.bincount(
                np.concatenate([behaviours.item[click], click_negative]), minlength=len(popularity)
            ),
            user=np.bincount(events.user, of_train, len(events.user_ids)).astype(np.int64),
            context=of_train,
            behaviour=_at(event_of, in_rows, len(events)),
        ),
    )

    def split(click: NDArray[np.int64], negative: NDArray[np.int32]) -> Split:
        event = event_of[click]
        return Split(
            user=events.user[event],
            end=click,
            time=events.time[event],
            context=features.encode(events.features_of(event), "context"),
            offsets=to_offsets(np.full(len(click), 2)),
            item=np.stack([behaviours.item[click], negative], axis=1).reshape(-1),
            label=np.tile(np.array([1, 0], np.int8), len(click)),
            weight=None if events.weight is None else np.repeat(events.weight[event], 2),
            conversion=None
            if events.conversion is None
            else np.stack([events.conversion[event], np.zeros(len(event), np.int8)], axis=1).reshape(-1),
        )

    return Prepared.of(
        log,
        events,
        features,
        popularity=popularity,
        behaviours=replace(
            behaviours, features=features.encode(events.features_of(events.clicked), "behaviour")
        ),
        splits={name: split(*clicks) for name, clicks in drawn.items()},
        recipe=Recipe(name="paper", seed=seed, targets=targets),
        split_rule="by user: test with probability 1/10, of the others validation with probability 1/10",
        negatives=Negatives(
            sampled=True,
            per_positive=1,
            by="popularity",
            rule="uniform over all behaviours, other than the positive",
        ),
        excluded={
            "events that are not clicks": int((~events.clicked).sum()),
            "users with a single behaviour": int((counts == 1).sum()),
        },
    )


def _rows_that_hold(
    click: NDArray[np.int64], user: NDArray[np.int32], behaviours: Behaviours
) -> NDArray[np.int64]:
    """Count for each behaviour ``[M]`` the rows whose history holds it; each target has two rows."""
    M = len(behaviours.item)
    begin = np.bincount(behaviours.offsets[user], minlength=M + 1)  # histories that begin at each behaviour
    end = np.bincount(click, minlength=M + 1)  # and that end before it
    return 2 * np.cumsum(begin - end)[:-1]


def _at(places: NDArray[np.int64], values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    spread = np.zeros(size, np.int64)
    spread[places] = values
    return spread
