"""A store on a server of Valkey or Redis: several machines use it at once."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import valkey
from valkey.exceptions import ConnectionError as LostError
from valkey.exceptions import TimeoutError as LateError
from valkey.exceptions import ValkeyError

from dien.errors import ConfigError, StoreError
from dien.serving.store import record
from dien.serving.store.behaviours import Appended, Behaviour, RawId
from dien.serving.store.checks import checked, expect_most, user_key
from dien.serving.store.urls import without_password

_PREFIX = b"dien:behaviours:"
_SECONDS = 5.0
"""To connect, and for each answer, unless the URL says otherwise."""
_AT_ONCE = 256
"""Users whose records are read and written with one message each way."""

# Writes a record if what is there is still what the new one was made from. Else the answer is what is there.
_EXCHANGE = """
local found = redis.call('GET', KEYS[1])
if (found and redis.sha1hex(found) or '') ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


class ValkeyStore:
    """Behaviours on a server, by a key each user; a :class:`~dien.serving.store.BehaviourStore`.

    An append reads the record of the user, and writes the new one unless another append came between: then it
    begins again. What an acknowledgement is worth after a crash is the server's configuration
    (``appendonly``, ``appendfsync``).

    Args:
        url: as ``redis://user:password@host:6379/0``; also ``valkey://``, and ``rediss://`` or ``valkeys://``
            with TLS. Options of the client follow it, as ``?socket_timeout=1``.
        most: behaviours of a user that are kept, the newest.

    Raises:
        ConfigError: the URL cannot be read.
        StoreError: the server cannot be reached, or does not let us in.
        ValueError: ``most`` is below 1.
    """

    def __init__(self, url: str, most: int) -> None:
        self._most = expect_most(most, 1)
        self._name = without_password(url)
        try:
            self._client = valkey.Valkey.from_url(
                url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS, protocol=2
            )
        except (ValueError, TypeError) as error:
            raise ConfigError(f"store: {self._name!r}: {error}") from error
        self._closed = False
        self._ask(lambda: self._client.ping())

    def append(self, user: RawId, behaviours: Sequence[Behaviour]) -> Appended:
        """Add behaviours to those of a user."""
        return self.append_many([(user, behaviours)])

    def append_many(self, of_users: Sequence[tuple[RawId, Sequence[Behaviour]]]) -> Appended:
        """Add the behaviours of many users: of each all of them or none."""
        of_keys: dict[str, list[list[Behaviour]]] = {}
        for user, behaviours in of_users:
            of_keys.setdefault(user_key(user), []).append(checked(behaviours))
        keys, total = list(of_keys), Appended()
        for first in range(0, len(keys), _AT_ONCE):
            some = {key: of_keys[key] for key in keys[first : first + _AT_ONCE]}
            total += self._append(some)
        return total

    def read(self, users: Sequence[RawId], most: int) -> list[list[Behaviour]]:
        """Read the newest behaviours of each user, the oldest of them first."""
        keys = [user_key(user) for user in users]
        expect_most(most, 0)
        found = self._read(keys)
        return [record.decode(one, key, most) for one, key in zip(found, keys, strict=True)]

    def forget(self, user: RawId) -> bool:
        """Remove all that the store has of a user."""
        key = user_key(user)
        return bool(self._ask(lambda: self._client.delete(_PREFIX + key.encode()), writes=True))

    def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        self._client.close()  # type: ignore[no-untyped-call]

    def _append(self, of_keys: dict[str, list[list[Behaviour]]]) -> Appended:
        """Add to records, until none was changed by others between reading and writing it."""
        total = Appended()
        found = dict(zip(of_keys, self._read(list(of_keys)), strict=True))
        while found:
            made, done = dict[str, bytes](), dict[str, Appended]()
            for key, before in found.items():
                now, done[key] = before, Appended()
                for behaviours in of_keys[key]:
                    after, one = record.append(now, behaviours, key, self._most)
                    now = now if after is None else after
                    done[key] += one
                if now is not None and now is not before:
                    made[key] = now
                else:
                    total += done[key]
            answers = self._exchange(found, made)
            total = sum((done[key] for key, answer in answers.items() if answer == 1), total)
            found = {key: answer for key, answer in answers.items() if answer != 1}
        return total

    def _exchange(self, before: dict[str, bytes | None], made: dict[str, bytes]) -> dict[str, Any]:
        """Write records where those before are still there.

        Returns:
            Of each 1, or what is there instead.
        """
        if not made:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for key, after in made.items():
            old = before[key]
            mark = "" if old is None else sha1(old, usedforsecurity=False).hexdigest()
            pipeline.eval(_EXCHANGE, 1, _PREFIX + key.encode(), mark, after)  # type: ignore[arg-type]
        run: Any = pipeline.execute
        answers = self._ask(lambda: run(raise_on_error=False), writes=True)
        for answer in answers:  # by themselves these would quote the record
            if isinstance(answer, ValkeyError):
                raise self._refused(answer) from answer
        return dict(zip(made, answers, strict=True))

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = self._ask(
            lambda: self._client.mget([_PREFIX + key.encode() for key in keys]) if keys else []
        )
        return found

    def _ask(self, ask: Any, writes: bool = False) -> Any:
        """Ask the server.

        Raises:
            StoreError: the store is closed, or the server does not answer as it should.
        """
        if self._closed:
            raise StoreError(f"{self._name}: the behaviour store is closed; open it again")
        try:
            return ask()
        except (LostError, LateError) as error:
            unknown = "; whether this was written is not known: append it again, by ids of events"
            raise StoreError(
                f"{self._name}: cannot be reached: {error}{unknown if writes else ''}"
            ) from error
        except ValkeyError as error:
            raise self._refused(error) from error

    def _refused(self, error: ValkeyError) -> StoreError:
        return StoreError(f"{self._name}: refused: {error}")
