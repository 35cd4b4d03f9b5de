"""Interactions that repeat an earlier one, or tell of the same candidate of an impression."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 22  # rows sorted together: what the sort needs stays small whatever the log's length


def first_of_each(
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    time: NDArray[np.int64],
    impression: NDArray[np.int64] | None,
    label: NDArray[np.int8] | None,
) -> NDArray[np.bool_] | None:
    """Mark the row to keep of those with the same user, item, time and impression.

    That is the first with label 1, or the first where none has it.

    Args:
        user: ``[E]`` rows of users, from 1.
        item: ``[E]`` rows of items, from 1.
        time: ``[E]``.
        impression: ``[E]``, None where there is none.
        label: ``[E]`` 1 clicked and 0 not, None where all are.

    Returns:
        ``[E]``, or None where no row repeats another.
    """
    kept: NDArray[np.bool_] | None = None
    for low, high in _user_ranges(user):
        rows = np.flatnonzero((low <= user) & (user < high))
        keys = [item[rows].astype(np.int64) | user[rows].astype(np.int64) << 32, time[rows]]
        if impression is not None:
            keys.append(impression[rows])
        suspects = _with_same_hash(keys)
        if not len(suspects):
            continue
        rows, keys = rows[suspects], [key[suspects] for key in keys]
        unclicked = label[rows] == 0 if label is not None else np.zeros(len(rows), bool)
        order = np.lexsort((unclicked, *keys))  # stable: equal rows stay in the order of the log
        again = np.ones(max(len(order) - 1, 0), bool)
        for key in keys:
            again &= key[order[1:]] == key[order[:-1]]
        if again.any():
            kept = np.ones(len(user), bool) if kept is None else kept
            kept[rows[order[1:][again]]] = False
    return kept


def candidates_of(
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    time: NDArray[np.int64],
    impression: NDArray[np.int64],
    label: NDArray[np.int8],
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Join the rows of each item of a named impression: one of its being shown, one of its being clicked.

    Args:
        user: ``[E]`` rows of users, from 1.
        item: ``[E]`` rows of items, from 1.
        time: ``[E]``.
        impression: ``[E]``.
        label: ``[E]`` 1 clicked and 0 not.

    Returns:
        Of each candidate ``[C]``, in the order of the log: the row to keep (the first click, or the first row
        where none is), and the first row, in which it was shown. None where no candidate has two rows.
    """
    every = np.arange(len(user))
    first, kept = every.copy(), np.ones(len(user), bool)
    for low, high in _user_ranges(user):
        rows = np.flatnonzero((low <= user) & (user < high))
        keys = [item[rows].astype(np.int64) | user[rows].astype(np.int64) << 32, impression[rows]]
        suspects = _with_same_hash(keys)
        if not len(suspects):
            continue
        rows, keys = rows[suspects], [key[suspects] for key in keys]
        shown = np.lexsort((time[rows], *keys))
        clicked = np.lexsort((time[rows], label[rows] == 0, *keys))
        head = np.ones(len(rows), bool)  # the first row of each candidate, in both orders
        head[1:] = np.any([key[shown[1:]] != key[shown[:-1]] for key in keys], axis=0)
        first[rows[clicked[head]]] = rows[shown[head]]
        kept[rows[clicked[~head]]] = False
    return None if kept.all() else (every[kept], first[kept])


def _with_same_hash(keys: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Find the rows whose hash another row has: few, so that the exact comparison is of few."""
    hashed = np.zeros(len(keys[0]), np.uint64)
    for key in keys:
        hashed ^= key.view(np.uint64)
        hashed *= np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    ordered = np.sort(hashed)
    same = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(same):
        return np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(same, hashed), len(same) - 1)
    return np.flatnonzero(same[place] == hashed)


def _user_ranges(user: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Cut the users into ranges that have about as many rows as are sorted together."""
    if not len(user):
        return []
    ends = np.cumsum(np.bincount(user))
    cuts = np.searchsorted(ends, np.arange(_AT_ONCE, len(user), _AT_ONCE), side="left") + 1
    edges = [0, *np.unique(cuts).tolist(), len(ends)]
    return [(low, high) for low, high in pairwise(edges) if low < high]
