"""From files to a log: the interactions, what is known of items and users, and how all fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from dien.data.features import Side
from dien.data.log import Log
from dien.data.readers.files import TableFile, find, first_rows
from dien.data.readers.source_file import SourceFile
from dien.data.readers.text_format import TextFormat
from dien.data.sources.table.attributes import changes_of_each, latest_of_each, no_changes
from dien.data.sources.table.behaviours import read_behaviours
from dien.data.sources.table.changes import read_changes
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.form_of import form_of
from dien.data.sources.table.incomplete import Incomplete
from dien.data.sources.table.interactions import read_interactions
from dien.data.sources.table.own_histories import OwnHistories
from dien.data.sources.table.sides import NAME, read_side
from dien.data.sources.table.spec import Behaviours, TableSpec
from dien.data.sources.table.split_files import SplitFiles
from dien.data.sources.table.time_keys import expect_clock, parser_of
from dien.data.sources.table.values import Codes
from dien.data.sources.table.vectors import with_vectors
from dien.data.tables import SplitName
from dien.errors import DataError
from dien.progress import Progress

_TABLES: tuple[Side, ...] = ("item", "user")
_NO_EVENTS = pl.DataFrame(schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64})


def read(
    interactions: Sequence[Path] | Mapping[SplitName, Sequence[Path]] | None,
    items: Sequence[Path] | None,
    users: Sequence[Path] | None,
    spec: TableSpec,
    *,
    behaviours: Sequence[Path] | None = None,
    head: int | None = None,
    skip_bad: int = 0,
    progress: Progress | None = None,
) -> Log:
    """Read interactions, behaviours of a log of their own, and what is known of items and users.

    Each is Parquet, CSV or JSON lines (these two packed or plain), in files, folders or globs. A folder's
    name such as ``day=2024-01-01`` is a column of the files in it that have none of this name.

    Users are numbered by their first interaction, then those that only their table has, in its order; items
    likewise. Of interactions with the same user, item, time and impression the first click stays, or
    the first one where none is a click.

    Args:
        interactions: files, folders and globs, read in this order; those of each split where the log is split
            already; None for items and users alone.
        items: likewise; None where nothing is known of items.
        users: likewise.
        spec: what the columns mean.
        behaviours: what histories are made of, where it is not in the interactions: files, folders and globs.
        head: read at most so many rows of a file of events, and of a few files, to try a schema; None for
            all.
        skip_bad: how many rows that lack a user, an item, a time or a label may be left out, over all files.
        progress: called with the number of bytes just read from disk, which add up to the size of all files.

    Returns:
        The log. Users and items that their table lacks stay, with unknown features, and are counted in
        ``excluded``, as are rows that lack a value (by reason and column), repeated interactions, those in
        no split, repeated behaviours (all their columns alike), and files without rows.

    Raises:
        DataError: a file is missing, damaged or of an unknown kind, a column is missing or holds what it
            should not, a key has two rows, there is no interaction or no click, or a key of the
            schema is still to be filled in.
    """
    spec.expect_filled_in()
    _expect_to_fit(spec, interactions, {"item": items, "user": users}, behaviours)
    text, split_files = spec.interactions.text(), None
    if isinstance(interactions, Mapping):
        split_files = SplitFiles(interactions, text)
        of_interactions = split_files.files
    else:
        of_interactions = _found(interactions, text, head)
    files = {
        "interactions": of_interactions,
        "behaviours": _found(behaviours, spec.behaviours.text(), head),
        "item": _found(items, spec.items.text()),
        "user": _found(users, spec.users.text()),
    }
    counts = Counts(Incomplete(skip_bad), progress)
    codes: dict[Side, Codes] = {"user": Codes(counts.spelling), "item": Codes(counts.spelling)}
    own = None
    if spec.interactions.history is not None:
        own = OwnHistories(spec.interactions.history, spec, codes["item"])
    times = parser_of(spec.interactions)
    events = _NO_EVENTS
    if interactions is not None:
        alone = behaviours is not None or own is not None
        sides: tuple[Side, ...] = ("context",) if alone else ("behaviour", "context")
        found = files["interactions"]
        events = read_interactions(found, spec, times, sides, codes, counts, split_files=split_files, own=own)
    in_histories = pl.DataFrame() if own is None else own.behaviours
    of_histories = None
    if own is not None:
        of_histories = in_histories.drop(spec.features.of_interactions("item"), strict=False)
    if behaviours is not None:
        of_histories = read_behaviours(files["behaviours"], spec, codes, counts)
    tables: dict[Side, pl.DataFrame] = {}
    of_vectors: list[SourceFile] = []
    changes: dict[str, pl.DataFrame] = {}
    for side in _TABLES:
        part = spec.items if side == "item" else spec.users
        if files[side] and part.time is None:
            table = read_side(side, files[side], spec, codes[side], counts)
        else:
            if files[side]:
                changes |= read_changes(side, files[side], spec, codes[side], counts)
            table = pl.DataFrame({side: codes[side].values()})
        of_log = spec.features.of_interactions(side)
        if interactions is None:
            static = {name: one.dtype for name, one in of_log.items() if not one.changes}
            table = table.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in static.items())
            changes |= no_changes(side, of_log)
        elif of_log:
            table = table.hstack(latest_of_each(events, in_histories, side, of_log, table.height, counts))
            changes |= changes_of_each(events, in_histories, side, of_log, counts)
            events = events.drop(of_log)
        for name, one in spec.features.of_files(side).items():
            table, read_too = with_vectors(side, table, name, one, counts)
            of_vectors += read_too
        tables[side] = table
    items_of_log = tables["item"]
    names = None
    if NAME in items_of_log.columns:
        names = items_of_log.select("item", pl.col(NAME).alias("name"))
        items_of_log = items_of_log.drop(NAME)
    return Log(
        events=events,
        items=items_of_log,
        users=tables["user"],
        sources=(*(file.source() for part in files.values() for file in part), *of_vectors),
        excluded=counts.found(),
        features=spec.definitions(),
        changes=changes,
        behaviours=of_histories,
        joins=tuple(counts.joins),
        times=times.times if interactions is not None else None,
        form=form_of(spec) if interactions is not None else None,
        names=names,
    )


def _found(paths: Sequence[Path] | None, text: TextFormat, head: int | None = None) -> list[TableFile]:
    """List the files of a table; none where it is not given."""
    return [] if paths is None else first_rows(find(paths, text), head)


def _expect_to_fit(
    spec: TableSpec,
    interactions: Sequence[Path] | Mapping[SplitName, Sequence[Path]] | None,
    tables: Mapping[Side, Sequence[Path] | None],
    behaviours: Sequence[Path] | None,
) -> None:
    """Refuse a schema that says what the tables given do not have, or says one thing twice.

    Raises:
        DataError: naming the key.
    """
    roles = spec.interactions
    if len(roles.labels) > 1:
        raise DataError(
            f"interactions: {' and '.join(roles.labels)} each say what was clicked; keep one of "
            "them (--label is one, too)"
        )
    for side, given in tables.items():
        named = list(spec.features.of_table(side))
        if given is None and named and interactions is not None:
            raise DataError(
                f"features.{side} names {named[0]!r}, but there is no table of {side}s; give it "
                f"(--{side}s), read it from the interactions ({named[0]}: {{from: interactions}}), or take "
                "the feature out of the schema"
            )
    if spec.items.name is not None and tables["item"] is None and interactions is not None:
        raise DataError(
            f"items.name names {spec.items.name!r}, but there is no table of items; give it (--items), or "
            "take the key out of the schema"
        )
    if behaviours is None and spec.behaviours != Behaviours():
        raise DataError(
            "behaviours names columns, but there is no log of behaviours; give it (--behaviours), or take "
            "the key out of the schema"
        )
    expect_clock(spec, behaviours is not None)
    if roles.history is not None and behaviours is not None:
        raise DataError(
            "interactions.history and a log of behaviours both say what histories hold; take the key out "
            "of the schema, or leave --behaviours out"
        )
    if isinstance(interactions, Mapping) and roles.split is not None:
        raise DataError(
            f"interactions.split names the column {roles.split!r}, and the files are given by "
            "split, too; take the key out of the schema, or give all files as --interactions"
        )
