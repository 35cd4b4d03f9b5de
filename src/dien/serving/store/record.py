"""The record of a user: behaviours as bytes, the same in every store, and what an append makes of it.

A record is a byte for the version, then a list in msgpack, column by column: what behaviours have alike is
written once. Ids that are decimal numbers are written as numbers, and times as what they are after the time
before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from dien.errors import StoreError
from dien.serving.store.behaviours import Appended, Behaviour

VERSION = 1
_LONGEST_NUMBER = 18  # digits that surely fit 64 bits


class _Columns(msgspec.Struct, array_like=True):
    """Behaviours ``[N]``, in their order.

    Attributes:
        items: ids.
        times: seconds after the time before, None where there is none.
        events: empty where there are none.
        features: values by feature, up to the last behaviour that has one.
    """

    items: list[int | str]
    times: list[int | None]
    events: list[str | None]
    features: dict[str, list[Any]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)


def encode(behaviours: Sequence[Behaviour]) -> bytes:
    """Write the behaviours of a user, which are in order and checked."""
    times: list[int | None] = []
    before = 0
    features: dict[str, list[Any]] = {}
    for number, behaviour in enumerate(behaviours):
        times.append(None if behaviour.time is None else behaviour.time - before)
        before = before if behaviour.time is None else behaviour.time
        for name, value in behaviour.features.items():
            column = features.setdefault(name, [])
            column.extend([None] * (number - len(column)))
            column.append(value)
    events = [behaviour.event for behaviour in behaviours]
    while events and events[-1] is None:
        events.pop()
    columns = _Columns([_short(str(b.item)) for b in behaviours], times, events, features)
    return bytes([VERSION]) + _encoder.encode(columns)


def decode(record: bytes | memoryview | None, user: str, most: int | None = None) -> list[Behaviour]:
    """Read the behaviours of a user, the oldest first.

    Args:
        record: as :func:`encode` writes it; None for none.
        user: whose it is, for errors.
        most: only so many of the newest; None for all.

    Raises:
        StoreError: it is something else.
    """
    if record is None:
        return []
    if not len(record) or record[0] != VERSION:
        version = f"version {record[0]}" if len(record) else "nothing"
        raise _damaged(user, f"found {version}, expected version {VERSION}")
    try:
        columns = _decoder.decode(record[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(user, str(error)) from error
    count = len(columns.items)
    if len(columns.times) != count or max(map(len, (columns.events, *columns.features.values()))) > count:
        raise _damaged(user, "its columns differ in length")
    first = 0 if most is None else max(0, count - most)
    features: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, values in columns.features.items():
        for row, value in enumerate(values[first:], first):
            if value is not None:
                features[row][name] = value
    found, now = [], 0
    rows = zip_longest(columns.items, columns.times, columns.events)
    for row, (item, after, event) in enumerate(rows):
        now += after or 0
        if row >= first:
            found.append(Behaviour(str(item), None if after is None else now, features[row], event))
    return found


def append(
    record: bytes | memoryview | None, new: Sequence[Behaviour], user: str, most: int
) -> tuple[bytes | None, Appended]:
    """Add behaviours to a record.

    Args:
        record: of the user; None for none.
        new: behaviours that are checked.
        user: whose they are, for errors.
        most: how many the user has at most.

    Returns:
        The record to write, None where it stays as it is; and what was done.

    Raises:
        StoreError: the record is damaged.
    """
    kept = decode(record, user)
    events = {behaviour.event for behaviour in kept if behaviour.event is not None}
    when = _when(kept)
    # What was trimmed and comes again may be of one second with what is kept: it must not take its place.
    too_old = when[0] if len(kept) >= most else -1
    added = late = 0
    for behaviour in new:
        if behaviour.event is not None:
            if behaviour.event in events:
                continue
            events.add(behaviour.event)
        added += 1
        if behaviour.event is not None and behaviour.time is not None and behaviour.time <= too_old:
            late += 1
            continue
        if behaviour.time is None:
            place, time = len(kept), when[-1] if when else 0
        else:
            place, time = bisect_right(when, behaviour.time), behaviour.time
        kept.insert(place, behaviour)
        when.insert(place, time)
    trimmed = max(0, len(kept) - most)
    changed = added > late or trimmed
    done = Appended(added, len(new) - added, trimmed + late)
    return encode(kept[trimmed:]) if changed else None, done


def _when(behaviours: Sequence[Behaviour]) -> list[int]:
    """Give the times ``[N]`` by which behaviours are in order.

    One without a time has that before it; the first ones have that of the first time there is, 0 for none.
    """
    found, now = list[int](), next((b.time for b in behaviours if b.time is not None), 0)
    for behaviour in behaviours:
        now = now if behaviour.time is None else behaviour.time
        found.append(now)
    return found


def _short(item: str) -> int | str:
    if item.isascii() and item.isdigit() and len(item) <= _LONGEST_NUMBER and str(int(item)) == item:
        return int(item)
    return item


def _damaged(user: str, what: str) -> StoreError:
    return StoreError(
        f"the record of user {user!r} is damaged, or of another version of dien: {what}; forget the user, or "
        "fill a new store (dien store load)"
    )
