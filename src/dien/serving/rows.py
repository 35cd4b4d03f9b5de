"""Requests as rows of the run's tables, and what the model reads of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dien.data.batch import Batch
from dien.data.changing import Attributes, values_at
from dien.data.features.columns import concatenated, rows_of
from dien.data.ragged import ranges, row_of, to_offsets
from dien.data.tables import FeatureTable
from dien.serving.features import Described


@dataclass(frozen=True)
class Rows:
    """``R`` requests, encoded.

    Attributes:
        user: ``[R]`` user rows.
        history: item rows of the histories, request after request, oldest first. Items without a row are told
            apart by numbers below 0 (:class:`~dien.serving.unknown_items.UnknownItems`).
        lengths: ``[R]`` behaviours of each request.
        candidates: ``[B]`` item rows, request after request, likewise.
        counts: ``[R]`` candidates of each request.
        context: encoded context features ``[R]``.
        behaviours: encoded behaviour features of the histories, ``time_since`` included.
        candidate_features: item features of candidates ``[B]`` that count in place of the run's.
        user_features: user features ``[R]``, likewise.
        time: ``[R]`` seconds since 1970 of the requests; None for the latest values.
        times: of the histories' entries, likewise.
    """

    user: NDArray[np.integer]
    history: NDArray[np.integer]
    lengths: NDArray[np.integer]
    candidates: NDArray[np.integer]
    counts: NDArray[np.integer]
    context: FeatureTable
    behaviours: FeatureTable
    candidate_features: Described | None = None
    user_features: Described | None = None
    time: NDArray[np.int64] | None = None
    times: NDArray[np.int64] | None = None

    def some(self, candidates: slice) -> Some:
        """Take some of the candidates, and the requests they are of."""
        request = row_of(self.counts)[candidates]
        first, last = int(request[0]), int(request[-1]) + 1
        lengths, ends = self.lengths[first:last], np.cumsum(self.lengths)[first:last]
        at = None if self.time is None else self.time[request]
        return Some(candidates, slice(first, last), request - first, lengths, ends, at)


@dataclass(frozen=True)
class Some:
    """Candidates of :class:`Rows`, and the requests they are of.

    Attributes:
        candidates: which.
        requests: of which requests.
        request_of: ``[b]`` the request of each, counted from the first of these.
        lengths: ``[r]`` behaviours of each of these requests.
        ends: ``[r]`` where its history ends.
        at: ``[b]`` seconds since 1970 of each candidate; None where the requests have no times.
    """

    candidates: slice
    requests: slice
    request_of: NDArray[np.int64]
    lengths: NDArray[np.integer]
    ends: NDArray[np.int64]
    at: NDArray[np.int64] | None

    def newest(self, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the newest entries of each history: their places ``[n]``, and offsets ``[r + 1]`` in these."""
        kept = np.minimum(self.lengths, most)
        return ranges(self.ends - kept, kept), to_offsets(kept)


@dataclass(frozen=True)
class Reading:
    """What the model reads of some candidates.

    Attributes:
        batch: its input.
        read: ``[N]`` places in the histories of the requests of the steps of the batch.
        ageless: candidates with matches whose age is not known.
    """

    batch: Batch
    read: NDArray[np.int64]
    ageless: int


def in_place(
    table: Attributes,
    rows: NDArray[np.integer],
    times: NDArray[np.int64] | None,
    given: Described,
    some: slice,
) -> FeatureTable:
    """Take the features of rows that requests give, each where it is given in place of the table's."""
    found: FeatureTable = {}
    own_values = values_at({name: table[name] for name in given}, rows, times)
    for name, (column, known) in given.items():
        own, told = own_values[name], rows_of(column, some)
        place = np.arange(len(rows))
        found[name] = concatenated([own, told])[np.where(known[some], place + len(rows), place)]
    return found
