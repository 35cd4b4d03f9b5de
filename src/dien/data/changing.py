"""Values of items and users that change over time: what held at a time, and never what came later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dien.data.ragged import Column, row_of, searched, to_offsets

LATEST = np.iinfo(np.int64).max
"""The time of what has none, as of a request that does not say when it is: the latest value holds."""


@dataclass(frozen=True)
class Changing:
    """A column of items or users with any number of values a row, each from a second on.

    Entry 0 is the unknown value, the only one of row 0. It is that of a time before a row's first value, too.

    Attributes:
        values: ``[S]`` row after row, each row's in order of time.
        since: ``[S]`` int64, the second from which on each holds, up to the next of its row.
        rows: ``[n + 1]`` int64; row ``r`` has the entries ``rows[r] : rows[r + 1]``.
    """

    values: Column
    since: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows) - 1

    def at(self, rows: NDArray[np.integer], times: NDArray[np.int64] | None) -> Column:
        """Take the values ``[m]`` that held at some times.

        Args:
            rows: ``[m]``.
            times: ``[m]`` seconds since 1970; None for the latest values.
        """
        return self.values[entry_at(self.since, self.rows, rows, times)]


Lines = tuple[NDArray[np.int64], NDArray[np.int64]]
"""``since`` and ``rows`` of a changing column."""

Attributes = dict[str, Column | Changing]
"""Feature name -> its values by row of items or users; row 0 is unknown."""


def entry_at(
    since: NDArray[np.int64],
    offsets: NDArray[np.int64],
    rows: NDArray[np.integer],
    times: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """Find the newest entry of a row that is not later than a time.

    Args:
        since: ``[S]`` times, row after row; each row's rise.
        offsets: ``[n + 1]``; row ``r`` has the entries ``offsets[r] : offsets[r + 1]``.
        rows: ``[m]`` those asked for.
        times: ``[m]``; None for the last entries.

    Returns:
        ``[m]`` int64 entries; 0 where a row has none by then.
    """
    begin, end = offsets[rows], offsets[rows.astype(np.int64) + 1]
    if times is not None:
        end = searched(since, begin, end, times, "right")
    return np.where(end > begin, end - 1, 0)


def merged(before: Lines, after: Lines) -> tuple[NDArray[np.int64], Lines]:
    """Put the entries of a later table among those of an earlier one.

    Args:
        before: of the earlier table.
        after: of a table with as many rows or more; of one row and second the earlier entry stays.

    Returns:
        Where each entry is from: its number in the earlier table, or that in the later one and the length of
        the earlier; and both as one.
    """
    since = np.concatenate([before[0], after[0]])
    row = np.concatenate([row_of(np.diff(before[1])), row_of(np.diff(after[1]))])
    source = np.lexsort((np.arange(len(since)), since, row))
    again = np.zeros(len(since), bool)
    again[1:] = (np.diff(row[source]) == 0) & (np.diff(since[source]) == 0)
    source = source[~again]
    return source, (since[source], to_offsets(np.bincount(row[source], minlength=len(after[1]) - 1)))


def values_at(
    table: Mapping[str, Column | Changing], rows: NDArray[np.integer], times: NDArray[np.int64] | None
) -> dict[str, Column]:
    """Take the features of some items or users as they were at some times.

    Args:
        table: all features of items or of users.
        rows: ``[m]``.
        times: ``[m]`` seconds since 1970; None for the latest values.
    """
    return {
        name: column.at(rows, times) if isinstance(column, Changing) else column[rows]
        for name, column in table.items()
    }
