"""The paper's preparation: each user's last behaviour is the target, a tenth of the users is the test set."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dien.data.log import DataError, Log
from dien.data.negatives import PopularitySampler
from dien.data.prepared import Behaviours, Prepared, SplitName
from dien.data.ragged import ranges
from dien.data.recipes.assembly import Draft, assemble
from dien.data.recipes.events import Events


def paper(log: Log, *, seed: int = 0, targets: Literal["last", "all"] = "last") -> Prepared:
    """Prepare a log as the authors' scripts do Amazon reviews.

    A user's behaviours stand in time order, ties in the order of the source. The last is the target, those
    before it the history; a user with a single behaviour has no row. Each target gets one negative, drawn
    uniformly over all behaviours (so by popularity), other than the target only. A user's pair goes to test
    with probability 1/10. Vocabularies count items, categories and users as they occur in the training
    rows, histories included.

    Unlike the authors, a tenth of the training users is kept for validation, and a user who is not in train
    is unknown instead of the most frequent user. Clicks of a log with labels are its behaviours; what was
    shown and not clicked is left out.

    Ties are the recipe's own: at day resolution a history may hold what happened on the target's day.

    Args:
        log: clicks, with or without labels.
        seed: split and negatives follow from it alone.
        targets: ``last``, or ``all`` to make every behaviour after the first of a *training* user a target,
            with its own negative and the history before it. Validation and test are the same for both.

    Raises:
        DataError: the log cannot be used, or has too few users to train with.
    """
    events = Events.of(log)
    behaviours = events.behaviours()
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
            "of them fell to train; use a larger log"
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

    event_of = events.clicked.nonzero()[0]  # [M]

    def pairs(click: NDArray[np.int64], negative: NDArray[np.int32]) -> Draft:
        return Draft(
            event=event_of[click],
            end=click,
            lengths=np.full(len(click), 2),
            item=np.stack([behaviours.item[click], negative], axis=1).reshape(-1),
            label=np.tile(np.array([1, 0], np.int8), len(click)),
        )

    drafts: dict[SplitName, Draft] = {
        "train": pairs(click, click_negative),
        "valid": pairs(last[valid], negative[valid]),
        "test": pairs(last[test], negative[test]),
    }
    return assemble(
        log,
        events,
        behaviours,
        drafts,
        item_occurrences=_occurrences(drafts["train"], events, behaviours),
        popularity=popularity,
        recipe={"name": "paper", "seed": seed, "targets": targets},
        split_rule="by user: test with probability 1/10, of the others validation with probability 1/10",
        negatives={
            "sampled": True,
            "per_positive": 1,
            "rule": "uniform over all behaviours, other than the positive",
        },
        excluded={
            "events that are not clicks": int((~events.clicked).sum()),
            "users with a single behaviour": int((counts == 1).sum()),
        },
    )


def _occurrences(train: Draft, events: Events, behaviours: Behaviours) -> NDArray[np.int64]:
    """Count the items of training rows: each row has its candidate and the whole history before it."""
    M = len(behaviours.item)
    start = behaviours.offsets[events.user[train.event]]
    opened = np.bincount(start, train.lengths, M + 1) - np.bincount(train.end, train.lengths, M + 1)
    in_histories = np.cumsum(opened)[:-1]  # [M] rows whose history holds the behaviour
    items = len(events.item_ids)
    return np.bincount(behaviours.item, in_histories, items).astype(np.int64) + np.bincount(
        train.item, minlength=items
    )
