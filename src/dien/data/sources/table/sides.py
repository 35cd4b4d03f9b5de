"""What is known of items and users, from a table of each: a row for each number that the log gave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dien.data.features import Categorical, Definition, Side
from dien.data.readers.files import TableFile
from dien.data.readers.reader import Chunk
from dien.data.sources.table.chunks import Columns, chunks
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.joins import count_meeting
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.values import Codes, ids
from dien.data.spelling import Spelling
from dien.errors import DataError

NAME = ".name"
"""The column of names: no feature's name begins with a dot."""


def read_side(
    side: Side, files: Sequence[TableFile], spec: TableSpec, codes: Codes, counts: Counts
) -> pl.DataFrame:
    """Read the rows of all items or users, those of the interactions first; names in a column :data:`NAME`.

    Args:
        side: item or user.
        files: of the table, in this order.
        spec: what the columns mean.
        codes: numbers of the ids so far.
        counts: what is left out or odd, and how the table and the log meet.

    Returns:
        The ids in the order of their numbers, and a column for each feature of the table.

    Raises:
        DataError: a row cannot be used, or two have one id, and the schema does not say which one counts.
    """
    part = spec.items if side == "item" else spec.users
    key, keep, features = part.key, part.keep, spec.features.of_table(side)
    before = len(codes)
    parsers = {name: _side_feature(one, codes.spelling) for name, one in features.items()}
    read_as = {name: one.column or name for name, one in features.items()}
    dtypes = {name: one.dtype for name, one in features.items()}
    if side == "item" and spec.items.name is not None:
        parsers[NAME], read_as[NAME] = Categorical().parser(pl.Float64()), spec.items.name
        dtypes[NAME] = pl.String()
    columns = Columns([side, *parsers])
    starts: list[tuple[int, Chunk]] = []
    height = 0
    wanted = {key: f"{side}s.{side}"}
    for name, column in read_as.items():
        wanted.setdefault(column, f"features.{side}.{name}" if name != NAME else "items.name")
    for chunk in chunks(files, wanted, None, {key: side}, counts):
        starts.append((height, replace(chunk, frame=chunk.frame.clear())))
        height += chunk.frame.height
        columns.add(side, chunk.parse(key, lambda values: codes.encode(ids(values))))
        for name, column in read_as.items():
            columns.add(name, chunk.parse(column, parsers[name]))
    frame = columns.frame()
    row_of = np.full(len(codes), height, np.uint32)  # of each number; the height where it has none
    if height:
        numbers = frame[side].to_numpy()
        rows_of = np.arange(height, dtype=np.uint32)
        order = slice(None, None, None if keep == "last" else -1)
        row_of[numbers[order]] = rows_of[order]  # of several the one that is written last
        again = row_of[numbers] != rows_of
        if again.any() and keep is not None:
            counts.add(f"rows of {side}s whose {side} has another row (the {keep} is kept)", again.sum())
        elif again.any():
            second = int(again.argmax())
            first = int(row_of[numbers[second]])
            name = codes.values()[int(numbers[second])]
            raise DataError(
                f"{_place(starts, second)}: column {key!r}: {name!r} has a row already "
                f"({_place(starts, first)}); expected one row for each {side}; remove one, or say "
                f"{side}s: {{keep: first}} (or last) in the schema, or {{time: COLUMN}} where a column says "
                "from when on a row holds"
            )
    missing = row_of == height
    count_meeting(side, files, codes, before, ~missing, counts)
    rows = pl.select(pl.when(~pl.Series(missing)).then(pl.Series(row_of))).to_series()
    return pl.DataFrame(
        {
            side: codes.values(),
            **{name: frame[name].cast(dtype).gather(rows) for name, dtype in dtypes.items()},
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
    read = feature.parser(pl.Float64())
    return lambda values: spelling(read(values))
