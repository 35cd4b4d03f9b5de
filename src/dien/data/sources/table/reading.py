"""From files to a log: chunk by chunk, ids numbered on the way, nothing but small typed columns kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from dien.data.features import TIME_SINCE, Definition, Side
from dien.data.log import CONVERSION, WEIGHT, Log
from dien.data.readers.files import TableFile, find
from dien.data.readers.reader import Reader
from dien.data.sources.table.chunks import Columns, chunks
from dien.data.sources.table.duplicates import first_of_each
from dien.data.sources.table.spec import Behaviours, TableSpec
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import (
    Codes,
    at_least,
    conversions,
    ids,
    impressions,
    labels,
    splits,
    weights,
)
from dien.errors import DataError
from dien.progress import Progress

Column = tuple[str, Callable[[pl.Series], pl.Series]]
"""The name of a column in the files, and what parses it."""


def read(
    interactions: Sequence[Path] | None,
    items: Sequence[Path] | None,
    users: Sequence[Path] | None,
    spec: TableSpec,
    *,
    behaviours: Sequence[Path] | None = None,
    progress: Progress | None = None,
) -> Log:
    """Read interactions, behaviours of a log of their own, and what is known of items and users.

    Each is Parquet, CSV or JSON lines (the latter two gzip or plain), in files, folders or globs. A folder's
    name such as ``day=2024-01-01`` is a column of the files in it that have none of this name.

    Users are numbered by their first interaction, then those that only their table has, in its order; items
    likewise. Of interactions with the same user, item, time and impression the first click stays, or
    the first one where none is a click.

    Args:
        interactions: files, folders and globs, read in this order; None for items and users alone.
        items: likewise; None where nothing is known of items.
        users: likewise.
        spec: what the columns mean.
        behaviours: what histories are made of, where it is not in the interactions: files, folders and globs.
        progress: called with the number of bytes just read from disk, which add up to the size of all files.

    Returns:
        The log. Users and items that their table lacks stay, with unknown features, and are counted in
        ``excluded``, as are repeated interactions, those in no split, repeated behaviours (all their columns
        alike), and files without rows.

    Raises:
        DataError: a file is missing, damaged or of an unknown kind, a column is missing or holds what it
            should not, a key has two rows, or there is no interaction or no click.
    """
    for side, given in (("item", items), ("user", users)):
        named = [name for whose, name, _ in spec.features.named() if whose == side]
        if given is None and named and interactions is not None:
            raise DataError(
                f"features.{side} names {named[0]!r}, but there is no table of {side}s; give it "
                f"(--{side}s), or take the feature out of the schema"
            )
    if behaviours is None and spec.behaviours != Behaviours():
        raise DataError(
            "behaviours names columns, but there is no log of behaviours; give it (--behaviours), or take "
            "the key out of the schema"
        )
    user_codes, item_codes = Codes(), Codes()
    files = find(interactions) if interactions is not None else []
    excluded: dict[str, int] = {}
    sides: tuple[Side, ...] = ("behaviour", "context") if behaviours is None else ("context",)
    events = pl.DataFrame(schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64})
    if interactions is not None:
        events = _read_events(files, spec, sides, user_codes, item_codes, excluded, progress)
    alone = None
    if behaviours is not None:
        found = find(behaviours)
        files += found
        alone = _read_behaviours(found, spec, user_codes, item_codes, excluded, progress)
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
        behaviours=alone,
    )


def _read_events(
    files: Sequence[TableFile],
    spec: TableSpec,
    sides: Sequence[Side],
    users: Codes,
    items: Codes,
    excluded: dict[str, int],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read the interactions of all files, without those that repeat an earlier one.

    Args:
        files: in this order.
        spec: what the columns mean.
        sides: whose features are among the columns.
        users: numbers of the users so far.
        items: numbers of the items so far.
        excluded: counts what is left out.
        progress: as in :func:`read`.
    """
    roles = spec.interactions
    times, impression_codes = TimeParser(roles.time_unit), Codes()
    parsers: dict[str, Column] = {
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
    if roles.weight is not None:
        parsers[WEIGHT] = roles.weight, weights
    if roles.conversion is not None:
        parsers[CONVERSION] = roles.conversion, conversions
    events = _rows_of(files, "interactions", parsers, times, spec, sides, excluded, progress)
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
    if roles.weight is not None:
        excluded["interactions without a weight (kept, weight 1)"] = events[WEIGHT].null_count()
        events = events.with_columns(pl.col(WEIGHT).fill_null(1.0))
    if roles.conversion is not None:
        events = _conversions_of_clicks(events, excluded)
    return events


def _conversions_of_clicks(events: pl.DataFrame, excluded: dict[str, int]) -> pl.DataFrame:
    """Keep conversions of clicks: 1, 0, or -1 where it is not known; what was not clicked has 0."""
    clicked = pl.col("label") == 1 if "label" in events.columns else pl.lit(True)
    made = pl.col(CONVERSION)
    without, unknown = events.select(
        ((made == 1) & ~clicked).sum().alias("without"), (made.is_null() & clicked).sum().alias("unknown")
    ).row(0)
    excluded["conversions without a click (kept, not converted)"] = int(without)
    excluded["clicks whose conversion is not known (kept)"] = int(unknown)
    kept = pl.when(~clicked).then(0).otherwise(made.fill_null(-1))
    return events.with_columns(kept.cast(pl.Int8).alias(CONVERSION))


def _read_behaviours(
    files: Sequence[TableFile],
    spec: TableSpec,
    users: Codes,
    items: Codes,
    excluded: dict[str, int],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read a log of behaviours of its own, without rows that repeat an earlier one."""
    own, roles = spec.behaviours, spec.interactions
    times = TimeParser(own.time_unit or (roles.time_unit if own.time is None else None))
    parsers: dict[str, Column] = {
        "user": (own.user or roles.user, lambda values: _rows(users.encode(ids(values)))),
        "item": (own.item or roles.item, lambda values: _rows(items.encode(ids(values)))),
        "time": (own.time or roles.time, times.parse),
    }
    behaviours = _rows_of(files, "behaviours", parsers, times, spec, ("behaviour",), excluded, progress)
    if behaviours.is_empty():
        raise DataError(f"{_in_words(files)}: no behaviour; expected at least one row")
    first: pl.Series = behaviours.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    excluded["repeated behaviours (all columns alike)"] = int((~first).sum())
    return behaviours if first.all() else behaviours.filter(first)


def _rows_of(
    files: Sequence[TableFile],
    part: str,
    parsers: dict[str, Column],
    times: TimeParser,
    spec: TableSpec,
    sides: Sequence[Side],
    excluded: dict[str, int],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read the rows of all files of a part of the schema: its own columns, and the features of some sides."""
    parsers = dict(parsers)
    wanted: dict[str, str] = {}
    for role, (column, _) in parsers.items():
        wanted.setdefault(column, f"{part}.{role.lstrip('.')}")
    timed: dict[str, tuple[Definition, Codes]] = {}
    for side, name, feature in spec.features.named():
        if side not in sides or name == TIME_SINCE:
            continue
        if feature.timed:
            timed[name] = feature, Codes()
        else:
            parsers[name] = feature.column or name, _event_feature(feature)
            wanted.setdefault(feature.column or name, f"features.{side}.{name}")
    columns = Columns([*parsers, *timed])
    for chunk in chunks(files, wanted, times, excluded, progress):
        for name, (column, parser) in parsers.items():
            columns.add(name, chunk.parse(column, parser))
        for name, (feature, codes) in timed.items():
            columns.add(name, codes.categories(feature.of_time(columns.last("time"))))
    return columns.frame()


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
