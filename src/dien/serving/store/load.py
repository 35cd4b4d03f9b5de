"""Fill a store from a dataset folder, so that a service starts knowing its users."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from dien.data.dataset import Dataset
from dien.data.features.encoders import Intervals
from dien.data.ragged import ranges, to_offsets, whole_rows
from dien.errors import DataError
from dien.progress import Progress
from dien.serving.store import record
from dien.serving.store.behaviours import Behaviour, BehaviourStore
from dien.serving.store.checks import checked, expect_most
from dien.serving.store.raw_values import Decode, decoder

_AT_ONCE = 1 << 14
"""Behaviours that are read and written together: memory stays flat."""


@dataclass
class Loaded:
    """What loading came to.

    Attributes:
        users: with behaviours.
        behaviours: of theirs that were read, the newest of each user.
        added: of these, new to the store.
        duplicates: of these, in the store before.
        trimmed: behaviours that had to go as a user has so many at most.
        unknown_items: behaviours left out, as the dataset does not know their item.
        bytes_each: of a record by behaviour, without what the store adds.
        intervals: features of which the dataset knows the interval alone: a number in it was kept.
        left_out: features whose raw values the dataset does not know, as they are hashed.
    """

    users: int = 0
    behaviours: int = 0
    added: int = 0
    duplicates: int = 0
    trimmed: int = 0
    unknown_items: int = 0
    bytes_each: float = 0.0
    intervals: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def load_store(
    data: Dataset | Path | str, store: BehaviourStore, *, most: int, progress: Progress | None = None
) -> Loaded:
    """Append the newest behaviours of every user of a dataset folder to a store.

    Each is appended with an id of its event, made from its time and item: what was loaded before is left out,
    so that this can be run again, after it was stopped or when the dataset has grown. Load before the service
    appends what happens, or behaviours that are in both are there twice: their ids differ.

    Args:
        data: the dataset or its folder.
        store: where to.
        most: behaviours of each user to read.
        progress: called with the number of behaviours just read.

    Raises:
        DataError: the dataset cannot be read, or each of its rows has a history of its own.
        StoreError: as of the store; what was loaded until then stays.
        ValueError: ``most`` is below 1.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    expect_most(most, 1)
    if dataset.info.own_histories:
        raise DataError(
            f"{dataset.path}: each of its rows has a history of its own, so that it does not say what a "
            "user's behaviours are; append them to the store from your log"
        )
    features = [f for f in dataset.schema.of("behaviour") if f.name in dataset.behaviours.features]
    decoders = {feature.name: decoder(feature, dataset.vocabularies) for feature in features}
    loaded = Loaded(
        intervals=tuple(f.name for f in features if isinstance(f.encoder, Intervals)),
        left_out=tuple(name for name, decode in decoders.items() if decode is None),
    )
    known = {name: decode for name, decode in decoders.items() if decode is not None}
    size = 0
    for of_users, read in _parts(dataset, known, most, loaded):
        done = store.append_many(of_users)
        loaded.added += done.added
        loaded.duplicates += done.duplicates
        loaded.trimmed += done.trimmed
        loaded.users += len(of_users)
        size += sum(len(record.encode(checked(behaviours))) for _, behaviours in of_users)
        dataset.release(dataset.split("train"))
        if progress:
            progress(read)
    loaded.bytes_each = round(size / max(1, loaded.behaviours), 2)
    return loaded


def _parts(
    dataset: Dataset, decoders: dict[str, Decode], most: int, loaded: Loaded
) -> Iterator[tuple[list[tuple[str, list[Behaviour]]], int]]:
    """Read the newest behaviours of some users after the other, and say how many were read."""
    behaviours = dataset.behaviours
    end = np.asarray(behaviours.offsets[2:])  # row 0 is of users that are not known
    start = np.maximum(behaviours.offsets[1:-1], end - most)
    for some in whole_rows(to_offsets(end - start), _AT_ONCE):
        lengths = (end - start)[some]
        place = ranges(start[some], lengths)  # [N]
        items = dataset.item_ids.decode(behaviours.item[place]).to_list()
        times = behaviours.time[place].tolist()
        columns = {name: decode(behaviours.features[name][place]) for name, decode in decoders.items()}
        users = dataset.user_ids.decode(np.arange(1 + some.start, 1 + some.stop)).to_list()
        found, first = [], 0
        for user, length in zip(users, lengths.tolist(), strict=True):
            rows = range(first, first + length)
            first += length
            known = [row for row in rows if items[row] is not None]
            loaded.unknown_items += length - len(known)
            loaded.behaviours += len(known)
            if known:
                events = _events([times[row] for row in known], [items[row] for row in known])
                found.append((user, _behaviours(known, items, times, columns, events)))
        yield found, len(place)


def _behaviours(
    rows: list[int], items: list[str], times: list[int], columns: dict[str, list[Any]], events: list[str]
) -> list[Behaviour]:
    return [
        Behaviour(items[row], times[row], {name: values[row] for name, values in columns.items()}, event)
        for row, event in zip(rows, events, strict=True)
    ]


def _events(times: list[int], items: list[str]) -> list[str]:
    """Make ids of events ``[n]``: of one item at one time the last is 0, whatever of a user is read."""
    found: list[str] = []
    moments = groupby(zip(times[::-1], items[::-1], strict=True), lambda moment: moment[0])
    for time, of_moment in moments:
        seen: dict[str, int] = {}
        for _, item in of_moment:
            number = seen[item] = seen.get(item, -1) + 1
            digest = blake2b(f"{time} {number} {item}".encode(), digest_size=6).digest()
            found.append(urlsafe_b64encode(digest).decode())
    return found[::-1]
