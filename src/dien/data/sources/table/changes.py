"""What is known of items and users from rows that say from when on they hold: every value with its time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dien.data.features import Definition, Side
from dien.data.readers.files import TableFile
from dien.data.readers.reader import Chunk
from dien.data.sources.table.chunks import chunks
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.event_rows import Parse, feature_parser, rows_in
from dien.data.sources.table.joins import count_meeting
from dien.data.sources.table.side_keys import Items, Users
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.time_keys import times_of
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import Codes
from dien.errors import DataError, nearest

_NAMED = 5  # properties that a warning names


def read_changes(
    side: Side, files: Sequence[TableFile], spec: TableSpec, codes: Codes, counts: Counts
) -> dict[str, pl.DataFrame]:
    """Read the rows of a table of items or users that has times.

    Of properties that no feature names nothing is kept.

    Args:
        side: item or user.
        files: of the table, in this order.
        spec: what the columns mean.
        codes: numbers of the ids so far.
        counts: what is left out or odd, and how the table and the log meet.

    Returns:
        For each feature of the table its values, as :class:`~dien.data.log.Log` has them. Of one second the
        last row counts, and a value that is the one before again is no change.

    Raises:
        DataError: a row cannot be used, or it is not known of which zone its time is.
    """
    part = spec.items if side == "item" else spec.users
    assert part.time is not None
    features = spec.features.of_table(side)
    times = times_of(part, f"{side}s")
    table = _Table(side, part, features, codes, times, counts)
    before = len(codes)
    read: dict[str, list[pl.DataFrame]] = {name: [] for name in features}
    for chunk in chunks(files, table.wanted(), times, table.required(), counts):
        for name, rows in table.rows(chunk):
            read[name].append(rows)
    _expect_zone(side, part, times, spec)
    if part.property is not None:
        table.tell_of_properties(files)
    changes = {name: ordered(side, name, parts, features[name], counts) for name, parts in read.items()}
    if part.before == "first":
        for name, frame in changes.items():
            told = f"{side}s whose first {name} holds before its time, too (as {side}s.before says)"
            counts.add(told, frame[side].n_unique())
            changes[name] = from_the_start(side, frame)
    has_row = np.zeros(len(codes), bool)
    for rows_of_chunk in table.seen:
        has_row[rows_of_chunk.to_numpy() - 1] = True
    count_meeting(side, files, codes, before, has_row, counts)
    return changes


class _Table:
    """Takes the rows of each feature out of the chunks of a table.

    Attributes:
        seen: distinct rows of ids of each chunk.
    """

    def __init__(
        self,
        side: Side,
        part: Items | Users,
        features: dict[str, Definition],
        codes: Codes,
        times: TimeParser,
        counts: Counts,
    ) -> None:
        self._side, self._part, self._times, self._counts = side, part, times, counts
        self._key = part.key
        self._columns = {name: one.column or name for name, one in features.items()}
        self._parse_id = rows_in(codes)
        self._parse: dict[str, Parse] = {
            name: feature_parser(one, counts.spelling, pl.Float64()) for name, one in features.items()
        }
        self._found: set[str] = set()
        self.seen: list[pl.Series] = []
        self._others: dict[str, None] = {}  # in order, without repetition

    def wanted(self) -> dict[str, str]:
        """Name the columns to read, and the key of the schema that names each."""
        table = f"{self._side}s"
        wanted = {self._key: f"{table}.{self._side}"}
        for column in self._times.columns:
            wanted.setdefault(column, f"{table}.time")
        if self._part.property is not None and self._part.value is not None:
            wanted.setdefault(self._part.property, f"{table}.property")
            wanted.setdefault(self._part.value, f"{table}.value")
        else:
            for name, column in self._columns.items():
                wanted.setdefault(column, f"features.{self._side}.{name}")
        return wanted

    def required(self) -> dict[str, str]:
        """Name the columns that must have a value in every row."""
        return {self._key: self._side} | dict.fromkeys(self._times.columns, "time")

    def rows(self, chunk: Chunk) -> Iterator[tuple[str, pl.DataFrame]]:
        """Give the rows of each feature: the row of the id, the time and the value."""
        if self._part.property is None:
            if chunk.frame.is_empty():
                return
            own = self._own(chunk)
            for name, column in self._columns.items():
                yield name, own.with_columns(chunk.parse(column, self._parse[name]).alias(name))
            return
        properties = chunk.parse(self._part.property, lambda values: values.cast(pl.String))
        named = properties.is_in(list(self._columns.values()))
        self._counts.add(f"rows of {self._side}s of other properties (not read)", int((~named).sum()))
        if len(self._others) < _NAMED:
            self._others |= dict.fromkeys(properties.filter(~named).unique(maintain_order=True).head(_NAMED))
        if not named.any():
            return
        chunk, properties = _rows_of(chunk, named), properties.filter(named)
        own = self._own(chunk)
        for name, column in self._columns.items():
            of_it = properties == column
            if not of_it.any():
                continue
            self._found.add(name)
            assert self._part.value is not None
            values = _rows_of(chunk, of_it).parse(self._part.value, self._parse[name])
            yield name, own.filter(of_it).with_columns(values.alias(name))

    def _own(self, chunk: Chunk) -> pl.DataFrame:
        """Read the ids and the times of the rows."""
        ids = chunk.parse(self._key, self._parse_id)
        self.seen.append(ids.unique())
        return pl.DataFrame({self._side: ids, "time": chunk.parse(self._times.column, self._times.parse)})

    def tell_of_properties(self, files: Sequence[TableFile]) -> None:
        """Warn of features whose property no row has."""
        for name, column in self._columns.items():
            if name in self._found:
                continue
            others = f"found {', '.join(map(repr, self._others))}, ..." if self._others else "found none"
            close = nearest(column, self._others)
            mean = f"; did you mean {close!r}?" if close else ""
            warnings.warn(
                f"{files[0].path}: no row has the property {column!r} (column {self._part.property!r}), as "
                f"features.{self._side}.{name} names it; {others}{mean}",
                stacklevel=4,
            )


def _rows_of(chunk: Chunk, chosen: pl.Series) -> Chunk:
    """Take some rows of a chunk, which keep their place in the file."""
    rows = chunk.row + np.arange(chunk.frame.height) if isinstance(chunk.row, int) else chunk.row
    return replace(chunk, frame=chunk.frame.filter(chosen), row=rows[chosen.to_numpy()])


def ordered(
    side: Side, name: str, parts: Sequence[pl.DataFrame], feature: Definition, counts: Counts
) -> pl.DataFrame:
    """Put the values of a feature in order of rows and time, and leave out what does not change it."""
    if not parts:
        return pl.DataFrame(schema={side: pl.Int32, "time": pl.Int64, name: feature.dtype})
    frame = pl.concat(parts, rechunk=True).sort(side, "time", maintain_order=True)
    value, own = pl.col(name), (side, "time")
    passed = pl.all_horizontal(pl.col(key) == pl.col(key).shift(-1) for key in own).fill_null(False)
    others = frame.select((passed & value.ne_missing(value.shift(-1))).sum()).item()
    counts.add(f"values of {name} with another one of the same {side} and second (the last is kept)", others)
    found = frame.filter(~passed)
    found = found.filter(
        pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in (side, name))
    )
    changed = int((found[side].value_counts()["count"] > 1).sum())
    counts.add(f"{side}s whose {name} changes over time (kept, each value from its time on)", changed)
    return found


def from_the_start(side: Side, frame: pl.DataFrame) -> pl.DataFrame:
    """Let the first value of each item or user hold before its time, too."""
    first = frame.unique(side, keep="first", maintain_order=True).with_columns(time=pl.lit(0, pl.Int64))
    both = pl.concat([frame, first]).sort(side, "time", maintain_order=True)
    return both.unique([side, "time"], keep="first", maintain_order=True)


def _expect_zone(side: Side, part: Items | Users, times: TimeParser, spec: TableSpec) -> None:
    """Refuse times without a zone, where those of the interactions have one: an hour off is a leak."""
    zone = spec.interactions.time_zone
    if zone is not None and part.time_zone is None and times.without_zone:
        raise DataError(
            f"{side}s.time: its times name no zone, and interactions.time_zone is {zone}; say {side}s: "
            f"{{time_zone: {zone}}}, or UTC, in the schema"
        )
