"""Rows that hold a page of items: in a cell with marks, or as lists of what was shown and clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.infer.head import HeadColumn
from dien.data.sources.table.infer.names import letters
from dien.data.sources.table.lists import lists_of

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
