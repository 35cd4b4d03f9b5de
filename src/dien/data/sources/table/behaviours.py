"""Behaviours of a log of their own: what histories are made of, where it is not in the interactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from dien.data.features import TIME_SINCE, Side
from dien.data.readers.files import TableFile, in_words
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.event_rows import Role, read_events, rows_in
from dien.data.sources.table.forms import Page
from dien.data.sources.table.likely_nulls import count_likely_nulls
from dien.data.sources.table.pages import EMPTY, Pages
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.time_keys import parser_of
from dien.data.sources.table.values import Codes
from dien.errors import DataError


def read_behaviours(
    files: Sequence[TableFile], spec: TableSpec, codes: Mapping[Side, Codes], counts: Counts
) -> pl.DataFrame:
    """Read a log of behaviours of its own, without rows that repeat an earlier one.

    Args:
        files: in this order.
        spec: what the columns mean.
        codes: numbers of the items and users so far.
        counts: what is left out or odd.

    Returns:
        Columns ``user`` and ``item`` (rows of their tables, from 1), ``time`` and the features of behaviours.

    Raises:
        DataError: there is no row, or one cannot be used.
    """
    own, roles = spec.behaviours, spec.interactions
    times = parser_of(roles, own)
    user, item = own.user or roles.user, own.item_column or roles.item_column
    columns = {
        "user": Role(user, rows_in(codes["user"]), required=True),
        "item": Role(item, rows_in(codes["item"]), required=True),
        "time": Role(times.column, times.parse, required=True),
    }
    features = [one for one in spec.features.named() if one[0] == "behaviour" and one[1] != TIME_SINCE]
    pages = Pages(own.item, spec.features.of_several_values()) if isinstance(own.item, Page) else None
    layouts = [] if pages is None else [pages]
    behaviours = read_events(files, "behaviours", columns, features, times, counts, layouts)
    if pages is not None:
        counts.add("histories without an item (left out)", pages.counts[EMPTY])
    where = in_words(files)
    if behaviours.is_empty():
        raise DataError(f"{where}: no behaviour; expected at least one row")
    count_likely_nulls(where, "user", user, codes["user"], behaviours["user"], own.nulls, counts)
    count_likely_nulls(where, "item", item, codes["item"], behaviours["item"], own.nulls, counts)
    first: pl.Series = behaviours.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    counts.add("repeated behaviours (all columns alike)", int((~first).sum()))
    return behaviours if first.all() else behaviours.filter(first)
