"""A behaviour, and what every store of behaviours does, wherever it keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

RawId = str | int


class Behaviour(msgspec.Struct, frozen=True):
    """Something a user did with an item.

    Attributes:
        item: raw id. A store gives it back as text: 3 and ``"3"`` are one id, as for
            :class:`~dien.serving.Scorer`.
        time: seconds since 1970; None where it is not known.
        features: raw value of each behaviour feature: text, a number, a boolean, or a list of those. None
            is unknown, as what is missing, and is not given back.
        event: id of the event. A store takes one id once for a user; None is never a duplicate.
    """

    item: str | int
    time: int | None = None
    features: dict[str, Any] = {}
    event: str | None = None


class Appended(msgspec.Struct, frozen=True):
    """What an append came to.

    Attributes:
        added: behaviours that were new.
        duplicates: behaviours that were left out, as the store has their event.
        trimmed: the oldest behaviours that had to go, new ones among them: a user has so many at most.
    """

    added: int = 0
    duplicates: int = 0
    trimmed: int = 0

    def __add__(self, other: Appended) -> Appended:
        return Appended(
            self.added + other.added, self.duplicates + other.duplicates, self.trimmed + other.trimmed
        )


class BehaviourStore(Protocol):
    """The newest behaviours of each user. Several threads may use a store at once.

    A user's behaviours are in the order of their times, whatever the order in which they come; of one second
    in the order they come in. One without a time follows what the user has when it comes; give times to all
    or to none of a user's.

    A user is a raw id, text or an integer: 3, ``"3"`` and ``"3.0"`` are one user, as for a run.
    """

    def append(self, user: RawId, behaviours: Sequence[Behaviour]) -> Appended:
        """Add behaviours to those of a user: all of them, or none where this raises.

        An id of an event is known as long as its behaviour is kept. A behaviour with an id and a time that
        comes again after it was trimmed is trimmed again: a user who has as many as may be gets no behaviour
        with an id that is not newer than the oldest.

        Raises:
            ValueError: a user, an item, a time, a feature or an event is not what it has to be.
            StoreError: the store is closed, full, damaged, or cannot be reached. Then it has none of them,
                unless the message says that this is not known.
        """

    def append_many(self, of_users: Sequence[tuple[RawId, Sequence[Behaviour]]]) -> Appended:
        """Add the behaviours of many users with fewer writes: of each user all of them or none.

        Returns:
            The sums over the users.

        Raises:
            ValueError: as :meth:`append`; then nothing was added.
            StoreError: as :meth:`append`. Some users may have theirs: append again, by ids of events.
        """

    def read(self, users: Sequence[RawId], most: int) -> list[list[Behaviour]]:
        """Read the newest behaviours of each user, the oldest of them first.

        Args:
            users: ``[U]``; one that the store does not know has no behaviours.
            most: how many of each.

        Returns:
            ``[U]`` lists.

        Raises:
            ValueError: a user is no id, or ``most`` is below 0.
            StoreError: the store is closed, damaged, or cannot be reached.
        """

    def forget(self, user: RawId) -> bool:
        """Remove all that the store has of a user.

        Returns:
            Whether it had anything.

        Raises:
            ValueError: the user is no id.
            StoreError: as :meth:`append`.
        """

    def close(self) -> None:
        """Finish what was begun and let go of the files or the connection; a second call does nothing."""
