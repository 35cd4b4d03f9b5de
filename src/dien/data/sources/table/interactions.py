"""Interactions, and behaviours of a log of their own: read chunk by chunk, kept as small typed columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from dien.data.features import TIME_SINCE, Definition, Side
from dien.data.log import CONVERSION, HISTORY, WEIGHT
from dien.data.readers.files import TableFile
from dien.data.sources.table.chunks import Columns, chunks
from dien.data.sources.table.duplicates import candidates_of, first_of_each
from dien.data.sources.table.forms import Page
from dien.data.sources.table.incomplete import Incomplete
from dien.data.sources.table.labels import NOT_NAMED, LabelParser
from dien.data.sources.table.likely_nulls import count_likely_nulls
from dien.data.sources.table.own_histories import OwnHistories
from dien.data.sources.table.pages import CLICKED, EMPTY, PAGE, Pages, item_ids
from dien.data.sources.table.spec import Interactions, TableSpec
from dien.data.sources.table.split_files import SPLIT, SplitFiles
from dien.data.sources.table.time_keys import parser_of
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import (
    Codes,
    conversions,
    ids,
    impressions,
    labels,
    splits,
    weights,
)
from dien.data.spelling import Spelling
from dien.data.times import FromTime
from dien.errors import DataError
from dien.progress import Progress

Column = tuple[str, Callable[[pl.Series], pl.Series]]
"""The name of a column in the files, and what parses it."""


def read_interactions(
    files: Sequence[TableFile],
    spec: TableSpec,
    times: TimeParser,
    sides: Sequence[Side],
    users: Codes,
    items: Codes,
    incomplete: Incomplete,
    excluded: dict[str, int],
    progress: Progress | None,
    split_files: SplitFiles | None = None,
    own: OwnHistories | None = None,
) -> pl.DataFrame:
    """Read the interactions of all files, without those that repeat an earlier one.

    Args:
        files: in this order.
        spec: what the columns mean.
        times: reads the times.
        sides: whose features are among the columns.
        users: numbers of the users so far.
        items: numbers of the items so far.
        incomplete: leaves out rows that lack a user, an item, a time or a label.
        excluded: counts what is left out.
        progress: as in :func:`~dien.data.sources.table.reading.read`.
        split_files: the files by split, where they are split already.
        own: reads histories that stand in the rows; None where there are none.
    """
    roles = spec.interactions
    impression_codes = Codes(users.spelling)
    page = roles.page
    item_of = item_ids if page is None else ids
    parsers: dict[str, Column] = {
        "user": (roles.user, lambda values: _rows(users.encode(ids(values)))),
        "item": (roles.item_column, lambda values: _rows(items.encode(item_of(values)))),
        "time": (times.column, times.parse),
    }
    label = None if roles.label is None else LabelParser(roles)
    if roles.label is not None and label is not None:
        parsers["label"] = roles.label.column, label.parse
    elif roles.labelled:
        parsers["label"] = CLICKED, labels
    if roles.impression is not None:
        parsers["impression"] = roles.impression, lambda values: impressions(values, impression_codes)
    elif page is not None:
        parsers["impression"] = PAGE, _as_they_are
    if roles.split is not None or split_files is not None:
        parsers["split"] = roles.split or SPLIT, splits
    if roles.weight is not None:
        parsers[WEIGHT] = roles.weight, weights
    if roles.conversion is not None:
        parsers[CONVERSION] = roles.conversion, conversions
    if own is not None:
        parsers[HISTORY] = HISTORY, _as_they_are
    pages = None if page is None else _pages_of(roles, page, spec)
    needed = ("user", "item", "time", *(("label",) if label is not None and label.required else ()))
    required = {parsers[role][0]: role for role in needed if role in parsers}
    counted = incomplete, excluded, progress
    events = _rows_of(
        files,
        "interactions",
        parsers,
        times,
        users.spelling,
        required,
        spec,
        sides,
        *counted,
        split_files,
        own,
        pages,
    )
    if pages is not None:
        excluded |= pages.counts
    if events.is_empty():
        raise DataError(f"{_in_words(files)}: no interaction; expected at least one row with a click")
    where, said = _in_words(files), roles.nulls
    count_likely_nulls(where, "user", roles.user, users, events["user"], said, excluded)
    count_likely_nulls(where, "item", roles.item_column, items, events["item"], said, excluded)
    if roles.labelled and not (events["label"] == 1).any():
        column, what_is_1 = roles.item_column if page else "", ""
        if roles.label is not None and label is not None:
            column, what_is_1 = roles.label.column, label.what_is_1
        raise DataError(
            f"{_in_words(files)}: column {column!r}: no label is 1{what_is_1}; expected at least one "
            "click; name the right column (interactions.label), or none where every row is a click"
        )
    if label is not None:
        label.warn()
        excluded[NOT_NAMED] = label.without
    if own is not None:
        events = own.finish(events, _in_words(files))
        for what, count in own.counts.items():
            excluded[what] = excluded.get(what, 0) + count
        if "impression" not in events.columns:
            events = events.with_columns(impression=HISTORY)
    kept = None
    alone = own is not None and roles.ordered and roles.impression is None and page is None
    if not alone:  # else nothing says that a row repeats another: neither a time nor an impression
        kept = first_of_each(
            events["user"].to_numpy(),
            events["item"].to_numpy(),
            events["time"].to_numpy(),
            events["impression"].to_numpy() if "impression" in events.columns else None,
            events["label"].to_numpy() if roles.labelled else None,
        )
    if kept is not None:
        excluded["repeated interactions (same user, item, time and impression)"] = int((~kept).sum())
        events = events.filter(pl.Series(kept))
    if roles.impression is not None and roles.labelled:
        events = _joined(events, spec, excluded)
    if roles.split is not None:
        excluded["interactions in no split (kept)"] = int((events["split"] == 3).sum())
    if roles.weight is not None:
        excluded["interactions without a weight (kept, weight 1)"] = events[WEIGHT].null_count()
        events = events.with_columns(pl.col(WEIGHT).fill_null(1.0))
    if roles.conversion is not None:
        events = _conversions_of_clicks(events, excluded)
    return events


def _joined(events: pl.DataFrame, spec: TableSpec, excluded: dict[str, int]) -> pl.DataFrame:
    """Make one candidate of the rows in which an item of an impression was shown, and was clicked.

    The row of the click stays, at its time, so that no history holds it earlier. What was known when the item
    was shown, its context and its split, is that of the first row.
    """
    columns = (events[name].to_numpy() for name in ("user", "item", "time", "impression", "label"))
    found = candidates_of(*columns)
    if found is None:
        return events
    kept, first = found
    excluded["rows of one candidate of an impression (joined)"] = events.height - len(kept)
    candidates = events[kept]
    for name in ("split", *spec.features.context):
        if name in events.columns:
            candidates = candidates.with_columns(events[name][first])
    for name in (*spec.features.of_interactions("item"), *spec.features.of_interactions("user")):
        candidates = candidates.with_columns(pl.coalesce(candidates[name], events[name][first]))
    return candidates


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


def read_behaviours(
    files: Sequence[TableFile],
    spec: TableSpec,
    users: Codes,
    items: Codes,
    incomplete: Incomplete,
    excluded: dict[str, int],
    progress: Progress | None,
) -> pl.DataFrame:
    """Read a log of behaviours of its own, without rows that repeat an earlier one."""
    own, roles = spec.behaviours, spec.interactions
    times = parser_of(roles, own)
    parsers: dict[str, Column] = {
        "user": (own.user or roles.user, lambda values: _rows(users.encode(ids(values)))),
        "item": (own.item_column or roles.item_column, lambda values: _rows(items.encode(ids(values)))),
        "time": (times.column, times.parse),
    }
    pages = Pages(own.item, _multi_columns(spec)) if isinstance(own.item, Page) else None
    required = {column: role for role, (column, _) in parsers.items()}
    behaviours = _rows_of(
        files,
        "behaviours",
        parsers,
        times,
        users.spelling,
        required,
        spec,
        ("behaviour",),
        incomplete,
        excluded,
        progress,
        pages=pages,
    )
    if pages is not None:
        excluded["histories without an item (left out)"] = pages.counts[EMPTY]
    if behaviours.is_empty():
        raise DataError(f"{_in_words(files)}: no behaviour; expected at least one row")
    for what, codes in (("user", users), ("item", items)):
        column, where = parsers[what][0], _in_words(files)
        count_likely_nulls(where, what, column, codes, behaviours[what], own.nulls, excluded)
    first: pl.Series = behaviours.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    excluded["repeated behaviours (all columns alike)"] = int((~first).sum())
    return behaviours if first.all() else behaviours.filter(first)


def _rows_of(
    files: Sequence[TableFile],
    part: str,
    parsers: dict[str, Column],
    times: TimeParser,
    spelling: Spelling,
    required: Mapping[str, str],
    spec: TableSpec,
    sides: Sequence[Side],
    incomplete: Incomplete,
    excluded: dict[str, int],
    progress: Progress | None,
    split_files: SplitFiles | None = None,
    own: OwnHistories | None = None,
    pages: Pages | None = None,
) -> pl.DataFrame:
    """Read the rows of all files of a part of the schema: its own columns, and the features of some sides."""
    parsers = dict(parsers)
    wanted: dict[str, str] = {}
    for role, (column, _) in parsers.items():
        for name in times.columns if role == "time" else (column,):
            wanted.setdefault(name, f"{part}.{role.lstrip('.')}")
    required = {
        name: what
        for column, what in required.items()
        for name in (times.columns if column == times.column else (column,))
    }
    timed: dict[str, tuple[FromTime, Codes]] = {}
    for side, name, feature in spec.features.named():
        of_log = feature.from_ is not None and part == "interactions"
        if (side not in sides and not of_log) or name == TIME_SINCE:
            continue
        if (told := feature.timed) is not None:
            timed[name] = told, Codes(spelling)
        else:
            precision = pl.Float64() if of_log else pl.Float32()
            parsers[name] = feature.column or name, _event_feature(feature, precision, spelling)
            wanted.setdefault(feature.column or name, f"features.{side}.{name}")
    columns = Columns([*parsers, *timed])
    made = (SPLIT, CLICKED, PAGE, HISTORY)  # by a layout: they are in no file
    wanted = {name: key for name, key in wanted.items() if name not in made}
    if pages is not None:
        wanted |= pages.wanted
    if own is not None:
        wanted = own.wanted | wanted
    for rows in chunks(files, wanted, times, required, incomplete, excluded, progress):
        chunk = rows if split_files is None else split_files.rows(rows)
        chunk = chunk if own is None else own.rows(chunk)
        chunk = chunk if pages is None else pages.rows(chunk)
        if chunk.frame.is_empty():
            continue
        for name, (column, parser) in parsers.items():
            columns.add(name, chunk.parse(column, parser))
        for name, (told, codes) in timed.items():
            columns.add(name, codes.categories(told.of(columns.last("time"))))
    return columns.frame()


def _as_they_are(values: pl.Series) -> pl.Series:
    return values


def _pages_of(roles: Interactions, page: Page, spec: TableSpec) -> Pages:
    label = None if roles.label is None else roles.label.column
    return Pages(page, _multi_columns(spec), roles.clicked, label)


def _multi_columns(spec: TableSpec) -> frozenset[str]:
    """Name the columns of which a row has several values."""
    multi = {one.column or name for _, name, one in spec.features.named() if not one.one_value}
    return frozenset(multi)


def _rows(codes: pl.Series) -> pl.Series:
    """Convert codes, from 0, to rows of a table, from 1."""
    rows: pl.Series = (codes + 1).cast(pl.Int32)
    return rows


def _event_feature(
    feature: Definition, precision: pl.DataType, spelling: Spelling
) -> Callable[[pl.Series], pl.Series]:
    """Make a parser of a feature of events: they are many, so text is encoded."""
    codes = Codes(spelling)

    def parse(values: pl.Series) -> pl.Series:
        parsed = feature.parse(values, precision)
        return codes.categories(parsed) if parsed.dtype == pl.String else spelling(parsed)

    return parse


def _in_words(files: Sequence[TableFile]) -> str:
    return str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more files"
