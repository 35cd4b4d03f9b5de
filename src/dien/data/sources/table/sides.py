"""What is known of items and users, from a table of each: a row for each number that the log gave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from dien.data.features import Definition
from dien.data.log import Join
from dien.data.readers.files import TableFile
from dien.data.readers.reader import Reader
from dien.data.sources.table.chunks import Columns, chunks
from dien.data.sources.table.joins import join_of
from dien.data.sources.table.values import Codes, ids
from dien.errors import DataError
from dien.progress import Progress


def read_side(
    side: str,
    files: Sequence[TableFile],
    key: str,
    features: Mapping[str, Definition],
    codes: Codes,
    excluded: dict[str, int],
    joins: list[Join],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read the rows of all items or users, those of the interactions first; ``joins`` gets how they meet."""
    before = len(codes)
    columns = Columns([side, *features])
    starts: list[tuple[int, Reader, int]] = []
    height = 0
    wanted = {key: f"{side}s.{side}"}
    for name, one in features.items():
        wanted.setdefault(one.column or name, f"features.{side}.{name}")
    for chunk in chunks(files, wanted, None, excluded, progress):
        starts.append((height, chunk.reader, chunk.row))
        height += chunk.frame.height
        columns.add(side, chunk.parse(key, lambda values: codes.encode(ids(values))))
        for name, one in features.items():
            columns.add(name, chunk.parse(one.column or name, _side_feature(one)))
    frame = columns.frame()
    row_of = np.full(len(codes), height, np.uint32)  # of each number; the height where it has none
    if height:
        numbers = frame[side].to_numpy()
        row_of[numbers[::-1]] = np.arange(height - 1, -1, -1, dtype=np.uint32)
        again = row_of[numbers] != np.arange(height)
        if again.any():
            second = int(again.argmax())
            first = int(row_of[numbers[second]])
            name = codes.values()[int(numbers[second])]
            raise DataError(
                f"{_place(starts, second)}: column {key!r}: {name!r} has a row already "
                f"({_place(starts, first)}); expected one row for each {side}; keep one of them"
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


def _place(starts: list[tuple[int, Reader, int]], row: int) -> str:
    """Say where a row of the whole table is found.

    Args:
        starts: of each chunk: its first row in the table, its file, and that row in the file.
        row: in the table.
    """
    start, reader, first = next(chunk for chunk in reversed(starts) if chunk[0] <= row)
    return f"{reader.file.path}: {reader.place(first + row - start)}"


def _side_feature(feature: Definition) -> Callable[[pl.Series], pl.Series]:
    return lambda values: feature.parse(values, pl.Float64())
