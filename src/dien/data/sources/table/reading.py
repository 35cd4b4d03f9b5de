"""From files to a log: the interactions, what is known of items and users, and how all fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from dien.data.features import Side
from dien.data.log import Join, Log
from dien.data.readers.files import TableFile, find, first_rows
from dien.data.sources.table.attributes import latest_of_each
from dien.data.sources.table.incomplete import Incomplete
from dien.data.sources.table.interactions import read_behaviours, read_interactions
from dien.data.sources.table.own_histories import OwnHistories
from dien.data.sources.table.sides import read_side
from dien.data.sources.table.spec import Behaviours, TableSpec
from dien.data.sources.table.split_files import SplitFiles
from dien.data.sources.table.time_keys import expect_clock, parser_of
from dien.data.sources.table.values import Codes
from dien.data.spelling import Spelling
from dien.data.tables import SplitName
from dien.errors import DataError
from dien.progress import Progress


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
    if len(spec.interactions.labels) > 1:
        raise DataError(
            f"interactions: {' and '.join(spec.interactions.labels)} each say what was clicked; keep one of "
            "them (--label is one, too)"
        )
    tabled: tuple[tuple[Side, Sequence[Path] | None], ...] = (("item", items), ("user", users))
    for side, given in tabled:
        named = list(spec.features.of_table(side))
        if given is None and named and interactions is not None:
            raise DataError(
                f"features.{side} names {named[0]!r}, but there is no table of {side}s; give it "
                f"(--{side}s), read it from the interactions ({named[0]}: {{from: interactions}}), or take "
                "the feature out of the schema"
            )
    if behaviours is None and spec.behaviours != Behaviours():
        raise DataError(
            "behaviours names columns, but there is no log of behaviours; give it (--behaviours), or take "
            "the key out of the schema"
        )
    spelling, incomplete = Spelling(), Incomplete(skip_bad)
    user_codes, item_codes = Codes(spelling), Codes(spelling)
    expect_clock(spec, behaviours is not None)
    own = None
    if spec.interactions.history is not None:
        if behaviours is not None:
            raise DataError(
                "interactions.history and a log of behaviours both say what histories hold; take the key out "
                "of the schema, or leave --behaviours out"
            )
        own = OwnHistories(spec.interactions.history, spec, item_codes)
    times = parser_of(spec.interactions)
    text = spec.interactions.text()
    split_files = SplitFiles(interactions, text) if isinstance(interactions, Mapping) else None
    if split_files is not None and spec.interactions.split is not None:
        raise DataError(
            f"interactions.split names the column {spec.interactions.split!r}, and the files are given by "
            "split, too; take the key out of the schema, or give all files as --interactions"
        )
    files: list[TableFile] = []
    if split_files is not None:
        files = list(split_files.files)
    elif interactions is not None and not isinstance(interactions, Mapping):
        files = first_rows(find(interactions, text), head)
    excluded: dict[str, int] = {}
    sides: tuple[Side, ...] = ("behaviour", "context") if behaviours is None and own is None else ("context",)
    events = pl.DataFrame(schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64})
    if interactions is not None:
        events = read_interactions(
            files,
            spec,
            times,
            sides,
            user_codes,
            item_codes,
            incomplete,
            excluded,
            progress,
            split_files,
            own,
        )
    alone = None
    of_histories = pl.DataFrame()
    if own is not None:
        of_histories = own.behaviours
        alone = of_histories.drop(spec.features.of_interactions("item"), strict=False)
    if behaviours is not None:
        found = first_rows(find(behaviours, spec.behaviours.text()), head)
        files += found
        alone = read_behaviours(found, spec, user_codes, item_codes, incomplete, excluded, progress)
    tables: dict[Side, pl.DataFrame] = {}
    joins: list[Join] = []
    of_sides = {
        "item": (spec.items, spec.items.item, spec.items.keep, item_codes),
        "user": (spec.users, spec.users.user, spec.users.keep, user_codes),
    }
    for side, paths in tabled:
        part, key, keep, codes = of_sides[side]
        of_log = spec.features.of_interactions(side)
        if paths is None:
            table = pl.DataFrame({side: codes.values()})
        else:
            found = find(paths, part.text())
            files += found
            of_table = spec.features.of_table(side)
            table = read_side(side, found, key, of_table, codes, keep, incomplete, excluded, joins, progress)
        if of_log and interactions is not None:
            table = table.hstack(latest_of_each(events, of_histories, side, of_log, table.height, excluded))
            events = events.drop(of_log)
        elif of_log:
            table = table.with_columns(pl.lit(None, one.dtype).alias(name) for name, one in of_log.items())
        tables[side] = table
    excluded["ids and categories in another spelling (12.0 is read as 12, True as true)"] = spelling.count
    return Log(
        events=events,
        items=tables["item"],
        users=tables["user"],
        sources=tuple(file.source() for file in files),
        excluded={reason: count for reason, count in {**incomplete.counts, **excluded}.items() if count},
        features=spec.definitions(),
        behaviours=alone,
        joins=tuple(joins),
        times=times.times if interactions is not None else None,
    )
