"""How the ids of a log meet those of a table of items or users, and why they may not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.log import ENOUGH_MEET, Join
from dien.data.readers.files import TableFile, in_words
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.values import Codes

_LOOKED_AT = 10_000  # ids of the log
_OTHERS = 2_000_000  # ids of the table: time and memory stay bounded
_SOME = 0.02  # of the ids looked at, that a cause must explain

_CAUSES: tuple[tuple[str, Callable[[pl.Series], pl.Series]], ...] = (
    ("blanks around ids; take them away", lambda ids: ids.str.strip_chars()),
    ("capital and small letters; write both alike", lambda ids: ids.str.to_lowercase()),
    (
        "ids that became floats, as pandas makes of a column with gaps; write them as whole numbers, "
        "by astype('Int64') in pandas",
        lambda ids: ids.str.replace(r"\.0+$", ""),
    ),
    (
        "leading zeros that were lost; write the ids as text, read by dtype=str in pandas",
        lambda ids: ids.str.strip_chars_start("0"),
    ),
    (
        "blanks, capital letters, zeros in front or .0 behind; write both alike",
        lambda ids: (
            ids.str.strip_chars().str.to_lowercase().str.replace(r"\.0+$", "").str.strip_chars_start("0")
        ),
    ),
)
"""What makes two ids of one thing differ, how to mend it, and what makes them equal again."""


def count_meeting(
    side: str,
    files: Sequence[TableFile],
    codes: Codes,
    before: int,
    has_row: NDArray[np.bool_],
    counts: Counts,
) -> None:
    """Count the ids of a log that a table of items or users lacks, and keep how both meet.

    Args:
        side: ``item`` or ``user``.
        files: of the table.
        codes: numbers of all ids, those of the log first.
        before: how many ids the log has.
        has_row: of each number, whether the table has a row; more of them do not matter.
        counts: what both are added to; nothing where the log has no id.
    """
    if not before:
        return
    every, met = codes.values(), has_row[:before]
    counts.add(f"{side}s without a row in the {side}s table (kept)", (~met).sum())
    counts.joins.append(_join_of(side, files, every[:before], met, every[before:]))


def _join_of(
    side: str, files: Sequence[TableFile], ids: pl.Series, has_row: NDArray[np.bool_], others: pl.Series
) -> Join:
    """Count how many ids of a log have a row, and look for the reason where few have.

    Args:
        side: ``item`` or ``user``.
        files: of the table.
        ids: ``[n]`` those of the log.
        has_row: ``[n]`` which of them the table has.
        others: ids that the table alone has.
    """
    join = Join(side, in_words(files), len(ids), int(has_row.sum()))
    if join.met >= ENOUGH_MEET * join.ids:
        return join
    without = ids.filter(pl.Series(~has_row))
    pair, cause = _differ_by(without.head(_LOOKED_AT), others.head(_OTHERS))
    return Join(side, join.table, join.ids, join.met, pair or (without[0], _first(others)), cause)


def _differ_by(ids: pl.Series, others: pl.Series) -> tuple[tuple[str, str] | None, str | None]:
    """Find two ids that may mean the same, and by what they differ."""
    for cause, alike in _CAUSES:
        of_table = pl.DataFrame({"other": others, "key": alike(others)})
        found = pl.DataFrame({"id": ids, "key": alike(ids)}).join(
            of_table.unique("key", keep="first", maintain_order=True), on="key", maintain_order="left"
        )
        if found["id"].n_unique() > _SOME * len(ids):
            return (found["id"][0], found["other"][0]), cause
    return None, None


def _first(ids: pl.Series) -> str | None:
    return ids[0] if len(ids) else None
