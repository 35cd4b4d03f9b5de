"""The rows of events of all files: columns that have a role, and features, as small typed columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from dien.data.features import Definition, Side
from dien.data.readers.files import TableFile
from dien.data.readers.reader import Chunk
from dien.data.sources.table.chunks import Columns, chunks
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import Codes, ids
from dien.data.spelling import Spelling
from dien.data.times import FromTime

Parse = Callable[[pl.Series], pl.Series]
"""Checks and converts a column."""


@dataclass(frozen=True)
class Role:
    """What a column of events is for.

    Attributes:
        column: its name, in the files or among those that a layout makes.
        parse: raises ``BadValueError`` for a value that it does not take.
        required: whether every row must have a value.
    """

    column: str
    parse: Parse
    required: bool = False


class Layout(Protocol):
    """Files that hold more in a row, or in their names, than one event."""

    @property
    def wanted(self) -> Mapping[str, str]:
        """The columns that it reads, and the key of the schema that names each."""

    @property
    def made(self) -> Sequence[str]:
        """The columns that it adds; no column of a file has such a name."""

    def rows(self, chunk: Chunk) -> Chunk:
        """Make the rows of a chunk those of its events.

        Raises:
            DataError: naming the file, the row and the column.
        """


def read_events(
    files: Sequence[TableFile],
    part: str,
    roles: Mapping[str, Role],
    features: Iterable[tuple[Side, str, Definition]],
    times: TimeParser,
    counts: Counts,
    layouts: Sequence[Layout] = (),
) -> pl.DataFrame:
    """Read the events of a part of the schema.

    Args:
        files: in this order.
        part: ``interactions`` or ``behaviours``.
        roles: what the columns are for, by the name that each gets; ``time`` is one.
        features: those among the columns.
        times: of this part.
        counts: what is left out or odd.
        layouts: applied in this order.

    Returns:
        A column for each role and each feature ``[E]``.

    Raises:
        DataError: a file is damaged, a column is missing or holds what it should not.
    """
    parsers = {name: (role.column, role.parse) for name, role in roles.items()}
    columns_of = {name: (role.column,) for name, role in roles.items()} | {"time": times.columns}
    wanted: dict[str, str] = {}
    for name, columns in columns_of.items():
        for column in columns:
            wanted.setdefault(column, f"{part}.{name.lstrip('.')}")
    timed: dict[str, tuple[FromTime, Codes]] = {}
    for side, name, feature in features:
        if (told := feature.timed) is not None:
            timed[name] = told, Codes(counts.spelling)
        else:
            column = feature.column or name
            precision = pl.Float32() if feature.from_ is None else pl.Float64()  # as in a table of items
            parsers[name] = column, feature_parser(feature, counts.spelling, precision)
            wanted.setdefault(column, f"features.{side}.{name}")
    for layout in layouts:
        wanted = {**layout.wanted, **wanted}
    made = {name for layout in layouts for name in layout.made}
    wanted = {name: key for name, key in wanted.items() if name not in made}
    required = {column: name for name, role in roles.items() if role.required for column in columns_of[name]}
    events = Columns([*parsers, *timed])
    for chunk in chunks(files, wanted, times, required, counts):
        for layout in layouts:
            chunk = layout.rows(chunk)
        if chunk.frame.is_empty():
            continue
        for name, (column, parse) in parsers.items():
            events.add(name, chunk.parse(column, parse))
        for name, (told, codes) in timed.items():
            events.add(name, codes.categories(told.of(events.last("time"))))
    return events.frame()


def rows_in(codes: Codes, read: Parse = ids) -> Parse:
    """Make a parser of ids: Int32, the row of each in its table, from 1.

    Args:
        codes: numbers of the ids so far.
        read: reads ids of a column as text.
    """

    def parse(values: pl.Series) -> pl.Series:
        rows: pl.Series = (codes.encode(read(values)) + 1).cast(pl.Int32)
        return rows

    return parse


def as_they_are(values: pl.Series) -> pl.Series:
    """Take a column that a layout has made."""
    return values


def feature_parser(feature: Definition, spelling: Spelling, precision: pl.DataType) -> Parse:
    """Make a parser of a feature of many rows, so that text is encoded.

    Args:
        feature: its definition.
        spelling: gives categories their one spelling.
        precision: of numbers.
    """
    codes = Codes(spelling)
    read = feature.parser(precision)

    def parse(values: pl.Series) -> pl.Series:
        parsed = read(values)
        return codes.categories(parsed) if parsed.dtype == pl.String else spelling(parsed)

    return parse
