"""One thread that writes to a folder of LMDB: what waits is written together, and synced once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import lmdb

from dien.errors import StoreError

T = TypeVar("T")
_AT_ONCE = 256
"""Changes that are written together at most."""
_SECONDS = 1.0
"""How long what is not synced at each commit stays so."""


class Changed(dict[bytes, "bytes | None"]):
    """Records as they are after some changes: None is none, and what is not changed is looked up.

    Args:
        before: looks a record up.
    """

    def __init__(self, before: Callable[[bytes], bytes | None]) -> None:
        super().__init__()
        self._before = before

    def __missing__(self, key: bytes) -> bytes | None:
        return self._before(key)


Change = Callable[[Changed], T]
"""Sets records, and returns what whoever asked for it is told."""


class Writer:
    """Makes changes, one after the other.

    Args:
        environment: the folder.
        refusal: makes the error of what could not be done.
        synced: whether a commit syncs by itself. Else the disk is synced once a second.
    """

    def __init__(
        self,
        environment: lmdb.Environment,
        refusal: Callable[[str, lmdb.Error], StoreError],
        synced: bool,
    ) -> None:
        self._environment, self._refusal, self._synced = environment, refusal, synced
        self._waiting: SimpleQueue[tuple[Change[Any], Future[Any]] | None] = SimpleQueue()
        self._unsynced_since: float | None = None
        self._lost: StoreError | None = None
        self._thread = Thread(target=self._run, name="dien-store-writer", daemon=True)
        self._thread.start()

    def put(self, change: Change[T], done: Future[T]) -> None:
        """Have a change made.

        Args:
            change: it.
            done: gets what it returns when it is as durable as was said, or why it was not made.
        """
        self._waiting.put((change, done))

    def close(self) -> None:
        """Make the changes that wait, and sync.

        Raises:
            StoreError: the disk could not be synced.
        """
        self._waiting.put(None)
        self._thread.join()
        if self._lost is not None:
            raise self._lost

    def _run(self) -> None:
        ended = False
        while not ended:
            jobs = []
            try:
                job = self._waiting.get(timeout=self._patience())
                while job is not None:
                    jobs.append(job)
                    if len(jobs) == _AT_ONCE:
                        break
                    job = self._waiting.get_nowait()
                ended = job is None
            except Empty:
                pass
            if jobs:
                self._write(jobs)
            self._sync(now=ended)

    def _write(self, jobs: list[tuple[Change[Any], Future[Any]]]) -> None:
        if self._lost is not None:
            for _, done in jobs:
                done.set_exception(self._lost)
            return
        told: list[tuple[Future[Any], Any]] = []
        refused: list[tuple[Future[Any], StoreError]] = []
        try:
            with self._environment.begin(write=True) as transaction:
                changed = Changed(transaction.get)
                for change, done in jobs:
                    own = Changed(changed.__getitem__)
                    try:
                        told.append((done, change(own)))
                    except StoreError as damaged:  # a record is: the changes of others are made
                        refused.append((done, damaged))
                    else:
                        changed.update(own)
                for key, made in changed.items():
                    if made is None:
                        transaction.delete(key)
                    else:
                        transaction.put(key, made)
        except BaseException as failure:
            if len(jobs) > 1:  # one of them may be too large, and the others not
                for job in jobs:
                    self._write([job])
            else:
                said = self._refusal("written", failure) if isinstance(failure, lmdb.Error) else failure
                jobs[0][1].set_exception(said)
            return
        if not self._synced and self._unsynced_since is None:
            self._unsynced_since = time.monotonic()
        for done, result in told:
            done.set_result(result)
        for done, why in refused:
            done.set_exception(why)

    def _patience(self) -> float | None:
        """Say how long to wait for the next change: until it is time to sync."""
        if self._unsynced_since is None:
            return None
        return max(0.0, self._unsynced_since + _SECONDS - time.monotonic())

    def _sync(self, now: bool) -> None:
        if self._unsynced_since is not None and (now or not self._patience()):
            self._unsynced_since = None
            try:
                self._environment.sync(True)
            except lmdb.Error as error:  # what was said before this may be gone: say no more
                self._lost = self._refusal("synced", error)
