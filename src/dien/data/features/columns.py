"""Columns of features as they are stored: an array with an entry a row, or a :class:`Ragged` column.

A kind stores what it encodes as one of the two, so that nothing here asks for kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.changing import Changing, merged
from dien.data.ragged import Column, Ragged, to_offsets

CHANGING = (".since", ".rows")
"""Suffixes of the files that a changing feature has beside those of its values."""


def files_of(column: Column | Changing) -> dict[str, NDArray[Any]]:
    """Name the arrays of a column by the suffixes of their files."""
    if isinstance(column, Changing):
        return files_of(column.values) | dict(zip(CHANGING, (column.since, column.rows), strict=True))
    return {"": column.values, ".offsets": column.offsets} if isinstance(column, Ragged) else {"": column}


def rows_of(column: Column, rows: slice) -> Column:
    """Take some rows of a column without a copy of its values."""
    if not isinstance(column, Ragged):
        return column[rows]
    offsets = column.offsets[rows.start : rows.stop + 1]
    return Ragged(column.values[offsets[0] : offsets[-1]], offsets - offsets[0])


def concatenated(columns: Sequence[Column]) -> Column:
    """Join columns, row after row."""
    pieces = [pieces_of(column) for column in columns]
    return from_pieces({name: np.concatenate([of[name] for of in pieces]) for name in pieces[0]})


def continued(before: Changing, after: Changing) -> Changing:
    """Put the values of a later table of as many rows or more among those of an earlier one."""
    source, (since, rows) = merged((before.since, before.rows), (after.since, after.rows))
    return Changing(concatenated([before.values, after.values])[source], since, rows)


def pieces_of(column: Column) -> dict[str, NDArray[Any]]:
    """Take a column apart into arrays that those of later rows can be appended to."""
    if isinstance(column, Ragged):
        return {"values": column.values, "lengths": np.diff(column.offsets)}
    return {"values": column}


def from_pieces(pieces: Mapping[str, NDArray[Any]]) -> Column:
    """Inverse of :func:`pieces_of`."""
    values = pieces["values"]
    return Ragged(values, to_offsets(pieces["lengths"])) if "lengths" in pieces else values
