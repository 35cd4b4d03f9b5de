"""Interactions: read chunk by chunk, and without those that repeat an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from dien.data.features import TIME_SINCE, Side
from dien.data.log import CONVERSION, HISTORY, WEIGHT
from dien.data.readers.files import TableFile, in_words
from dien.data.sources.table.blanks import count_blanks
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.duplicates import candidates_of, first_of_each
from dien.data.sources.table.event_rows import Role, as_they_are, read_events, rows_in
from dien.data.sources.table.labels import NOT_NAMED, LabelParser
from dien.data.sources.table.likely_nulls import count_likely_nulls
from dien.data.sources.table.own_histories import OwnHistories
from dien.data.sources.table.pages import CLICKED, PAGE, Pages, item_ids
from dien.data.sources.table.spec import Interactions, TableSpec
from dien.data.sources.table.split_files import SPLIT, SplitFiles
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
from dien.errors import DataError


def read_interactions(
    files: Sequence[TableFile],
    spec: TableSpec,
    times: TimeParser,
    sides: Sequence[Side],
    codes: Mapping[Side, Codes],
    counts: Counts,
    *,
    split_files: SplitFiles | None = None,
    own: OwnHistories | None = None,
) -> pl.DataFrame:
    """Read the interactions of all files, without those that repeat an earlier one.

    Args:
        files: in this order.
        spec: what the columns mean.
        times: reads the times.
        sides: whose features are among the columns, beside those that are read from the interactions.
        codes: numbers of the items and users so far.
        counts: what is left out or odd.
        split_files: the files by split, where they are split already.
        own: reads histories that stand in the rows; None where there are none.

    Returns:
        The events as of :class:`~dien.data.log.Log`.

    Raises:
        DataError: there is no row or no click, or a row cannot be used.
    """
    roles, where = spec.interactions, in_words(files)
    label = None if roles.label is None else LabelParser(roles)
    pages = _pages_of(spec)
    columns = _columns(roles, times, label, codes, split=split_files is not None, own=own is not None)
    features = [
        one
        for one in spec.features.named()
        if (one[0] in sides or one[2].from_ is not None) and one[1] != TIME_SINCE
    ]
    layouts = [layout for layout in (split_files, own, pages) if layout is not None]
    events = read_events(files, "interactions", columns, features, times, counts, layouts)
    if pages is not None:
        counts.add_all(pages.counts)
    if events.is_empty():
        raise DataError(f"{where}: no interaction; expected at least one row with a click")
    count_likely_nulls(where, "user", roles.user, codes["user"], events["user"], roles.nulls, counts)
    count_likely_nulls(where, "item", roles.item_column, codes["item"], events["item"], roles.nulls, counts)
    count_blanks(where, "user", roles.user, codes["user"], counts)
    count_blanks(where, "item", roles.item_column, codes["item"], counts)
    _expect_a_click(events, roles, label, where)
    if label is not None:
        label.warn()
        counts.add(NOT_NAMED, label.without)
    if own is not None:
        events = own.finish(events, where)
        counts.add_all(own.counts)
        if "impression" not in events.columns:
            events = events.with_columns(impression=HISTORY)
    events = _first_of_each(events, roles, counts)
    if roles.impression is not None and roles.labelled:
        events = _joined(events, spec, counts)
    if roles.split is not None:
        counts.add("interactions in no split (kept)", int((events["split"] == 3).sum()))
    if roles.weight is not None:
        counts.add("interactions without a weight (kept, weight 1)", events[WEIGHT].null_count())
        events = events.with_columns(pl.col(WEIGHT).fill_null(1.0))
    if roles.conversion is not None:
        events = _conversions_of_clicks(events, counts)
    return events


def _columns(
    roles: Interactions,
    times: TimeParser,
    label: LabelParser | None,
    codes: Mapping[Side, Codes],
    *,
    split: bool,
    own: bool,
) -> dict[str, Role]:
    """Say what reads each column that has a role.

    Args:
        roles: the columns.
        times: reads the times.
        label: reads the label; None where no column is one.
        codes: numbers of the items and users so far.
        split: whether the files are split already.
        own: whether histories stand in the rows.
    """
    items = rows_in(codes["item"], ids if roles.page is not None else item_ids)
    columns = {
        "user": Role(roles.user, rows_in(codes["user"]), required=True),
        "item": Role(roles.item_column, items, required=True),
        "time": Role(times.column, times.parse, required=True),
    }
    if roles.label is not None and label is not None:
        columns["label"] = Role(roles.label.column, label.parse, label.required)
    elif roles.labelled:
        columns["label"] = Role(CLICKED, labels)
    if roles.impression is not None:
        named = Codes(codes["user"].spelling)
        columns["impression"] = Role(roles.impression, lambda values: impressions(values, named))
    elif roles.page is not None:
        columns["impression"] = Role(PAGE, as_they_are)
    if roles.split is not None or split:
        columns["split"] = Role(roles.split or SPLIT, splits)
    if roles.weight is not None:
        columns[WEIGHT] = Role(roles.weight, weights)
    if roles.conversion is not None:
        columns[CONVERSION] = Role(roles.conversion, conversions)
    if own:
        columns[HISTORY] = Role(HISTORY, as_they_are)
    return columns


def _pages_of(spec: TableSpec) -> Pages | None:
    roles = spec.interactions
    if roles.page is None:
        return None
    label = None if roles.label is None else roles.label.column
    return Pages(roles.page, spec.features.of_several_values(), roles.clicked, label)


def _expect_a_click(events: pl.DataFrame, roles: Interactions, label: LabelParser | None, where: str) -> None:
    """Refuse a log that has labels of which none is a click."""
    if not roles.labelled or (events["label"] == 1).any():
        return
    column, what_is_1 = roles.item_column if roles.page else "", ""
    if roles.label is not None and label is not None:
        column, what_is_1 = roles.label.column, label.what_is_1
    raise DataError(
        f"{where}: column {column!r}: no label is 1{what_is_1}; expected at least one "
        "click; name the right column (interactions.label), or none where every row is a click"
    )


def _first_of_each(events: pl.DataFrame, roles: Interactions, counts: Counts) -> pl.DataFrame:
    """Keep one of the rows that repeat each other."""
    if roles.history is not None and roles.ordered and roles.impression is None and roles.page is None:
        return events  # nothing says that a row repeats another: neither a time nor an impression
    kept = first_of_each(
        events["user"].to_numpy(),
        events["item"].to_numpy(),
        events["time"].to_numpy(),
        events["impression"].to_numpy() if "impression" in events.columns else None,
        events["label"].to_numpy() if roles.labelled else None,
    )
    if kept is None:
        return events
    counts.add("repeated interactions (same user, item, time and impression)", (~kept).sum())
    return events.filter(pl.Series(kept))


def _joined(events: pl.DataFrame, spec: TableSpec, counts: Counts) -> pl.DataFrame:
    """Make one candidate of the rows in which an item of an impression was shown, and was clicked.

    The row of the click stays, at its time, so that no history holds it earlier. What was known when the item
    was shown, its context and its split, is that of the first row.
    """
    columns = (events[name].to_numpy() for name in ("user", "item", "time", "impression", "label"))
    found = candidates_of(*columns)
    if found is None:
        return events
    kept, first = found
    counts.add("rows of one candidate of an impression (joined)", events.height - len(kept))
    candidates = events[kept]
    for name in ("split", *spec.features.context):
        if name in events.columns:
            candidates = candidates.with_columns(events[name][first])
    for name in (*spec.features.of_interactions("item"), *spec.features.of_interactions("user")):
        candidates = candidates.with_columns(pl.coalesce(candidates[name], events[name][first]))
    return candidates


def _conversions_of_clicks(events: pl.DataFrame, counts: Counts) -> pl.DataFrame:
    """Keep conversions of clicks: 1, 0, or -1 where it is not known; what was not clicked has 0."""
    clicked = pl.col("label") == 1 if "label" in events.columns else pl.lit(True)
    made = pl.col(CONVERSION)
    without, unknown = events.select(
        ((made == 1) & ~clicked).sum().alias("without"), (made.is_null() & clicked).sum().alias("unknown")
    ).row(0)
    counts.add("conversions without a click (kept, not converted)", without)
    counts.add("clicks whose conversion is not known (kept)", unknown)
    kept = pl.when(~clicked).then(0).otherwise(made.fill_null(-1))
    return events.with_columns(kept.cast(pl.Int8).alias(CONVERSION))
