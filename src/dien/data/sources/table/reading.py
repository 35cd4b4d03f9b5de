"""From files to a log: chunk by chunk, ids numbered on the way, nothing but small typed columns kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from dien.data.features import TIME_SINCE, Definition
from dien.data.log import Log
from dien.data.readers.files import TableFile, find
from dien.data.readers.messages import no_column
from dien.data.readers.reader import Chunk, Reader, open_table, read_chunks
from dien.data.sources.table.duplicates import first_of_each
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import (
    Codes,
    at_least,
    ids,
    impressions,
    labels,
    splits,
)
from dien.errors import DataError
from dien.progress import Progress


def read(
    interactions: Sequence[Path],
    items: Sequence[Path] | None,
    users: Sequence[Path] | None,
    spec: TableSpec,
    *,
    progress: Progress | None = None,
) -> Log:
    """Read interactions, and what is known of items and users.

    Each is Parquet, CSV or JSON lines (the latter two gzip or plain), in files, folders or globs. A folder's
    name such as ``day=2024-01-01`` is a column of the files in it that have none of this name.

    Users are numbered by their first interaction, then those that only their table has, in its order; items
    likewise. Of interactions with the same user, item, time and impression the first click stays, or
    the first one where none is a click.

    Args:
        interactions: files, folders and globs, read in this order.
        items: likewise; None where nothing is known of items.
        users: likewise.
        spec: what the columns mean.
        progress: called with the number of bytes just read from disk, which add up to the size of all files.

    Returns:
        The log. Users and items that their table lacks stay, with unknown features, and are counted in
        ``excluded``, as are repeated interactions, those in no split, and files without rows.

    Raises:
        DataError: a file is missing, damaged or of an unknown kind, a column is missing or holds what it
            should not, a key has two rows, or there is no interaction or no click.
    """
    for side, given in (("item", items), ("user", users)):
        named = [name for whose, name, _ in spec.features.named() if whose == side]
        if given is None and named:
            raise DataError(
                f"features.{side} names {named[0]!r}, but there is no table of {side}s; give it "
                f"(--{side}s), or take the feature out of the schema"
            )
    user_codes, item_codes = Codes(), Codes()
    files = find(interactions)
    excluded: dict[str, int] = {}
    events = _read_events(files, spec, user_codes, item_codes, excluded, progress)
    tables = {}
    for side, key, codes, paths in (
        ("item", spec.items.item, item_codes, items),
        ("user", spec.users.user, user_codes, users),
    ):
        if paths is None:
            tables[side] = pl.DataFrame({side: codes.values()})
        else:
            found = find(paths)
            files += found
            features = {name: one for whose, name, one in spec.features.named() if whose == side}
            tables[side] = _read_side(side, found, key, features, codes, excluded, progress)
    return Log(
        events=events,
        items=tables["item"],
        users=tables["user"],
        sources=tuple(file.source() for file in files),
        excluded={reason: count for reason, count in excluded.items() if count},
        features=spec.definitions(),
    )


def _read_events(
    files: Sequence[TableFile],
    spec: TableSpec,
    users: Codes,
    items: Codes,
    excluded: dict[str, int],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read the events of all files, without those that repeat an earlier one."""
    roles = spec.interactions
    times, impression_codes = TimeParser(roles.time_unit), Codes()
    parsers: dict[str, tuple[str, Callable[[pl.Series], pl.Series]]] = {
        "user": (roles.user, lambda values: _rows(users.encode(ids(values)))),
        "item": (roles.item, lambda values: _rows(items.encode(ids(values)))),
        "time": (roles.time, times.parse),
    }
    if roles.label is not None:
        limit = roles.threshold
        parsers["label"] = (
            roles.label,
            labels if limit is None else lambda values: at_least(values, limit),
        )
    if roles.impression is not None:
        parsers["impression"] = roles.impression, lambda values: impressions(values, impression_codes)
    if roles.split is not None:
        parsers["split"] = roles.split, splits
    wanted: dict[str, str] = {}
    for role, (column, _) in parsers.items():
        wanted.setdefault(column, f"interactions.{role}")
    timed: dict[str, tuple[Definition, Codes]] = {}
    for side, name, feature in spec.features.named():
        if side not in ("behaviour", "context") or name == TIME_SINCE:
            continue
        if feature.timed:
            timed[name] = feature, Codes()
        else:
            parsers[name] = feature.column or name, _event_feature(feature)
            wanted.setdefault(feature.column or name, f"features.{side}.{name}")
    columns = _Columns([*parsers, *timed])
    for chunk in _chunks(files, wanted, times, excluded, progress):
        for name, (column, parser) in parsers.items():
            columns.add(name, chunk.parse(column, parser))
        for name, (feature, codes) in timed.items():
            columns.add(name, codes.categories(feature.of_time(columns.last("time"))))
    events = columns.frame()
    if events.is_empty():
        raise DataError(f"{_in_words(files)}: no interaction; expected at least one row with a click")
    if roles.label is not None and not (events["label"] == 1).any():
        raise DataError(
            f"{_in_words(files)}: column {roles.label!r}: no label is 1"
            + (f" ({roles.threshold:g} or more)" if roles.threshold is not None else "")
            + "; expected at least one click; name the right column (interactions.label), or none where "
            "every row is a click"
        )
    kept = first_of_each(
        events["user"].to_numpy(),
        events["item"].to_numpy(),
        events["time"].to_numpy(),
        events["impression"].to_numpy() if roles.impression is not None else None,
        events["label"].to_numpy() if roles.label is not None else None,
    )
    if kept is not None:
        excluded["repeated interactions (same user, item, time and impression)"] = int((~kept).sum())
        events = events.filter(pl.Series(kept))
    if roles.split is not None:
        excluded["interactions in no split (kept)"] = int((events["split"] == 3).sum())
    return events


def _read_side(
    side: str,
    files: Sequence[TableFile],
    key: str,
    features: Mapping[str, Definition],
    codes: Codes,
    excluded: dict[str, int],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read the rows of all items or users, those of the interactions first."""
    before = len(codes)
    columns = _Columns([side, *features])
    starts: list[tuple[int, Reader, int]] = []
    height = 0
    wanted = {key: f"{side}s.{side}"}
    for name, one in features.items():
        wanted.setdefault(one.column or name, f"features.{side}.{name}")
    for chunk in _chunks(files, wanted, None, excluded, progress):
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


@dataclass
class _Columns:
    """Columns collected chunk by chunk."""

    names: list[str]
    parts: dict[str, list[pl.Series]] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = {name: [] for name in self.names}

    def add(self, name: str, part: pl.Series) -> None:
        self.parts[name].append(part)

    def last(self, name: str) -> pl.Series:
        return self.parts[name][-1]

    def frame(self) -> pl.DataFrame:
        """Join the parts, and forget them column by column: never are all there twice."""
        joined = {}
        for name in self.names:
            parts = self.parts.pop(name)
            joined[name] = pl.concat(parts, rechunk=True) if parts else pl.Series([], dtype=pl.Null)
        return pl.DataFrame(joined)


def _chunks(
    files: Sequence[TableFile],
    wanted: Mapping[str, str],
    times: TimeParser | None,
    excluded: dict[str, int],
    progress: Progress | None,
) -> Iterator[Chunk]:
    """Read the wanted columns of all files; those of the folders' names are among them.

    Args:
        files: in this order.
        wanted: the key of the schema that names a column, by column.
        times: parser of the time column; a file may have another unit than the one before.
        excluded: counts files without rows.
        progress: as in :func:`read`.
    """
    complete: TableFile | None = None  # a file that has all columns
    json_readers: list[tuple[Reader, list[str]]] = []
    for file in files:
        if times is not None:
            times.start_file(str(file.path))
        reader = open_table(file)
        found = reader.columns()
        partition = {
            name: value for name, value in file.partition.items() if name in wanted and name not in found
        }
        inside = [name for name in wanted if name not in partition]
        missing = [name for name in inside if name not in found]
        if missing and file.format != "jsonl":  # a line may lack a key
            raise _missing(reader, missing[0], wanted, complete)
        rows = 0
        for chunk in read_chunks(reader, inside, progress):
            rows += chunk.frame.height
            constant = (pl.lit(value, pl.String).alias(name) for name, value in partition.items())
            yield replace(chunk, frame=chunk.frame.with_columns(*constant))
        if not rows:
            excluded["files without rows"] = excluded.get("files without rows", 0) + 1
        elif file.format == "jsonl":
            json_readers.append((reader, inside))
        else:
            complete = file
    for reader, inside in json_readers:
        for name in inside:
            if not any(other.has(name) for other, _ in json_readers):
                raise _missing(reader, name, wanted, complete)


def _missing(reader: Reader, column: str, wanted: Mapping[str, str], complete: TableFile | None) -> DataError:
    found = [*reader.columns(), *reader.file.partition]
    also = f"{complete.path} has it: expected the same columns in all files; " if complete else ""
    key = wanted[column]
    role = key.removeprefix("interactions.")
    option = f" (or by --{role})" if role in ("user", "item", "time", "label") else ""
    mend = f"{also}{key} names it: name the right column in the schema{option}, or add it to the file"
    return no_column(reader.file.path, column, found, mend)


def _rows(codes: pl.Series) -> pl.Series:
    """Convert codes, from 0, to rows of a table, from 1."""
    rows: pl.Series = (codes + 1).cast(pl.Int32)
    return rows


def _event_feature(feature: Definition) -> Callable[[pl.Series], pl.Series]:
    """Make a parser of a feature of events: they are many, so text is encoded, numbers have 32 bits."""
    codes = Codes()

    def parse(values: pl.Series) -> pl.Series:
        parsed = feature.parse(values, pl.Float32())
        return codes.categories(parsed) if parsed.dtype == pl.String else parsed

    return parse


def _side_feature(feature: Definition) -> Callable[[pl.Series], pl.Series]:
    return lambda values: feature.parse(values, pl.Float64())


def _in_words(files: Sequence[TableFile]) -> str:
    return str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more files"
