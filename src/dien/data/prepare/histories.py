"""Histories: the behaviours of each user, and what was shown and not clicked up to each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dien.data.prepare.events import Events, first_of_moment, first_of_user
from dien.data.ragged import to_offsets
from dien.data.tables import Behaviours, FeatureTable, Unclicked


def behaviours_of(
    events: Events, features: FeatureTable | None = None, *, unclicked: bool = True
) -> Behaviours:
    """Keep the behaviours: the ``k``-th event that is one is behaviour ``k``.

    Args:
        events: of all users.
        features: behaviour features ``[M]``.
        unclicked: whether each behaviour gets the items that were shown and not clicked up to it; the log
            must name them, and they must not be behaviours themselves.
    """
    beside = unclicked and not events.behaviour.all() and not events.clicked.all()
    counts = np.bincount(events.user[events.behaviour], minlength=len(events.user_ids))
    return Behaviours(
        item=events.item[events.behaviour],
        time=events.time[events.behaviour],
        offsets=to_offsets(counts),
        features=features or {},
        unclicked=_unclicked(events, counts) if beside else None,
    )


def _unclicked(events: Events, behaviours: NDArray[np.int64]) -> Unclicked:
    """Give each behaviour the items its user was shown and did not click since the behaviour before.

    Those of the behaviour's own moment count. Events are in time order, so that they are one range of all
    events without a click.
    """
    start, end = np.empty(behaviours.sum(), np.int64), np.empty(behaviours.sum(), np.int64)  # [M]
    done = before = 0
    for _, part in events.slices():
        begins, ends = _ranges(part)
        here = slice(done, done + len(begins))
        start[here], end[here] = before + begins, before + ends
        done += len(begins)
        before += int((~part.clicked).sum())
    return Unclicked(start=start, end=end, item=events.item[~events.clicked])


def _ranges(events: Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the range of each behaviour ``[M]`` among the unclicked events of whole users."""
    first = first_of_moment(events)
    unclicked = ~events.clicked
    seen = np.cumsum(unclicked)  # [E] not clicked up to and with each event
    moment = np.cumsum(first) - 1  # [E]
    last_of_moment = np.append(first[1:], True).nonzero()[0]
    end = seen[last_of_moment][moment[events.behaviour]]  # [M]

    user_starts = first_of_user(events)
    # [users with events] not clicked by the users before
    before_user: NDArray[np.int64] = (seen - unclicked)[user_starts]
    start: NDArray[np.int64] = before_user[np.cumsum(user_starts)[events.behaviour] - 1]  # [M]
    of_moment, user = moment[events.behaviour], events.user[events.behaviour]
    place = np.arange(len(end))
    # the first behaviour of each moment; its range starts where that of the behaviour before it ends
    head = np.ones(len(end), bool)
    head[1:] = np.diff(of_moment) != 0
    head_of = np.maximum.accumulate(np.where(head, place, 0))
    before = head_of - 1
    same_user = (before >= 0) & (user[before] == user)
    return np.where(same_user, end[before], start), end
