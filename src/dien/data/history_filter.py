"""Histories of the behaviours that have a candidate's category, or another value of its: SIM's hard search.

A long history is searched for what bears on a candidate, and a model reads what is found (Pi et al., CIKM
2020, arXiv 2006.05639). Candidates of one impression share a history where their values are equal.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dien.data.changing import Attributes, values_at
from dien.data.ragged import Column, Ragged, row_of


class Found(NamedTuple):
    """What is left of ``R`` histories of ``L`` behaviours in all.

    Attributes:
        kept: ``[N]`` places among the ``L``, history after history, oldest first.
        offsets: ``[F + 1]`` of the new histories among these.
        history_of: ``[B]`` the new history of each candidate.
        source: ``[F]`` the history that each is a part of.
    """

    kept: NDArray[np.int64]
    offsets: NDArray[np.int64]
    history_of: NDArray[np.int64]
    source: NDArray[np.int64]


def wanted_values(
    name: str, items: Attributes, rows: NDArray[np.integer], times: NDArray[np.int64] | None
) -> Column:
    """Take what items are searched by.

    Args:
        name: a feature of items, or ``item`` for the item itself (:attr:`Schema.matched`).
        items: item features by item row.
        rows: ``[m]`` item rows. Items without a row are told apart by numbers below 0.
        times: ``[m]`` seconds since 1970, where the feature changes; None for the latest values.
    """
    if name == "item":
        return rows.astype(np.int32)
    return values_at({name: items[name]}, np.maximum(rows, 0), times)[name]


def search(
    history: Column,
    offsets: NDArray[np.int64],
    target: Column,
    history_of: NDArray[np.int64],
    most: int,
) -> Found:
    """Keep of each candidate's history the newest behaviours that have its value.

    Of lists, one value in common is enough. The value 0 stands for unknown: it is found nowhere, so that a
    candidate that has no other has an empty history. Candidates that have the same history and value share
    what is found.

    Args:
        history: ``[L]`` the value of each behaviour, history after history, oldest first.
        offsets: ``[R + 1]`` of the histories.
        target: ``[B]`` the value of each candidate.
        history_of: ``[B]`` the history of each.
        most: behaviours that are kept of each, at least 1.
    """
    owner: NDArray[np.int64] | None = None
    if isinstance(history, Ragged):
        values: NDArray[Any] = history.values
        borders = history.offsets[offsets]
        owner = row_of(np.diff(history.offsets))  # [V] the behaviour of each value
    else:
        values, borders = history, offsets
    groups: dict[tuple[int, bytes], int] = {}
    searched: list[tuple[int, NDArray[np.integer]]] = []
    new = np.empty(len(history_of), np.int64)
    for b, (r, wanted) in enumerate(zip(history_of.tolist(), _lists(target), strict=True)):
        new[b] = groups.setdefault((r, wanted.tobytes()), len(searched))
        if new[b] == len(searched):
            searched.append((r, wanted))
    kept, ends = [], np.zeros(len(searched) + 1, np.int64)
    for f, (r, wanted) in enumerate(searched):
        begin = borders[r]
        part = values[begin : borders[r + 1]]
        same = part == wanted[0] if len(wanted) == 1 else np.isin(part, wanted)
        found = same.nonzero()[0] + begin
        if owner is not None:
            found = owner[found]
            found = found[np.diff(found, prepend=-1) > 0]  # a behaviour may have several values in common
        kept.append(found[-most:])
        ends[f + 1] = ends[f] + len(kept[-1])
    return Found(
        np.concatenate([np.zeros(0, np.int64), *kept]),
        ends,
        new,
        np.array([r for r, _ in searched], np.int64),
    )


def _lists(target: Column) -> list[NDArray[np.integer]]:
    """List the known values of each candidate, each once."""
    if not isinstance(target, Ragged):
        return [one[one != 0] for one in np.asarray(target)[:, None]]
    borders = target.offsets.tolist()
    parts = (target.values[a:b] for a, b in itertools.pairwise(borders))
    return [np.unique(part[part != 0]) for part in parts]
