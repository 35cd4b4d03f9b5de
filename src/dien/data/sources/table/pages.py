"""A page in a row: several items that were shown together, made rows of one candidate each."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.ragged import row_of
from dien.data.readers.messages import listed, refuse, refuse_type
from dien.data.readers.reader import Chunk
from dien.data.readers.values import cast
from dien.data.sources.table.forms import Page
from dien.data.sources.table.lists import (
    Unfolded,
    are_written,
    lengths_of,
    lists_of,
    values_beside,
    values_of,
)
from dien.data.sources.table.values import ids
from dien.data.spelling import Spelling

CLICKED = ".clicked"
"""The column of what was clicked on a page; no column of a schema begins with a dot."""
PAGE = ".page"
"""The column of the number of each page."""
EMPTY = "pages without an item (left out)"
NOT_ON_PAGE = "clicked items that are not on their page (left out)"

_MARKS = 10  # of items on pages, at most
_BETWEEN = (" ", ";", ",")
_MARKS_OF_CLICKS = ("-", ":", "_")  # before the 1 or 0
_LISTED = r"^\[[^\[\]]*,[^\[\]]*\]$"
_LISTS = (
    "interactions: {item: inview, clicked: clicked} for a list of items shown and one of those clicked, or "
    "item: {column: inview} where every item was clicked or label is a list as long (docs/data.md, "
    "A page in a row)"
)


def item_ids(values: pl.Series) -> pl.Series:
    """Read the ids of items, one a row.

    Raises:
        BadValueError: one is missing, or a row seems to hold several items.
    """
    if isinstance(values.dtype, pl.List | pl.Array):
        refuse_type(values, f"one item a row; where a row is a page of several, say so, as {_LISTS}")
    if values.dtype == pl.String:
        for between in _BETWEEN:
            several = values.str.contains(between, literal=True).fill_null(False)  # few: the pattern is slow
            rows = several.arg_true()
            found = values.gather(rows)
            for mark in _MARKS_OF_CLICKS if len(rows) else ():  # of MIND, a blank and -
                refuse(
                    values,
                    several.scatter(rows, found.str.contains(_marked(between, mark))),
                    "one item a row; this seems a page of several, each with 1 or 0 for clicked or not: say "
                    f'so, as interactions: {{item: {{column: {values.name}, separator: "{between}", clicked: '
                    f'"{mark}1"}}}} (docs/data.md, A page in a row)',
                )
        refuse(
            values,
            values.str.contains(_LISTED).fill_null(False),
            f"one item a row; this seems a list of several: say so, as {_LISTS}",
        )
    return ids(values)


def _marked(between: str, mark: str) -> str:
    """Write the pattern of items with marks and something between them: two or more."""
    one = rf"[^\s;,]+{mark}[01]"
    return rf"^{one}( *{between}+ *{one})+[\s{between}]*$"


class Pages:
    """Makes rows of one candidate each of the pages of all files of a log.

    Args:
        page: where the items of a page stand.
        clicked: the column that lists those that were clicked; None where there is none.
        label: the column of a label for each item; likewise.
        multi: columns of which a row has several values anyway: lists in them belong to the whole page.
    """

    def __init__(
        self, page: Page, multi: frozenset[str], clicked: str | None = None, label: str | None = None
    ) -> None:
        self._page, self._clicked, self._label, self._multi = page, clicked, label, multi
        self.made = (CLICKED, PAGE)
        self._rows = 0
        self._marks: set[str] = set()
        self._listed: dict[str, bool] = {}
        self.counts = {EMPTY: 0, NOT_ON_PAGE: 0}

    @property
    def wanted(self) -> dict[str, str]:
        """The columns that it reads, beside those of roles and features, and the key that names each."""
        return {} if self._clicked is None else {self._clicked: "interactions.clicked"}

    def rows(self, chunk: Chunk) -> Chunk:
        """Make the rows of a chunk those of its candidates; columns :data:`CLICKED` and :data:`PAGE` are new.

        Another column that holds a list as long as the page is of the candidates, too, as is text that writes
        nothing but such lists (the first rows of a log decide); any other value is of all of them.

        Raises:
            DataError: a page or what was clicked on it cannot be read.
        """
        lists = chunk.parse(self._page.column, self._lists)
        lengths = lengths_of(lists)
        self.counts[EMPTY] += int((lengths == 0).sum())
        of = row_of(lengths)
        frame = chunk.frame.select(
            self._column(chunk, name, lengths, of)
            for name in chunk.frame.columns
            if name != self._page.column
        )
        items = values_of(lists).alias(self._page.column)
        rows = Unfolded(chunk.reader, items.to_frame(), chunk.row, of)
        made = [items, pl.Series(PAGE, self._rows + of)]
        self._rows += len(lengths)
        if self._page.clicked is not None:
            marked = rows.parse(self._page.column, self._marked).struct
            made = [marked.field("item").alias(items.name), marked.field("clicked").alias(CLICKED), *made[1:]]
        elif self._clicked is not None:
            clicked = chunk.parse(self._clicked, self._lists)
            page = row_of(lengths_of(clicked))
            named = values_of(clicked).alias(self._clicked)
            page, named = page[named.is_not_null().to_numpy()], named.drop_nulls()
            alike = Spelling()  # what is counted is the items as they are read
            chosen = Unfolded(chunk.reader, named.to_frame(), chunk.row, page).parse(self._clicked, ids)
            shown = pl.DataFrame({"page": of, "item": alike(rows.parse(self._page.column, ids))})
            made.append(self._found(shown, pl.DataFrame({"page": page, "item": alike(chosen)}).unique()))
        return Unfolded(chunk.reader, frame.with_columns(made), chunk.row, of)

    def _lists(self, values: pl.Series) -> pl.Series:
        return lists_of(values, self._page.separator, "say what stands between the values, as separator")

    def _column(
        self, chunk: Chunk, name: str, lengths: NDArray[np.int64], of: NDArray[np.int64]
    ) -> pl.Series:
        """Give each candidate its value of a column."""
        values = chunk.frame[name]
        if name == self._label:
            values = chunk.parse(name, self._lists)
        elif name not in self._multi and name != self._clicked:
            if name not in self._listed and values.null_count() < len(values):
                self._listed[name] = are_written(values)
            if self._listed.get(name):
                values = chunk.parse(name, lambda cells: lists_of(cells, None, "mend it"))
        depth = _depth(values.dtype)
        if name == self._clicked or depth == 0 or (name in self._multi and depth == 1):
            return values.gather(of)

        def of_candidates(values: pl.Series) -> pl.Series:
            return values_beside(values, lengths, self._page.column, required=name == self._label)

        return replace(chunk, frame=values.to_frame()).parse(name, of_candidates)

    def _marked(self, items: pl.Series) -> pl.Series:
        """Take the mark off each item, and say whether it means a click."""
        mark = self._page.clicked or ""
        sign = re.escape(mark[0])
        parts = cast(items, pl.String()).str.extract_groups(rf"^(.+)({sign}[^{sign}]*)$").struct
        item, found = parts.field("1"), parts.field("2")
        self._marks |= set(found.drop_nulls().unique())
        refuse(
            items,
            item.is_null(),
            f"an item and, after {mark[0]!r}, whether it was clicked ({mark!r} where it was); mend it, or "
            "set clicked of interactions.item right",
        )
        if len(self._marks) > _MARKS:
            refuse(
                items,
                (found != mark).fill_null(False),
                f"{mark!r} or another mark; there are more than {_MARKS} ({listed(sorted(self._marks))}), so "
                "that some seem to belong to the ids; set clicked of interactions.item right",
            )
        return pl.DataFrame({"item": item, "clicked": found == mark}).to_struct(items.name)

    def _found(self, shown: pl.DataFrame, clicked: pl.DataFrame) -> pl.Series:
        """Mark the candidates that what was clicked names; both have a page and an item in each row."""
        on = ["page", "item"]
        self.counts[NOT_ON_PAGE] += clicked.join(shown, on=on, how="anti").height
        named = clicked.with_columns(pl.lit(True).alias(CLICKED))
        return shown.join(named, on=on, how="left", maintain_order="left")[CLICKED].fill_null(False)


def _depth(dtype: pl.DataType) -> int:
    """Count how deep lists stand in lists."""
    depth = 0
    while isinstance(dtype, pl.List):
        depth, dtype = depth + 1, dtype.inner  # type: ignore[assignment]  # an instance when read
    return depth
