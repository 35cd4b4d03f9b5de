"""What may be kept: ids as a run reads them, and values that come back as they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dien.data.readers.messages import shown
from dien.data.sources.table.times import LAST_TIME
from dien.data.spelling import spelling_of
from dien.serving.features import USER, Field
from dien.serving.store.behaviours import Behaviour, RawId

_ITEM = Field("item", required=True)
_PLAIN = (str, bool, int, float, type(None))
_VALUES = "text, a number, a boolean, None or a list of these"


def user_key(user: RawId) -> str:
    """Give the one spelling of a user's id.

    Raises:
        ValueError: it is no id.
    """
    if user is None:
        raise ValueError("user: None, expected strings or integers; a store keeps nothing of nobody")
    return spelling_of(USER.plain(user))


def checked(behaviours: Sequence[Behaviour]) -> list[Behaviour]:
    """Give behaviours as they are kept: items as text, features without None.

    Raises:
        ValueError: something is not what it has to be; the message names the behaviour and the field.
    """
    found = []
    for number, behaviour in enumerate(behaviours):
        try:
            found.append(_checked(behaviour))
        except ValueError as error:  # noqa: PERF203  # its number is needed
            raise ValueError(f"behaviours[{number}].{error}") from None
    return found


def expect_most(most: int, least: int) -> int:
    """Refuse a number of behaviours that is none.

    Raises:
        ValueError: it is below ``least``, or no whole number.
    """
    if type(most) is not int or most < least:
        raise ValueError(f"most: {most!r}, expected a whole number, {least} or more")
    return most


def _checked(behaviour: Behaviour) -> Behaviour:
    item, time, event = behaviour.item, behaviour.time, behaviour.event
    if item is None:
        raise ValueError("item: None, expected strings or integers; leave out a behaviour without an item")
    if time is not None and (type(time) is not int or not 0 <= time < LAST_TIME):
        raise ValueError(
            f"time: {shown(time)}, expected whole seconds since 1970, below {LAST_TIME:,} (the year 2100), "
            "or None; divide milliseconds by 1,000"
        )
    if event is not None:
        if type(event) is not str or not event:
            raise ValueError(f"event: {shown(event)}, expected text; give None where an event has no id")
        _expect_writable("event", event)
    features = {}
    for name, value in behaviour.features.items():
        if type(name) is not str:
            raise ValueError(f"features: the name {shown(name)}, expected text")
        _expect_writable("features", name)
        _expect_plain(f"features.{name}", value)
        if value is not None:
            features[name] = value
    return Behaviour(_ITEM.plain(item), time, features, event)


def _expect_plain(name: str, value: Any) -> None:
    if type(value) is list:
        for entry in value:
            _expect_plain(name, entry)
    elif type(value) not in _PLAIN:
        raise ValueError(
            f"{name}: {shown(value)} of type {type(value).__name__}, expected {_VALUES}; of numpy give "
            "value.item() or value.tolist()"
        )
    elif type(value) is int and not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"{name}: {shown(value)}, expected a number of 64 bits; write it as text")
    elif type(value) is str:
        _expect_writable(name, value)


def _expect_writable(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: {shown(text)}, mend the text: it has half of a pair of UTF-16") from None
