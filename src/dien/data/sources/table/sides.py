"""What is known of items and users, from a table of each: a row for each number that the log gave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from dien.data.features import Definition
from dien.data.log import Join
from dien.data.readers.files import TableFile
from dien.data.readers.reader import Chunk
from dien.data.sources.table.chunks import Columns, chunks
from dien.data.sources.table.incomplete import Incomplete
from dien.data.sources.table.joins import join_of
from dien.data.sources.table.values import Codes, ids
from dien.data.spelling import Spelling
from dien.errors import DataError
from dien.progress import Progress


def read_side(
    side: str,
    files: Sequence[TableFile],
    key: str,
    features: Mapping[str, Definition],
    codes: Codes,
    keep: Literal["first", "last"] | None,
    incomplete: Incomplete,
    excluded: dict[str, int],
    joins: list[Join],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read the rows of all items or users, those of the interactions first.

    Args:
        side: item or user.
        files: of the table, in this order.
        key: the column of ids.
        features: by name.
        codes: numbers of the ids so far.
        keep: which of several rows with one id counts; None where there must not be several.
        incomplete: leaves out rows that lack an id.
        excluded: counts what is left out.
        joins: gets how the table and the log meet.
        progress: as in :func:`~dien.data.sources.table.reading.read`.
    """
    before = len(codes)
    columns = Columns([side, *features])
    starts: list[tuple[int, Chunk]] = []
    height = 0
    wanted = {key: f"{side}s.{side}"}
    for name, one in features.items():
        wanted.setdefault(one.column or name, f"features.{side}.{name}")
    for chunk in chunks(files, wanted, None, {key: side}, incomplete, excluded, progress):
        starts.append((height, replace(chunk, frame=chunk.frame.clear())))
        height += chunk.frame.height
        columns.add(side, chunk.parse(key, lambda values: codes.encode(ids(values))))
        for name, one in features.items():
            columns.add(name, chunk.parse(one.column or name, _side_feature(one, codes.spelling)))
    frame = columns.frame()
    row_of = np.full(len(codes), height, np.uint32)  # of each number; the height where it has none
    if height:
        numbers = frame[side].to_numpy()
        rows_of = np.arange(height, dtype=np.uint32)
        order = slice(None, None, None if keep == "last" else -1)
        row_of[numbers[order]] = rows_of[order]  # of several the one that is written last
        again = row_of[numbers] != rows_of
        if again.any() and keep is not None:
            excluded[f"rows of {side}s whose {side} has another row (the {keep} is kept)"] = int(again.sum())
        elif again.any():
            second = int(again.argmax())
            first = int(row_of[numbers[second]])
            name = codes.values()[int(numbers[second])]
            raise DataError(
                f"{_place(starts, second)}: column {key!r}: {name!r} has a row already "
                f"({_place(starts, first)}); expected one row for each {side}; remove one, or say "
                f"{side}s: {{keep: first}} (or last) in the schema"
            )
    missing = row_of == height
    excluded[f"{side}s without a row in the {side}s table (kept)"] = int(missing[:before].sum())
    if before:
        every = codes.values()
        joins.append(join_of(side, files, every[:before], ~missing[:before], every[before:]))
    rows = pl.select(pl.when(~pl.Series(missing)).then(pl.Series(row_of))).to_series()
    return pl.DataFrame(
        {
            side: codes.values(),
            **{name: frame[name].cast(one.dtype).gather(rows) for name, one in features.items()},
        }
    )


def _place(starts: list[tuple[int, Chunk]], row: int) -> str:
    """Say where a row of the whole table is found.

    Args:
        starts: of each chunk: its first row in the table, and the chunk without its rows.
        row: in the table.
    """
    start, chunk = next(found for found in reversed(starts) if found[0] <= row)
    return chunk.place(row - start)


def _side_feature(feature: Definition, spelling: Spelling) -> Callable[[pl.Series], pl.Series]:
    return lambda values: spelling(feature.parse(values, pl.Float64()))
