"""A schema tried on the first rows of the tables: what each column becomes, before anything is prepared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dien.data.features import TIME_SINCE, Side
from dien.data.leakage import alone, in_words, shown_together
from dien.data.log import Join, Log
from dien.data.prepare.look import expect_joined
from dien.data.readers.files import HEAD_ROWS, find
from dien.data.readers.reader import open_table
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.table_text import TableText
from dien.data.sources.table.time_keys import Order


@dataclass(frozen=True)
class CheckedFeature:
    """What the rows hold of a feature.

    Attributes:
        side: whose it is.
        name: of the feature.
        kind: of the feature.
        column: that it is read from, or its file; None where it follows from the time.
        values: distinct values, without unknown ones.
        unknown: share of the rows of its table without a value; None where there are no rows.
        auc: of the context: what it alone says of the label, on held-out rows; None of others.
        changes: whether it changes over time.
    """

    side: str
    name: str
    kind: str
    column: str | None
    values: int
    unknown: float | None
    auc: float | None = None
    changes: bool = False


@dataclass(frozen=True)
class Checked:
    """What a schema makes of the rows that were read.

    Attributes:
        rows: of the interactions.
        users: distinct ones in them.
        items: likewise.
        first: their first time, seconds since 1970; of a log that has an order alone, a row.
        last: their last time.
        ordered: whether these are numbers of rows.
        clicked: share of them; None where every row is a click.
        features: each feature of the schema but ``time_since``.
        not_read: columns that the schema does not name, by table.
        joins: how ids meet those of the tables.
        excluded: what was left out or odd, and how often.
    """

    rows: int
    users: int
    items: int
    first: int
    last: int
    ordered: bool
    clicked: float | None
    features: tuple[CheckedFeature, ...]
    not_read: dict[str, list[str]]
    joins: tuple[Join, ...]
    excluded: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def check(
    spec: TableSpec,
    interactions: Sequence[Path],
    items: Sequence[Path] | None = None,
    users: Sequence[Path] | None = None,
    behaviours: Sequence[Path] | None = None,
    skip_bad: int = 0,
) -> Checked:
    """Read the first rows of up to ten files of events, and all items and users, as prepare does.

    Args:
        spec: the schema.
        interactions: files, folders and globs.
        items: likewise; None where nothing is known of items.
        users: likewise.
        behaviours: a log of behaviours of its own, likewise.
        skip_bad: how many of these rows may be left out, as of :func:`~dien.data.sources.table.reading.read`.

    Returns:
        What the schema makes of them. Few ids that meet, and features of the context that alone tell the
        label, are warned of.

    Raises:
        DataError: prepare would refuse the schema or these rows; the first reason.
    """
    log = read(interactions, items, users, spec, behaviours=behaviours, head=HEAD_ROWS, skip_bad=skip_bad)
    expect_joined(log.joins)
    tables = {"interactions": interactions, "behaviours": behaviours, "items": items, "users": users}
    given = {name: paths for name, paths in tables.items() if paths is not None}
    events = log.events
    return Checked(
        rows=events.height,
        users=events["user"].n_unique(),
        items=events["item"].n_unique(),
        first=int(events["time"].min()),  # type: ignore[arg-type]  # there is a row
        last=int(events["time"].max()),  # type: ignore[arg-type]
        ordered=isinstance(spec.interactions.time, Order),
        clicked=float((events["label"] == 1).mean()) if "label" in events.columns else None,  # type: ignore[arg-type]
        features=tuple(_features(spec, log)),
        not_read={name: _not_read(spec, name, paths) for name, paths in given.items()},
        joins=log.joins,
        excluded=log.excluded,
    )


def summary_rows(checked: Checked) -> dict[str, str | int | list[str]]:
    """Make the rows of a short table."""
    from dien.data.prepare.splits import utc

    times = {"times (UTC)": f"{utc(checked.first)} to {utc(checked.last)}"}
    if checked.ordered:
        times = {"order of the rows": f"row {checked.first:,} to row {checked.last:,}"}
    rows: dict[str, str | int | list[str]] = {
        "rows looked at": checked.rows,
        "users": checked.users,
        "items": checked.items,
        **times,
        "label": "none: every row is a click",
    }
    if checked.clicked is not None:
        rows["label"] = f"{checked.clicked:.1%} clicked"
    for one in checked.features:
        of = "the time" if one.column is None else one.column
        unknown = "" if one.unknown is None else f", {one.unknown:.1%} unknown"
        auc = "" if one.auc is None else f", AUC alone {one.auc:.3f}"
        changes = ", changes over time" if one.changes else ""
        values = f"{one.values:,} values{unknown}{auc}{changes}"
        rows[f"features.{one.side}.{one.name}"] = f"{one.kind} of {of}, {values}"
    for join in checked.joins:
        rows[f"{join.side}s with a row in their table"] = f"{join.met:,} of {join.ids:,}"
    for table, columns in checked.not_read.items():
        if columns:
            rows[f"not read of the {table}"] = columns
    return rows | {f"left out or odd: {what}": count for what, count in checked.excluded.items()}


def _features(spec: TableSpec, log: Log) -> Iterator[CheckedFeature]:
    """Say of every feature what the rows hold; warn of those of the context that tell the label."""
    labels = log.events["label"].to_numpy() if "label" in log.events.columns else None
    of_impression = ["impression"] if "impression" in log.events.columns else ["user", "time"]
    impression = shown_together(log.events.select(of_impression))
    own = log.events if log.behaviours is None else log.behaviours
    tables = {"item": log.items, "user": log.users, "behaviour": own, "context": log.events}
    sides: tuple[Side, ...] = ("item", "user")
    of_files = {name: one.file for side in sides for name, one in spec.features.of_files(side).items()}
    for side, name, feature in spec.features.named():
        if name == TIME_SINCE:
            continue
        values, auc = log.changes.get(name, tables[side])[name], None
        if side == "context" and labels is not None:
            says = alone(values, labels, impression)
            auc = says.auc
            if says.tells:
                warnings.warn(in_words(name, says), stacklevel=4)
        lists = isinstance(values.dtype, pl.List)
        missing = values.null_count() + (int((values.list.len() == 0).sum()) if lists else 0)
        yield CheckedFeature(
            side=side,
            name=name,
            kind=feature.kind,
            column=None if feature.timed else of_files.get(name) or feature.column or name,
            values=(values.explode() if lists and not feature.vectors else values).drop_nulls().n_unique(),
            unknown=missing / len(values) if len(values) else None,
            auc=auc,
            changes=name in log.changes,
        )


def _not_read(spec: TableSpec, table: str, paths: Sequence[Path]) -> list[str]:
    """Name the columns of a table's first file that the schema does not name."""
    part: TableText = getattr(spec, table)
    sides: dict[str, Side] = {"items": "item", "users": "user"}
    side = sides.get(table)
    if side is not None:
        used = {feature.column or name for name, feature in spec.features.of_table(side).items()}
    else:
        used = {feature.column or name for _, name, feature in spec.features.named()}
    used |= set(_texts(part.model_dump(exclude=set(TableText.model_fields))))
    if table == "behaviours":
        used |= set(_texts(spec.interactions.model_dump(include={"user", "item", "time"})))
    file = find(paths, part.text())[0]
    return [name for name in (*open_table(file).columns(), *file.partition) if name not in used]


def _texts(value: Any) -> Iterator[str]:
    """Give all text of the keys of a schema: the names of columns are among it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
