"""What the server knows of users: it reads the history of a request from the store, and adds to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dien.errors import StoreError
from dien.serving.http.messages import ObserveRequest, ScoreRequest
from dien.serving.http.queue import late
from dien.serving.http.refusals import RefusedError, of_scorer
from dien.serving.http.served import Served
from dien.serving.request import RawId, Request
from dien.serving.store import Appended, Behaviour, BehaviourStore

Found = TypeVar("Found")
READERS, WRITERS = 4, 16
"""Threads that wait for the store: writers for a disk, which takes milliseconds, and many at once."""
MOST_WAITING = 1000
"""Calls that may wait for the store; for one that hangs, more would wait without end."""


class Users:
    """The behaviours of users, in a store.

    Args:
        store: that has them; it is closed with this.
    """

    def __init__(self, store: BehaviourStore) -> None:
        self._store = store
        self._readers, self._writers = ThreadPoolExecutor(READERS, "reading"), ThreadPoolExecutor(WRITERS)
        self._waiting = 0

    async def histories(
        self, users: Sequence[RawId], model: Served, deadline: float
    ) -> list[list[Behaviour]]:
        """Read the newest behaviours of users, as many as a model reads.

        Raises:
            RefusedError: 429, 503 where the store cannot be used, or 504.
        """
        most = model.scorer.run.config.model.longest_history
        reading = self._in(self._readers, lambda: self._store.read(users, most))
        try:
            return await asyncio.wait_for(reading, deadline - time.monotonic())
        except asyncio.TimeoutError:
            raise late() from None

    async def observe(self, observed: Sequence[tuple[RawId, Sequence[Behaviour]]]) -> Appended:
        """Add behaviours of users, which are checked.

        Raises:
            RefusedError: 422, 429, or 503 where the store cannot be used.
        """
        if len(observed) == 1:
            user, behaviours = observed[0]
            return await self._in(self._writers, lambda: self._store.append(user, behaviours))
        return await self._in(self._writers, lambda: self._store.append_many(observed))

    def close(self) -> None:
        """End what was begun, and close the store."""
        self._readers.shutdown()
        self._writers.shutdown()
        self._store.close()

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[[], Found]) -> Found:
        if self._waiting >= MOST_WAITING:
            raise RefusedError(429, "too many calls wait for the store; ask again later", retry=True)
        self._waiting += 1
        future = threads.submit(call)
        loop = asyncio.get_running_loop()
        # Counted until the call ends, not until nobody waits for it: it has its thread until then.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended))
        try:
            return await asyncio.wrap_future(future)
        except StoreError as error:
            raise RefusedError(503, f"the store of behaviours: {error}", retry=True) from error
        except ValueError as error:
            raise of_scorer(error) from None

    def _ended(self) -> None:
        self._waiting -= 1


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
