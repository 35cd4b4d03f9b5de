"""From events to impressions: what a user was shown at one time, in one context, or as the log says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dien.data.prepare.events import Events, first_of_history, first_of_moment, first_of_user


@dataclass(frozen=True)
class Impressions:
    """Impressions of whole users, in order of user, time and first event.

    Attributes:
        event: ``[I]`` the first event of each: its user, time and context are the impression's.
        user: ``[I]`` int32 user rows.
        time: ``[I]`` seconds since 1970.
        end: ``[I]`` behaviours of all users before it: the end of its history among them.
        past: ``[I]`` behaviours in its history: of its own user before it, or of its row.
        lengths: ``[I]`` number of events.
        candidate: ``[C]`` the events, impression after impression.
        column: ``[I]`` the split that the log names; None where it names none.
    """

    event: NDArray[np.int64]
    user: NDArray[np.int32]
    time: NDArray[np.int64]
    end: NDArray[np.int64]
    past: NDArray[np.int64]
    lengths: NDArray[np.int64]
    candidate: NDArray[np.int64]
    column: NDArray[np.int8] | None

    def __len__(self) -> int:
        return len(self.event)

    def keep(self, chosen: NDArray[np.bool_]) -> Impressions:
        """Keep the chosen impressions ``[I]``."""
        return Impressions(
            event=self.event[chosen],
            user=self.user[chosen],
            time=self.time[chosen],
            end=self.end[chosen],
            past=self.past[chosen],
            lengths=self.lengths[chosen],
            candidate=self.candidate[np.repeat(chosen, self.lengths)],
            column=None if self.column is None else self.column[chosen],
        )


def group(events: Events) -> Impressions:
    """Group events into impressions: those of one user, time and context, or of one name in the log."""
    E = len(events)
    first = first_of_moment(events) if events.history is None else first_of_history(events)
    before: NDArray[np.int64] = np.cumsum(events.behaviour) - events.behaviour  # [E] behaviours before each
    start = np.maximum.accumulate(
        np.where(first, np.arange(E), 0)
    )  # [E] first event of the moment, or history
    number = np.cumsum(first) - 1  # [E] impression of each event
    if events.impression is not None:
        named = _joint(events.user.astype(np.int64), events.impression)
        number = named if events.history is None else _joint(named, number)
    for name in events.context:
        number = _joint(number, events.features[name].rank("dense").fill_null(0).to_numpy())
    candidate = np.arange(E) if events.shown is None else events.shown.nonzero()[0]  # [C] in event order
    number, event = _by_first_event(number[candidate])
    event = candidate[event]
    user_start = np.maximum.accumulate(np.where(first_of_user(events), np.arange(E), 0))  # [E]
    end, begin = before[start[event]], before[user_start[event]]
    if events.history is not None:
        end, begin = before[event], end
    return Impressions(
        event=event,
        user=events.user[event],
        time=events.time[event],
        end=end,
        past=end - begin,
        lengths=np.bincount(number, minlength=len(event)),
        candidate=candidate[np.argsort(number, kind="stable")],
        column=None if events.split is None else events.split[event],
    )


def _joint(left: NDArray[np.int64], right: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give each distinct combination of two columns ``[E]`` a number."""
    values, codes = np.unique(right, return_inverse=True)
    return np.unique(left * len(values) + codes, return_inverse=True)[1]


def _by_first_event(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Renumber impressions ``[E]`` by their first events, and give these ``[I]``."""
    _, event, number = np.unique(number, return_index=True, return_inverse=True)
    order = np.argsort(event)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[number], event[order]
