"""What the log has of a user: the newest impression, with the history before it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from dien.data.dataset import Dataset
from dien.data.features import Side
from dien.data.tables import SPLITS, FeatureTable, SplitName, begins
from dien.errors import DataError
from dien.serving.store.raw_values import decoder

CANDIDATES = 10
"""Of a user without an impression, so many of the most popular items are the candidates."""


class LoggedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the log has it: values are raw, as :meth:`dien.Scorer.score` takes them.

    Attributes:
        user: raw id.
        split: of the impression; None where the user has none.
        time: of the impression, seconds since 1970; where there is none, a second after the newest behaviour;
            None where times are not known.
        history: raw ids before it, oldest first.
        times: of each; None where times are not known.
        behaviours: of each behaviour feature a value for each of the history, as far as what is stored
            tells it.
        older: behaviours before these, which no run here reads.
        candidates: raw ids, those of the impression; without one, the most popular items.
        clicked: places of the candidates that were clicked.
        context: of each context feature the value, likewise.
    """

    user: str
    split: str | None
    time: int | None
    history: list[str]
    times: list[int] | None
    behaviours: dict[str, list[Any]]
    older: int
    candidates: list[str]
    clicked: list[int]
    context: dict[str, Any]


def logged_user(dataset: Dataset, user: str, most: int) -> LoggedUser:
    """Look up a user's newest impression, of the test split where there is one, else valid, else train.

    Args:
        dataset: where from.
        user: raw id.
        most: newest behaviours to give.

    Raises:
        DataError: the dataset does not know the user.
    """
    row = int(dataset.user_ids.encode_values([user])[0])
    if not row:
        raise DataError(f"{dataset.path}: no user {user!r}; search for another")
    behaviours = dataset.behaviours
    begin, end = int(behaviours.offsets[row]), int(behaviours.offsets[row + 1])
    name, time, candidates, clicked, context = None, None, _popular(dataset), list[int](), dict[str, Any]()
    found = _newest(dataset, row)
    if found is not None:
        name, place = found
        split = dataset.split(name)
        at = np.array([place])
        begin, end = int(begins(behaviours, split, at)[0]), int(split.end[place])
        rows = slice(int(split.offsets[place]), int(split.offsets[place + 1]))
        candidates = dataset.item_ids.decode(np.array(split.item[rows])).to_list()
        clicked = np.flatnonzero(split.label[rows]).tolist()
        time = int(split.time[place]) if dataset.info.timed else None
        columns = {feature: column[at] for feature, column in split.context.items()}
        context = {feature: values[0] for feature, values in _raw(dataset, "context", columns).items()}
    start = max(begin, end - most)
    places = np.arange(start, end)
    columns = {feature: column[places] for feature, column in behaviours.features.items()}
    history = dataset.item_ids.decode(behaviours.item[places]).to_list()
    timed = dataset.info.timed
    if timed and found is None and begin < end:
        time = int(behaviours.time[end - 1]) + 1
    return LoggedUser(
        user=user,
        split=name,
        time=time,
        history=["" if one is None else one for one in history],
        times=behaviours.time[places].tolist() if timed else None,
        behaviours=_raw(dataset, "behaviour", columns),
        older=start - begin,
        candidates=["" if one is None else one for one in candidates],
        clicked=clicked,
        context=context,
    )


def _newest(dataset: Dataset, user: int) -> tuple[SplitName, int] | None:
    """Find the newest impression of a user row: its split, and its place there."""
    for name in reversed(SPLITS):
        users = dataset.split(name).user
        # keys of the column's own type: searchsorted would copy the column to widen it
        after = int(np.searchsorted(users, np.array([user], users.dtype), "right")[0])
        if after and users[after - 1] == user:
            return name, after - 1
    return None


def _popular(dataset: Dataset) -> list[str]:
    rows = np.argsort(-np.asarray(dataset.popularity[1:]), kind="stable")[:CANDIDATES] + 1
    return [str(one) for one in dataset.item_ids.decode(rows).to_list()]


def _raw(dataset: Dataset, side: Side, columns: FeatureTable) -> dict[str, list[Any]]:
    """Find the raw values again, of the features whose stored values tell them."""
    found = {}
    for feature in dataset.schema.of(side):
        decode = decoder(feature, dataset.vocabularies)
        if feature.name in columns and decode is not None:
            found[feature.name] = decode(columns[feature.name])
    return found
