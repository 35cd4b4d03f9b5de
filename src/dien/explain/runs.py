"""Runs of behaviours that are left out at once: the last day, the last week, a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SPANS = {"last hour": 3600, "last day": 86_400, "last week": 7 * 86_400, "last month": 30 * 86_400}
"""Seconds before the request."""
COUNTS = 1, 5, 10
"""Newest behaviours, where times are not known."""
PAUSE = 1800
"""Seconds without a behaviour, after which a new session begins."""
SESSIONS = 10
"""So many sessions are shown at most, the newest ones."""


class Run(NamedTuple):
    """Behaviours that follow each other.

    Attributes:
        name: what they are.
        first: place of the first in the history.
        last: place of the last.
    """

    name: str
    first: int
    last: int


def runs_of(times: Sequence[int | None] | None, now: int | None, length: int) -> list[Run]:
    """List the runs of a history.

    Where every time is known: what was done in the last hour, day, week and month (30 days) before the
    request, and the newest sessions of several behaviours, which a pause of half an hour ends: "last session"
    if it is the newest, else by its places from the end. Else the last behaviour, the last 5 and the last 10.
    Runs that are the same behaviours as one before, and those that hold none, are left out.

    Args:
        times: ``T`` seconds since 1970, oldest first.
        now: of the request; None for the time of the newest behaviour.
        length: ``T``.
    """
    known = [] if times is None else [time for time in times if time is not None]
    if not length:
        return []
    if len(known) < length:
        found = [Run(f"last {n}", length - n, length - 1) for n in COUNTS if n <= length]
    else:
        end = known[-1] if now is None else now
        firsts = {name: _first_since(known, end - span) for name, span in SPANS.items()}
        found = [Run(name, first, length - 1) for name, first in firsts.items()]
        found += _sessions(known)
    seen: set[tuple[int, int]] = set()
    kept: list[Run] = []
    for run in found:
        if run.first <= run.last and (run.first, run.last) not in seen:
            seen.add((run.first, run.last))
            kept.append(run)
    return kept


def _first_since(times: list[int], since: int) -> int:
    """Find the first place from which on no time is before ``since``."""
    first = len(times)
    while first and times[first - 1] >= since:
        first -= 1
    return first


def _sessions(times: list[int]) -> list[Run]:
    """List the newest sessions of several behaviours, the newest first.

    One is named by its places from the end, of which the newest behaviour is 1, as wherever people count.
    """
    starts = [0, *(k for k in range(1, len(times)) if times[k] - times[k - 1] > PAUSE)]
    ends = [*(start - 1 for start in starts[1:]), len(times) - 1]
    T, found = len(times), []
    for first, last in zip(starts[::-1], ends[::-1], strict=True):
        places = f"session of {T - last} to {T - first} from the end"
        found.append(Run("last session" if last == T - 1 else places, first, last))
    return [run for run in found if run.first < run.last][:SESSIONS]
