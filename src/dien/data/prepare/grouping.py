"""From events to impressions: what a user was shown at one time, in one context, or as the log says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Differing:
    """Impressions whose candidates differ in a feature of the context, which they should share.

    Attributes:
        impressions: how many there are, before the context tells some apart.
        by: of how many each feature differs, those with several values among them: of these the first
            candidate's counts.
    """

    impressions: int = 0
    by: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Differing) -> Differing:
        by = {name: self.by.get(name, 0) + other.by.get(name, 0) for name in {**self.by, **other.by}}
        return Differing(self.impressions + other.impressions, by)

    @classmethod
    def of(cls, events: Events) -> Differing:
        """Count them in events of whole users."""
        if not (events.context or events.lists):
            return cls()
        candidate = _candidates(events)
        head = _heads(events, _starts(events))[candidate]  # [C]
        first = np.empty(len(events), np.int64)  # [E] of a head: the first candidate
        first[head[::-1]] = candidate[::-1]  # of several the one that is written last
        by = {}
        for name in (*events.context, *events.lists):
            column = events.features[name]
            differs = column.gather(candidate).ne_missing(column.gather(first[head])).to_numpy()
            marked = np.zeros(len(events), bool)
            marked[head[differs]] = True
            by[name] = int(marked.sum())
        return cls(int((first[head] == candidate).sum()), by)


def group(events: Events) -> Impressions:
    """Group events into impressions: those of one user, time and context, or of one name in the log."""
    candidate, start = _candidates(events), _starts(events)
    head = _by_context(events, _heads(events, start))  # [E]
    if events.shown is not None:
        first = np.empty(len(events), np.int64)  # [E] of a head: the first candidate of its impression
        first[head[candidate][::-1]] = np.arange(len(candidate))[::-1]  # of several the one written last
        head = first[head[candidate]]  # [C] of each candidate, among them
    begins = head == np.arange(len(candidate))
    event = candidate[begins]  # [I]
    number = (np.cumsum(begins) - 1)[head]  # [C] impression of each candidate
    lengths = np.bincount(number, minlength=len(event))
    if (number[1:] < number[:-1]).any():
        candidate = candidate[np.argsort(number, kind="stable")]
    del head, begins, number  # as long as the events: there is room for what follows
    before: NDArray[np.int64] = np.cumsum(events.behaviour) - events.behaviour  # [E] behaviours before each
    end, begin = before[start[event]], before[_latest(first_of_user(events))[event]]
    if events.history is not None:
        end, begin = before[event], end
    return Impressions(
        event=event,
        user=events.user[event],
        time=events.time[event],
        end=end,
        past=end - begin,
        lengths=lengths,
        candidate=candidate,
        column=None if events.split is None else events.split[event],
    )


def _candidates(events: Events) -> NDArray[np.int64]:
    """List the candidates ``[C]`` in the order of the events."""
    return np.arange(len(events)) if events.shown is None else events.shown.nonzero()[0]


def _starts(events: Events) -> NDArray[np.int64]:
    """Find the first event of the moment of each ``[E]`` or, where rows carry their own, of its history."""
    return _latest(first_of_moment(events) if events.history is None else first_of_history(events))


def _heads(events: Events, start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the first event that was shown with each ``[E]``, candidate or not, whatever its context.

    Args:
        events: of whole users.
        start: ``[E]`` the first event of the moment, or of the history.
    """
    head: NDArray[np.int64] = start
    if events.impression is not None:
        keys: list[NDArray[Any]] = [events.user, events.impression]
        if events.history is not None:
            keys.append(start)
        begins = np.ones(len(events), bool)  # what was shown together mostly stands together
        begins[1:] = np.any([np.diff(key) != 0 for key in keys], axis=0)
        runs = begins.nonzero()[0]
        head = runs[_first_with([key[runs] for key in keys])][np.cumsum(begins) - 1]
    return head


def _by_context(events: Events, head: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the first event with the same context among those that were shown together ``[E]``.

    Args:
        events: of whole users.
        head: ``[E]`` the first event of those.
    """
    differs = np.zeros(len(events), bool)
    for name in events.context:
        column = events.features[name]
        differs |= column.ne_missing(column.gather(head)).to_numpy()
    if not differs.any():
        return head
    mixed = np.zeros(len(events), bool)  # [E] of a head: whether its events are of several contexts
    mixed[head[differs]] = True
    rows = mixed[head].nonzero()[0]
    ranks = [events.features[name].gather(rows).rank("dense").fill_null(0) for name in events.context]
    head = head.copy()
    head[rows] = rows[_first_with([head[rows], *(rank.to_numpy() for rank in ranks)])]
    return head


def _latest(first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give each event ``[E]`` the latest one, up to itself, that is marked."""
    latest: NDArray[np.int64] = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    return latest


def _first_with(keys: list[NDArray[Any]]) -> NDArray[np.int64]:
    """Find the first row ``[n]`` that has the same keys, columns ``[n]``, as each one."""
    order = np.lexsort(keys)  # stable: of rows with the same keys the first one stands first
    begins = np.ones(len(order), bool)
    begins[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    first = np.empty(len(order), np.int64)
    first[order] = order[_latest(begins)]
    return first
