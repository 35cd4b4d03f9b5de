"""How often a history has a candidate's item, category and so on, and how long ago.

A GRU's state blurs counts, and it reads the newest behaviours alone. These numbers are exact, and are
counted over a longer part of the history. They follow from ids: an item is matched by its row, so that items
which the model does not know match themselves, too; a feature of it by its index, of which 0 (unknown)
matches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.data.batch import Columns, Values, match_numbers
from dien.data.changing import LATEST, Attributes, Changing, values_at
from dien.data.ragged import Column, Ragged
from dien.ops.matches import matches
from dien.packed import Packed

NO_TIME = 0
"""The time of a behaviour that has none, as in histories that stand in the rows of a log without times."""


def matches_of(
    names: Sequence[str],
    items: Attributes,
    *,
    item: NDArray[np.integer],
    time: NDArray[np.int64] | None,
    place: NDArray[np.int64],
    offsets: NDArray[np.int64],
    target: NDArray[np.integer],
    target_features: Columns,
    history_of: NDArray[np.int64],
    now: NDArray[np.int64] | None,
    timed: bool,
) -> Tensor:
    """Match candidates with the histories before them.

    Args:
        names: what they are matched by, ``F`` names: the item first (:attr:`Schema.matched`).
        items: item features by item row.
        item: ``[M]`` item rows of behaviours. Items without a row are told apart by numbers below 0.
        time: ``[M]`` seconds since 1970 of these; 0 or the largest number where there is none.
        place: ``[L]`` those of the histories among them, history after history, oldest first.
        offsets: ``[R + 1]`` of the histories in ``place``.
        target: ``[B]`` item rows of the candidates, below 0 likewise.
        target_features: their features, encoded, by name.
        history_of: ``[B]`` the history of each candidate.
        now: ``[R]`` seconds since 1970 of the impressions, likewise.
        timed: whether these are times, and no mere order.

    Returns:
        ``[B, 1 + 3 F]`` float32: the length of the history; how many of its behaviours match by each name;
        how many steps back the newest of these is (1 is the newest behaviour of all), NaN where none matches;
        how many seconds before the impression that was, NaN where none matches or its time is not known.
    """
    F, B = len(names), len(history_of)
    rows = item[place]  # [L]
    features = {name: items[name] for name in names[1:]}
    changes = any(isinstance(column, Changing) for column in features.values())
    then = time[place] if changes and time is not None else None
    of_history = values_at(features, np.maximum(rows, 0), then)
    pairs: list[tuple[Values, Values]] = [(torch.from_numpy(rows), torch.tensor(target))]
    pairs += [(_tensor(of_history[name]), target_features[name]) for name in names[1:]]
    found = np.full((B, match_numbers(F)), np.nan, np.float32)  # [B, 1 + 3 F]
    found[:, 0] = np.diff(offsets)[history_of]
    for f, (history, wanted) in enumerate(pairs):
        counted = matches(history, torch.from_numpy(offsets), wanted, torch.from_numpy(history_of))
        count, back = (column.numpy() for column in counted)  # [B]
        found[:, 1 + f] = count
        some = np.flatnonzero(count)
        found[some, 1 + F + f] = back[some]
        if timed and time is not None and now is not None:
            newest = offsets[history_of[some] + 1] - back[some]
            found[some, 1 + 2 * F + f] = _seconds(time[place[newest]], now[history_of[some]])
    return torch.from_numpy(found)


def without_age(found: Tensor, names: int) -> NDArray[np.bool_]:
    """Mark the candidates ``[B]`` that have a match of which it is not known how long ago it was.

    Args:
        found: ``[B, 1 + 3 F]`` as :func:`matches_of` gives it.
        names: ``F``, what candidates are matched by.
    """
    numbers = found.numpy()  # a call of numpy takes a third of one of torch
    marked: NDArray[np.bool_] = (numbers[:, 1 : 1 + names] > 0) & np.isnan(numbers[:, 1 + 2 * names :])
    return np.asarray(marked.any(axis=1))


def _seconds(then: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count the seconds ``[n]`` between two times, 0 where the first is not the earlier, NaN without one."""
    known = (then != NO_TIME) & (then != LATEST) & (now != LATEST)
    return np.where(known, np.maximum(now.astype(np.float64) - then, 0), np.nan)


def _tensor(column: Column) -> Values:
    if isinstance(column, Ragged):
        return Packed(torch.from_numpy(column.values), torch.from_numpy(column.offsets))
    return torch.from_numpy(column)
