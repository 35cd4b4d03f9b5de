"""Histories that stand in the rows: their items, times and features, as behaviours of their row alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.features import Definition
from dien.data.log import HISTORY
from dien.data.ragged import ranges, row_of, to_offsets
from dien.data.readers.messages import refuse
from dien.data.readers.reader import Chunk
from dien.data.readers.values import cast, evaluated, numbers, text
from dien.data.sources.table.chunks import Columns
from dien.data.sources.table.forms import OwnHistory
from dien.data.sources.table.lists import Unfolded, lengths_of, lists_of, values_beside, values_of
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.time_keys import parser_of
from dien.data.sources.table.values import Codes, ids
from dien.data.spelling import respelt, spelling_of
from dien.errors import DataError

NOT_EARLIER = "behaviours of histories that are not earlier than their row (left out)"
MISSING = "entries of histories that mark a missing item (left out)"
SAME = "rows with the history of the row before (kept, one impression)"


class OwnHistories:
    """Reads the histories of all files of a log, and then knows what stood in them.

    Args:
        history: the columns.
        spec: the schema that they are of.
        items: numbers of the items so far.

    Raises:
        DataError: what stands in the histories has times, and the rows have none.

    Attributes:
        ordered: whether the rows have no time, and their order is it.
        behaviours: once all is read, what stood in the histories, as of :class:`~dien.data.log.Log`.
        counts: what was left out, and how often.
    """

    def __init__(self, history: OwnHistory, spec: TableSpec, items: Codes) -> None:
        if history.time is not None and spec.interactions.ordered:
            raise DataError(
                "interactions.history.time: rows have no time to compare it with; name theirs, too "
                "(interactions.time), or take the key out"
            )
        self._history, self._items = history, items
        self.made = (HISTORY,)
        self.ordered = spec.interactions.ordered
        self._times = parser_of(spec.interactions)
        self._definitions: dict[str, Definition] = {
            name: spec.features.behaviour.get(name) or spec.features.item[name] for name in history.features
        }
        self._codes = {name: Codes(items.spelling) for name in history.features}
        self._columns = Columns([HISTORY, "item", "time", *history.features])
        self._rows, self._file = 0, None if history.time is None else ""
        self.behaviours = pl.DataFrame()
        self.counts = {NOT_EARLIER: 0, MISSING: 0, SAME: 0}

    @property
    def wanted(self) -> dict[str, str]:
        """The columns that it reads, and the key that names each."""
        history = self._history
        named = [("item", column) for column in history.columns]
        named += [(key, one) for key, one in (("time", history.time), ("length", history.length)) if one]
        named += [(f"features.{name}", column) for name, column in history.features.items()]
        return {column: f"interactions.history.{key}" for key, column in named}

    def rows(self, chunk: Chunk) -> Chunk:
        """Read the histories of a chunk, and add the column of their numbers.

        Raises:
            DataError: a history cannot be read.
        """
        history = self._history
        lists = self._items_of(chunk)
        values, kept = values_of(lists), self._kept(chunk, lists)
        of = row_of(lengths_of(lists))[kept]
        place = self._rows + np.arange(chunk.frame.height)
        self._rows += chunk.frame.height
        if len(of):
            column = history.columns[0]
            items = values.filter(pl.Series(kept)).alias(column)
            rows = Unfolded(chunk.reader, items.to_frame(), chunk.row, of)
            self._columns.add(HISTORY, pl.Series(place[of]))
            self._columns.add(
                "item", rows.parse(column, lambda v: cast(self._items.encode(ids(v)) + 1, pl.Int32()))
            )
            self._columns.add("time", self._entry_times(chunk, lists, kept, of))
            for name, column in history.features.items():
                beside = self._beside(chunk, column, lists, kept, of)
                self._columns.add(name, beside.parse(column, lambda v, name=name: self._feature(name, v)))  # type: ignore[misc]
        return replace(chunk, frame=chunk.frame.with_columns(pl.Series(HISTORY, place)))

    def finish(self, events: pl.DataFrame, files: str) -> pl.DataFrame:
        """Give each history to the user of its row; rows that follow each other with one history share it.

        Args:
            events: what was read beside: the number of the history of each, its user and its time.
            files: that were read, for errors.

        Returns:
            The events, of which those of one history have its new number, and one time.

        Raises:
            DataError: no history has an item.
        """
        self.counts |= self._times.kept
        history = events[HISTORY].to_numpy()
        size = self._rows
        user, time, split = np.zeros(size, np.int32), np.zeros(size, np.int64), np.zeros(size, np.int8)
        user[history], time[history] = events["user"].to_numpy(), events["time"].to_numpy()
        if "split" in events.columns:
            split[history] = events["split"].to_numpy()
        entries = self._columns.frame()
        if entries.is_empty():
            raise DataError(
                f"{files}: column {self._history.columns[0]!r}: every history is empty; expected "
                "some with an item; name the right column (interactions.history.item)"
            )
        of = entries[HISTORY].to_numpy()
        kept = user[of] > 0
        if self._history.time is not None:
            late = kept & (entries["time"].to_numpy() >= time[of])
            self.counts[NOT_EARLIER] = int(late.sum())
            kept &= ~late
        entries = entries.filter(pl.Series(kept))
        of = of[kept]
        again = self._again(entries, np.bincount(of, minlength=size), user, time, split)
        self.counts[SAME] = int(again.sum())
        number = np.cumsum(~again) - 1
        self.behaviours = entries.filter(pl.Series(~again[of])).with_columns(
            pl.Series("user", user[of[~again[of]]]), pl.Series(HISTORY, number[of[~again[of]]])
        )
        events = events.with_columns(pl.Series(HISTORY, number[history]))
        if self.ordered:
            # rows are numbered from 1: what stands in a history has the time 0
            events = events.with_columns(pl.Series("time", time[~again][number[history]]))
        return events

    def _again(
        self,
        entries: pl.DataFrame,
        lengths: NDArray[np.int64],
        user: NDArray[np.int32],
        time: NDArray[np.int64],
        split: NDArray[np.int8],
    ) -> NDArray[np.bool_]:
        """Mark the histories ``[S]`` that are those of the row before, with its user, time and split."""
        alike = (user[1:] == user[:-1]) & (user[1:] > 0) & (split[1:] == split[:-1])
        alike &= lengths[1:] == lengths[:-1]
        if not self.ordered:
            alike &= time[1:] == time[:-1]
        pair = np.flatnonzero(alike) + 1
        starts = to_offsets(lengths)[:-1]
        here, before = ranges(starts[pair], lengths[pair]), ranges(starts[pair - 1], lengths[pair])
        differs = np.zeros(len(here), bool)
        for name in entries.columns:
            if name != HISTORY:
                column = entries[name]
                if isinstance(column.dtype, pl.List):
                    column = cast(column, pl.List(pl.String())).list.join("\0")
                differs |= (column.gather(here).ne_missing(column.gather(before))).to_numpy()
        again = np.zeros(len(lengths), bool)
        again[pair] = np.bincount(row_of(lengths[pair]), differs, len(pair)) == 0
        return again

    def _lists(self, values: pl.Series) -> pl.Series:
        mend = "say what stands between the values, as interactions.history.separator"
        return lists_of(values, self._history.separator, mend)

    def _items_of(self, chunk: Chunk) -> pl.Series:
        """Take the items of each history of a chunk, those that fill it up among them: lists ``[n]``."""
        columns = self._history.columns
        if isinstance(self._history.item, str):
            return chunk.parse(columns[0], self._lists)
        return evaluated(pl.concat_list([chunk.parse(column, text) for column in columns]))

    def _kept(self, chunk: Chunk, lists: pl.Series) -> NDArray[np.bool_]:
        """Mark the values of lists that count: not those that fill them up, or mark a missing item."""
        history, lengths = self._history, lengths_of(lists)
        values = values_of(lists)
        kept = np.ones(len(values), bool)
        if history.length is not None:
            shown = chunk.parse(history.length, lambda given: _lengths(given, lengths)).to_numpy()
            place = np.arange(len(values)) - to_offsets(lengths)[:-1][row_of(lengths)]
            kept &= place < shown[row_of(lengths)]
        if history.padding is not None:
            spelt = respelt(text(values))[0]
            kept &= (spelt != spelling_of(history.padding)).fill_null(True).to_numpy()
        if values.dtype == pl.String and (marks := chunk.reader.file.nulls):
            missing = kept & values.is_in(marks).fill_null(False).to_numpy()
            self.counts[MISSING] += int(missing.sum())
            kept &= ~missing
        if not isinstance(history.item, str):  # a column that a row has not
            kept &= values.is_not_null().to_numpy()
        return kept

    def _beside(
        self, chunk: Chunk, column: str, lists: pl.Series, kept: NDArray[np.bool_], of: NDArray[np.int64]
    ) -> Unfolded:
        """Take apart the lists of a column beside those of the items."""
        lengths = lengths_of(lists)
        values = chunk.parse(
            column, lambda given: values_beside(self._lists(given), lengths, self._history.columns[0])
        )
        return Unfolded(chunk.reader, values.filter(pl.Series(kept)).alias(column).to_frame(), chunk.row, of)

    def _entry_times(
        self, chunk: Chunk, lists: pl.Series, kept: NDArray[np.bool_], of: NDArray[np.int64]
    ) -> pl.Series:
        """Read the times of behaviours; 0 where the log has none."""
        column = self._history.time
        if column is None:
            return pl.Series(np.zeros(len(of), np.int64))
        if self._file != (path := str(chunk.reader.file.path)):
            self._times.start_file(path)
            self._file = path
        values = self._beside(chunk, column, lists, kept, of)

        def parse(values: pl.Series) -> pl.Series:
            times = self._times.parse(values)
            falls = (np.diff(times.to_numpy(), prepend=0) < 0) & (np.diff(of, prepend=-1) == 0)
            refuse(values, pl.Series(falls), "times that do not fall: a history stands oldest first; sort it")
            return times

        return values.parse(column, parse)

    def _feature(self, name: str, values: pl.Series) -> pl.Series:
        definition = self._definitions[name]
        parsed = definition.parse(values, pl.Float64() if definition.side == "item" else pl.Float32())
        return (
            self._codes[name].categories(parsed)
            if parsed.dtype == pl.String
            else self._items.spelling(parsed)
        )


def _lengths(values: pl.Series, most: NDArray[np.int64]) -> pl.Series:
    """Read how many values of each list ``[n]`` count."""
    found = cast(numbers(values, pl.Float64()).fill_null(-1), pl.Int64())
    bad = (found < 0) | (found > pl.Series(most))
    refuse(values, bad, "how many values of the list count: a whole number from 0 to its length")
    return found
