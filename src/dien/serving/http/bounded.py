"""Threads that work for the event loop: so many calls may wait, and each until its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from dien.serving.http.refusals import RefusedError

Found = TypeVar("Found")


class LateError(Exception):
    """A call was not done before its deadline.

    Attributes:
        begun: whether it was begun, so that it may yet be done. Else it never is.
    """

    def __init__(self, begun: bool) -> None:
        super().__init__("not done before its deadline")
        self.begun = begun


class BoundedThreads:
    """Threads for calls that would keep the event loop waiting.

    Args:
        threads: how many.
        name: of them.
        most: calls that may be in hand, those that wait and those that are being done.
        full: says that there are so many, to a client.
    """

    def __init__(self, threads: int, name: str, most: int, full: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._most, self._full = most, full
        self._in_hand = 0

    @property
    def in_hand(self) -> int:
        """Calls that wait or are being done, those among them that nobody waits for."""
        return self._in_hand

    async def run(self, call: Callable[[], Found], deadline: float) -> Found:
        """Have a call done; one whose turn comes too late is left out.

        Args:
            call: what to do.
            deadline: by ``time.monotonic``.

        Returns:
            What the call returns.

        Raises:
            RefusedError: 429.
            LateError: it is past its deadline.
            Exception: as the call.
        """
        if self._in_hand >= self._most:
            raise RefusedError(429, self._full, retry=True)
        loop = asyncio.get_running_loop()
        done: Future[Found] = Future()

        def turn() -> None:
            if time.monotonic() >= deadline:
                done.cancel()
            if not done.set_running_or_notify_cancel():
                return
            try:
                found = call()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(found)

        self._in_hand += 1
        # Counted until its turn is over, not until nobody waits for it: until then it takes its place.
        self._threads.submit(turn).add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended))
        waited = asyncio.wrap_future(done)
        waited.add_done_callback(lambda one: one.cancelled() or one.exception())  # asyncio warns otherwise
        try:
            await asyncio.wait({waited}, timeout=max(0.0, deadline - time.monotonic()))
        finally:
            begun = not done.cancel()
        if not waited.done() or waited.cancelled():
            raise LateError(begun)
        return waited.result()

    def close(self) -> None:
        """Do what waits, and end the threads."""
        self._threads.shutdown()

    def _ended(self) -> None:
        self._in_hand -= 1
