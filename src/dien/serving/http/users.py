"""What the server knows of users: it reads the history of a request from the store, and adds to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from dien.errors import StoreError
from dien.serving.http.bounded import BoundedThreads, LateError
from dien.serving.http.messages import ObserveRequest, ScoreRequest
from dien.serving.http.queue import late
from dien.serving.http.refusals import RefusedError, of_scorer
from dien.serving.http.served import Served
from dien.serving.request import RawId, Request
from dien.serving.store import Appended, Behaviour, BehaviourStore

logger = logging.getLogger(__name__)
Found = TypeVar("Found")
READERS, WRITERS = 4, 16
"""Threads that wait for the store: writers for a disk, which takes milliseconds, and many at once."""
MOST_WAITING = 1000
"""Reads that may wait for the store, and writes; for one that hangs, more would wait without end."""
UNKNOWN = "whether this was written is not known: send it again, by ids of events"
"""What a client is told of a write that may have been made."""


class Users:
    """The behaviours of users, in a store.

    Args:
        store: that has them; it is closed with this.

    Attributes:
        reads: threads that read; those that write are others, so that neither keeps the other waiting.
        writes: threads that write.
    """

    def __init__(self, store: BehaviourStore) -> None:
        self._store = store
        full = "too many calls wait for the store; ask again later"
        self.reads = BoundedThreads(READERS, "reading", MOST_WAITING, full)
        self.writes = BoundedThreads(WRITERS, "writing", MOST_WAITING, full)

    async def histories(
        self, users: Sequence[RawId], model: Served, deadline: float
    ) -> list[list[Behaviour]]:
        """Read the newest behaviours of users, as many as a model reads.

        Raises:
            RefusedError: 429, 503 where the store cannot be used, or 504.
        """
        most = model.scorer.run.config.model.longest_history
        try:
            return await _in(self.reads, lambda: self._store.read(users, most), deadline)
        except LateError:
            raise late() from None

    async def observe(
        self, observed: Sequence[tuple[RawId, Sequence[Behaviour]]], deadline: float
    ) -> Appended:
        """Add behaviours of users, which are checked.

        Raises:
            RefusedError: 422, 429, 504 where nothing was written before the deadline, or 503 where the store
                cannot be used, or does not say in time that it has them.
        """

        def append() -> Appended:
            if len(observed) == 1:
                return self._store.append(*observed[0])
            return self._store.append_many(observed)

        try:
            return await _in(self.writes, append, deadline, UNKNOWN)
        except LateError as error:
            if not error.begun:
                raise late() from None
            text = f"the store of behaviours did not answer before the deadline; {UNKNOWN}"
            raise RefusedError(503, text, retry=True) from None

    def close(self) -> None:
        """End what was begun, and close the store."""
        self.reads.close()
        self.writes.close()
        self._store.close()


async def _in(
    threads: BoundedThreads, call: Callable[[], Found], deadline: float, besides: str = ""
) -> Found:
    """Ask the store in a thread.

    Args:
        threads: one of them does it.
        call: asks the store.
        deadline: when nobody waits any longer, by ``time.monotonic``.
        besides: what a client is told besides where the store cannot be used.

    Raises:
        RefusedError: 422, 429, or 503.
        LateError: it is past its deadline.
    """
    try:
        return await threads.run(call, deadline)
    except StoreError as error:
        # The error names hosts and folders, which are for the log and not for clients.
        logger.error("the store of behaviours: %s", error)
        text = "the store of behaviours cannot be used; the server's log says why"
        raise RefusedError(503, f"{text}; {besides}" if besides else text, retry=True) from error
    except ValueError as error:
        raise of_scorer(error) from None


def from_store(asked: ScoreRequest, behaviours: Sequence[Behaviour], model: Served) -> Request:
    """Make a request of what was asked and the behaviours of its user.

    Args:
        asked: a request without a history.
        behaviours: of the user, oldest first.
        model: whose behaviour features are taken; what the store has of other runs' is left.
    """
    names = [field.name for field in model.scorer.fields.behaviours]
    timed = any(behaviour.time is not None for behaviour in behaviours)
    return Request(
        user=asked.user,
        history=[behaviour.item for behaviour in behaviours],
        candidates=asked.candidates,
        context=asked.context,
        behaviours={name: [behaviour.features.get(name) for behaviour in behaviours] for name in names},
        times=[behaviour.time for behaviour in behaviours] if timed else None,
        time=int(time.time()) if timed and asked.time is None else asked.time,
        candidate_features=asked.candidate_features,
        user_features=asked.user_features,
    )


def observed(given: ObserveRequest, model: Served, place: str = "") -> tuple[RawId, list[Behaviour]]:
    """Check behaviours as those of a request are, so that a history from the store is never refused.

    Args:
        given: behaviours of a user; one without a time is of this second.
        model: that answers now.
        place: of these in a list, as ``[3]``.

    Raises:
        RefusedError: 422, naming the field.
    """
    now = int(time.time())
    found = [
        Behaviour(one.item, now if one.time is None else one.time, one.features, one.event)
        for one in given.behaviours
    ]
    names = sorted({name for one in found for name in one.features})
    try:
        model.scorer.check(
            Request(
                user=given.user,
                history=[one.item for one in found],
                candidates=[],
                behaviours={name: [one.features.get(name) for one in found] for name in names},
            )
        )
    except ValueError as error:
        raise of_scorer(error, place) from None
    return given.user, found
