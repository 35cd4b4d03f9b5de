"""Rows that hold a page of items: in a cell with marks, or as lists.

Lists are of what was shown and of what was clicked, or of objects, each an item with its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.infer.head import HeadColumn, accepts, column_of
from dien.data.sources.table.infer.names import ROLES, letters
from dien.data.sources.table.lists import lists_of
from dien.data.sources.table.values import ids, labels

_MARKED = r"^\s*\S+-[01](\s+\S+-[01])*\s*$"  # as N1-0 N2-1
_MOST = 0.99  # of the rows
_SHOWN = ("inview", "shown", "impression", "candidate", "slate", "displayed", "exposed", "items")


@dataclass(frozen=True)
class FoundPage:
    """The columns of pages.

    Attributes:
        shown: what was shown.
        clicked: the list of those that were clicked; None where a mark in the cell says it.
    """

    shown: HeadColumn
    clicked: HeadColumn | None

    @property
    def options(self) -> dict[str, str]:
        """Keys beside ``column`` of the role ``item``."""
        return {"separator": " ", "clicked": "-1"} if self.clicked is None else {}


def find_page(columns: Sequence[HeadColumn]) -> FoundPage | None:
    """Find the columns of pages; None where a row seems to have one item."""
    for column in columns:
        known = column.values.drop_nulls()
        several = known.dtype == pl.String and known.str.contains(r"\S\s+\S").any()
        if several and _share(known.str.contains(_MARKED)) >= _MOST:
            return FoundPage(column, None)
    lists = [(column, _lists(column)) for column in columns]
    for shown, pages in lists:
        for clicked, chosen in lists:
            if pages is None or chosen is None or shown is clicked or "click" not in letters(clicked.name):
                continue
            if any(word in letters(shown.name) for word in _SHOWN) and _among(chosen, pages):
                return FoundPage(shown, clicked)
    return None


@dataclass(frozen=True)
class FoundObjects:
    """A list of objects, each an item that was shown, and the columns as a log with a row for each.

    Attributes:
        columns: all of them: the fields of the objects, and what the page says in each of its rows.
        item: the field that is the item.
        label: the field that is the label; None where every item is a click.
    """

    columns: list[HeadColumn]
    item: HeadColumn
    label: HeadColumn | None


def find_objects(columns: Sequence[HeadColumn]) -> FoundObjects | None:
    """Find the list of objects that are the items of a page, with a label each; None where there is none."""
    for item in columns:
        prefix, _, field = item.name.rpartition(".")
        if not prefix or not item.lists or letters(field) not in ("id", *ROLES["item"]):
            continue
        for label in columns:
            of, _, answer = label.name.rpartition(".")
            if of == prefix and letters(answer) in ROLES["label"] and _as_long(label, item):
                rows = [_unfolded(column, item) for column in columns]
                found = {column.name: column for column in rows}
                if accepts(labels, found[label.name].values) and accepts(ids, found[item.name].values):
                    return FoundObjects(rows, found[item.name], found[label.name])
    return None


def find_baskets(columns: Sequence[HeadColumn]) -> FoundObjects | None:
    """Find the list of objects that are items without a label, as those of an order."""
    for item in columns:
        prefix, _, field = item.name.rpartition(".")
        if prefix and item.lists and letters(field) in ROLES["item"]:
            rows = [_unfolded(column, item) for column in columns]
            found = next(column for column in rows if column.name == item.name)
            if found.known and accepts(ids, found.values):
                return FoundObjects(rows, found, None)
    return None


def _as_long(column: HeadColumn, other: HeadColumn) -> bool:
    """Whether two columns hold lists that are as long in every row."""
    return column.lists and all(
        _lengths(one).equals(_lengths(two))
        for (_, one), (_, two) in zip(column.parts, other.parts, strict=True)
    )


def _lengths(part: pl.Series) -> pl.Series:
    """Lengths of lists ``[n]``; 0 where there is none."""
    if not isinstance(part.dtype, pl.List):
        return pl.Series("", [0] * len(part), dtype=pl.Int64)
    lengths: pl.Series = part.list.len().fill_null(0).cast(pl.Int64).alias("")
    return lengths


def _unfolded(column: HeadColumn, items: HeadColumn) -> HeadColumn:
    """Give a column a row for each item: of a list as long its entries, of others what the page has."""
    each = _as_long(column, items) and column.name.startswith(items.name.rpartition(".")[0] + ".")
    parts = []
    for (path, part), (_, shown) in zip(column.parts, items.parts, strict=True):
        lengths = _lengths(shown)
        if each and isinstance(part.dtype, pl.List):
            parts.append((path, part.filter(lengths > 0).explode()))
        else:
            parts.append((path, part.gather(np.repeat(np.arange(len(part)), lengths.to_numpy()))))
    return column_of(column.name, parts, column.problem)


def _lists(column: HeadColumn) -> pl.Series | None:
    """Read a column as lists of text; None where it holds something else."""
    if not (column.lists or (column.values.dtype == pl.String and column.known)):
        return None
    try:
        lists: pl.Series = lists_of(column.values, None, "").cast(pl.List(pl.String))
    except (BadValueError, pl.exceptions.PolarsError):
        return None
    return lists


def _among(chosen: pl.Series, pages: pl.Series) -> bool:
    """Whether what was clicked stands among what was shown, in nearly all rows."""
    if len(chosen) != len(pages):
        return False
    rows = pl.DataFrame({"chosen": chosen, "page": pages}).drop_nulls()
    outside = rows.select(pl.col("chosen").list.set_difference("page").list.len() == 0).to_series()
    return _share(outside) >= _MOST


def _share(marked: pl.Series) -> float:
    """Share of booleans that are true; 0 of none."""
    return float(marked.sum()) / max(1, len(marked))
