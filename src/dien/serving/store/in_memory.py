"""A store in the memory of the process: for tests, examples, and services that fill it at their start."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from dien.errors import StoreError
from dien.serving.store import record
from dien.serving.store.behaviours import Appended, Behaviour, RawId
from dien.serving.store.checks import checked, expect_most, user_key


class MemoryStore:
    """Behaviours in memory, gone with the process; a :class:`~dien.serving.store.BehaviourStore`.

    Args:
        most: behaviours of a user that are kept, the newest.

    Raises:
        ValueError: ``most`` is below 1.
    """

    def __init__(self, most: int) -> None:
        self._most = expect_most(most, 1)
        self._lock = Lock()
        self._records: dict[str, bytes] | None = {}

    def append(self, user: RawId, behaviours: Sequence[Behaviour]) -> Appended:
        """Add behaviours to those of a user."""
        return self.append_many([(user, behaviours)])

    def append_many(self, of_users: Sequence[tuple[RawId, Sequence[Behaviour]]]) -> Appended:
        """Add the behaviours of many users: all of them, or none where this raises."""
        of_keys = [(user_key(user), checked(behaviours)) for user, behaviours in of_users]
        total, changed = Appended(), dict[str, bytes]()
        with self._lock:
            records = self._open()
            for key, behaviours in of_keys:
                found, done = record.append(changed.get(key, records.get(key)), behaviours, key, self._most)
                total += done
                if found is not None:
                    changed[key] = found
            records.update(changed)
        return total

    def read(self, users: Sequence[RawId], most: int) -> list[list[Behaviour]]:
        """Read the newest behaviours of each user, the oldest of them first."""
        keys = [user_key(user) for user in users]
        expect_most(most, 0)
        with self._lock:
            records = self._open()
            found = [records.get(key) for key in keys]
        return [record.decode(one, key, most) for one, key in zip(found, keys, strict=True)]

    def forget(self, user: RawId) -> bool:
        """Remove all that the store has of a user."""
        key = user_key(user)
        with self._lock:
            return self._open().pop(key, None) is not None

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._records = None

    def _open(self) -> dict[str, bytes]:
        if self._records is None:
            raise StoreError("the behaviour store is closed; open another")
        return self._records
