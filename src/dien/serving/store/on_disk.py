"""A store on disk, in a folder of LMDB: one process or several of one machine use it at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from threading import Condition
from typing import Literal, TypeVar

import lmdb

from dien.errors import StoreError
from dien.files import make_folder, sync
from dien.serving.store import record
from dien.serving.store.behaviours import Appended, Behaviour, RawId
from dien.serving.store.checks import checked, expect_most, user_key
from dien.serving.store.group_commit import Change, Changed, Writer

T = TypeVar("T")
Durability = Literal["process", "machine"]
SIZE = 64 << 30
"""Bytes that a store may grow to unless told otherwise. They are addresses, not disk or memory."""
_LONGEST_KEY = 510  # of LMDB, less a byte that says what follows
_READERS = 1024  # threads of all processes that read at once


class DiskStore:
    """Behaviours in a folder; a :class:`~dien.serving.store.BehaviourStore`.

    Args:
        path: the folder; it is made where there is none.
        most: behaviours of a user that are kept, the newest.
        durability: what an append promises when it returns. ``machine``: the behaviours survive a power cut,
            as they were synced to the disk. ``process``: they survive the end of this process, however it
            ends; a power cut takes those of the last second or so, and can damage the folder.
        size: bytes that the folder may grow to; the same for every process that uses it.

    Raises:
        StoreError: the folder is none of a store, or damaged, or cannot be opened.
        ValueError: ``most`` is below 1.
    """

    def __init__(self, path: Path, most: int, durability: Durability = "machine", size: int = SIZE) -> None:
        self._path, self._most = path, expect_most(most, 1)
        _expect_of_a_store(path)
        synced = durability == "machine"
        try:
            make_folder(path)
            # Without metasync or sync LMDB leaves the order of what reaches the disk to the system.
            self._environment = lmdb.open(
                str(path),
                map_size=size,
                sync=synced,
                metasync=synced,
                readahead=False,
                mode=0o660,
                max_readers=_READERS,
                max_spare_txns=16,
            )
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"{path}: cannot be opened as a behaviour store: {error}") from error
        try:
            sync(path)  # else a power cut takes the file itself
            self._expect_whole()
            self._environment.reader_check()  # lets go of what processes held that were killed
        except BaseException:
            self._environment.close()
            raise
        self._process = os.getpid()
        self._free = Condition()
        self._users, self._closed = 0, False
        self._writer = Writer(self._environment, self._refusal, synced)

    def append(self, user: RawId, behaviours: Sequence[Behaviour]) -> Appended:
        """Add behaviours to those of a user; returns when they are as durable as the store says."""
        return self.append_many([(user, behaviours)])

    def append_many(self, of_users: Sequence[tuple[RawId, Sequence[Behaviour]]]) -> Appended:
        """Add the behaviours of many users: all of them, or none where this raises."""
        of_keys = [(user_key(user), checked(behaviours)) for user, behaviours in of_users]

        def change(found: Changed) -> Appended:
            total = Appended()
            for user, behaviours in of_keys:
                key = _key(user)
                made, done = record.append(found[key], behaviours, user, self._most)
                total += done
                if made is not None:
                    found[key] = made
            return total

        return self._do(change)

    def read(self, users: Sequence[RawId], most: int) -> list[list[Behaviour]]:
        """Read the newest behaviours of each user, the oldest of them first; all of one moment."""
        keys = [user_key(user) for user in users]
        expect_most(most, 0)
        with self._in_use():
            try:
                with self._environment.begin() as transaction:
                    found = [transaction.get(_key(key)) for key in keys]
            except lmdb.Error as error:
                raise self._refusal("read", error) from error
        return [record.decode(one, key, most) for one, key in zip(found, keys, strict=True)]

    def forget(self, user: RawId) -> bool:
        """Remove all that the store has of a user; returns when that is as durable as the store says."""
        key = _key(user_key(user))

        def change(found: Changed) -> bool:
            known = found[key] is not None
            if known:
                found[key] = None
            return known

        return self._do(change)

    def close(self) -> None:
        """Write what was begun and let go of the folder."""
        with self._free:
            if self._closed:
                return
            self._closed = True
            self._free.wait_for(lambda: not self._users)
        if os.getpid() == self._process:
            try:
                self._writer.close()
            finally:
                self._environment.close()

    def _do(self, change: Change[T]) -> T:
        done: Future[T] = Future()
        with self._in_use():
            self._writer.put(change, done)
            return done.result()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Have the folder stay open meanwhile."""
        if os.getpid() != self._process:
            raise StoreError(f"{self._path}: was opened before this process was forked; open it in here")
        with self._free:
            if self._closed:
                raise StoreError(f"{self._path}: the behaviour store is closed; open it again")
            self._users += 1
        try:
            yield
        finally:
            with self._free:
                self._users -= 1
                self._free.notify_all()

    def _refusal(self, what: str, error: lmdb.Error) -> StoreError:
        """Say what could not be done, and how to mend it."""
        mend = ""
        if isinstance(error, lmdb.MapFullError):
            size = self._environment.info()["map_size"]
            mend = f"; it is full at {size:,} bytes: open it with a larger size (lmdb:PATH?size=...)"
        elif isinstance(error, lmdb.MapResizedError):
            mend = "; another process opened it with a larger size: give every process the same"
        elif isinstance(error, lmdb.PanicError):
            mend = "; open it again"
        elif what == "written":
            mend = "; see whether the disk is full"
        wrote = "; nothing of this was written" if what == "written" else ""
        return StoreError(f"{self._path}: could not be {what}: {error}{wrote}{mend}")

    def _expect_whole(self) -> None:
        """Refuse a file that is shorter than it says: to read beyond its end would end the process."""
        page = self._environment.stat()["psize"]
        needed = (self._environment.info()["last_pgno"] + 1) * page
        length = (self._path / "data.mdb").stat().st_size
        if length < needed:
            raise StoreError(
                f"{self._path}: data.mdb is cut short: {length:,} bytes, expected {needed:,}; fill a new "
                "store (dien store load), or put back a copy"
            )


def _expect_of_a_store(path: Path) -> None:
    """Refuse a folder that holds other things.

    Raises:
        StoreError: it does.
    """
    try:
        others = sorted({entry.name for entry in path.iterdir()} - {"data.mdb", "lock.mdb"})
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened as a behaviour store: {error.strerror}") from error
    if others:
        raise StoreError(
            f"{path}: holds other things than a behaviour store, as {others[0]}; give another folder"
        )


def _key(user: str) -> bytes:
    """Give the key of a user: the id, or what it is hashed to where it is longer than LMDB takes."""
    key = user.encode()
    return b"=" + key if len(key) <= _LONGEST_KEY else b"#" + blake2b(key, digest_size=32).digest()
