"""Histories that stand in the rows: their items, times and features, as behaviours of their row alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

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
from dien.data.sources.table.event_rows import rows_in
from dien.data.sources.table.forms import OwnHistory
from dien.data.sources.table.lists import Unfolded, lengths_of, lists_of, values_beside, values_of
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.split_files import SPLIT
from dien.data.sources.table.time_keys import parser_of
from dien.data.sources.table.values import Codes
from dien.data.spelling import respelt, spelling_of
from dien.errors import DataError

NOT_EARLIER = "behaviours of histories that are not earlier than their row (left out)"
MISSING = "entries of histories that mark a missing item (left out)"
SAME = "rows with the history of the row before (kept, one impression)"


class OwnHistories:
    """Reads the histories of all files of a log, and then knows what stood in them.

    A history that is that of the row before, of the same user, time and split, is read and not kept: memory
    grows with the entries of the others. Where no two rows in sequence are alike, as in a log in order of
    time, these are all entries: 4 bytes for each item, 8 for a time, 4 for a feature of one value.

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
        self._user = spec.interactions.user
        self._splits = (spec.interactions.split or SPLIT,)
        self.ordered = spec.interactions.ordered
        self._times = parser_of(spec.interactions)
        self._when = () if self.ordered else (self._times.column,)
        definitions: dict[str, Definition] = {
            name: spec.features.behaviour.get(name) or spec.features.item[name] for name in history.features
        }
        self._parse = {
            name: one.parser(pl.Float64() if one.side == "item" else pl.Float32())
            for name, one in definitions.items()
        }
        self._codes = {name: Codes(items.spelling) for name in history.features}
        timed = () if history.time is None else ("time",)
        self._columns = Columns(["item", *timed, *history.features])
        self._lengths: list[NDArray[np.int64]] = []  # of the histories that are kept, chunk by chunk
        self._kept_of: list[NDArray[np.int64]] = []  # number of that of each row, likewise
        self._rows = self._size = 0  # rows, and histories that are kept, so far
        self._before: _Before | None = None
        self._file = ""
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
        lists = self._items_of(chunk)
        kept = self._kept(chunk, lists)
        of = row_of(lengths_of(lists))[kept]
        if self._file != (path := str(chunk.reader.file.path)):
            self._times.start_file(path)  # the same text may be another time from here on
            self._file, self._before = path, None
        entries = self._entries(chunk, lists, kept, of) if len(of) else pl.DataFrame()
        height = chunk.frame.height
        lengths = np.bincount(of, minlength=height)
        again = self._as_before(chunk.frame, entries, lengths)
        for name in entries.columns:
            self._columns.add(name, entries[name].filter(pl.Series(~again[of])))
        self._lengths.append(lengths[~again])
        self._kept_of.append(self._size + np.cumsum(~again) - 1)
        self._size += int((~again).sum())
        place = np.arange(self._rows, self._rows + height)
        self._rows += height
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
        lengths, kept_of = np.concatenate(self._lengths), np.concatenate(self._kept_of)
        entries, of = self._columns.frame(), row_of(lengths)
        self._lengths, self._kept_of, self._before = [], [], None
        if entries.is_empty():
            raise DataError(
                f"{files}: column {self._history.columns[0]!r}: every history is empty; expected "
                "some with an item; name the right column (interactions.history.item)"
            )
        rows = events[HISTORY].to_numpy()
        history = kept_of[rows]  # [E]
        first = np.full(self._size, -1)  # [S] the first event of each history; -1 of a page without items
        first[history[::-1]] = np.arange(len(history))[::-1]
        kept = first[of] >= 0
        if self._history.time is not None:
            late = kept & (entries["time"].to_numpy() >= events["time"].to_numpy()[first[of]])
            copies = np.bincount(kept_of[np.unique(rows)], minlength=self._size)  # rows of each history
            self.counts[NOT_EARLIER] = int(copies[of[late]].sum())
            kept &= ~late
        entries, of, there = entries.filter(pl.Series(kept)), of[kept], first >= 0
        when = ("user", "time", "split")[: 3 if "split" in events.columns else 2]
        keys = events.select(when)[first[there]]
        lengths = np.bincount(of, minlength=self._size)[there]
        again = _repeats(entries, lengths, _alike(keys.drop("time") if self.ordered else keys))
        self.counts[SAME] = len(np.unique(rows)) - int((~again).sum())
        number = np.full(self._size, -1)  # [S] of the histories that are left
        number[there] = np.cumsum(~again) - 1
        once = ~np.repeat(again, lengths)
        beside = [events["user"].gather(first[of[once]]), pl.Series(HISTORY, number[of[once]])]
        if "time" not in entries.columns:  # rows are numbered from 1: what stands in a history has the time 0
            beside.append(pl.Series("time", np.zeros(len(beside[0]), np.int64)))
        self.behaviours = entries.filter(pl.Series(once)).with_columns(beside)
        events = events.with_columns(pl.Series(HISTORY, number[history]))
        if self.ordered:
            events = events.with_columns(keys["time"].filter(pl.Series(~again)).gather(number[history]))
        return events

    def _as_before(
        self, frame: pl.DataFrame, entries: pl.DataFrame, lengths: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Mark the rows ``[n]`` of a chunk whose history is that of the row before, in the same file.

        Args:
            frame: the rows.
            entries: of their histories, row after row.
            lengths: ``[n]`` entries of each row.
        """
        keys = frame.select(self._user, *self._when, *(one for one in self._splits if one in frame.columns))
        before, last = self._before, int(lengths[-1]) if len(lengths) else 0
        if frame.height:
            self._before = _Before(keys.tail(1), entries.tail(last), last)
        if before is None or before.keys.schema != keys.schema:  # of JSON lines a chunk has its own types
            return _repeats(entries, lengths, _alike(keys))
        both = [part for part in (before.entries, entries) if part.height]
        lengths = np.append(before.length, lengths)
        found = _repeats(
            pl.concat(both) if both else entries, lengths, _alike(pl.concat([before.keys, keys]))
        )
        return found[1:]

    def _entries(
        self, chunk: Chunk, lists: pl.Series, kept: NDArray[np.bool_], of: NDArray[np.int64]
    ) -> pl.DataFrame:
        """Read what the histories of a chunk hold, history after history.

        Args:
            chunk: the rows.
            lists: ``[n]`` their items.
            kept: ``[values of the lists]`` which of them count.
            of: ``[entries]`` the row of each.
        """
        history = self._history
        column = history.columns[0]
        items = values_of(lists).filter(pl.Series(kept)).alias(column)
        rows = Unfolded(chunk.reader, items.to_frame(), chunk.row, of)
        read = {"item": rows.parse(column, rows_in(self._items))}
        if history.time is not None:
            read["time"] = self._entry_times(chunk, history.time, lists, kept, of)
        for name, column in history.features.items():
            beside = self._beside(chunk, column, lists, kept, of)
            read[name] = beside.parse(column, partial(self._feature, name))
        return pl.DataFrame(read)

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
        if history.separator is not None and values.dtype == pl.String:  # as the end of 12|7|
            last = to_offsets(lengths)[1:][lengths > 1] - 1
            last = last[kept[last] & (values.gather(last) == "").fill_null(False).to_numpy()]
            self.counts[MISSING] += len(last)
            kept[last] = False
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
        self, chunk: Chunk, column: str, lists: pl.Series, kept: NDArray[np.bool_], of: NDArray[np.int64]
    ) -> pl.Series:
        """Read the times of behaviours."""
        values = self._beside(chunk, column, lists, kept, of)

        def parse(values: pl.Series) -> pl.Series:
            times = self._times.parse(values)
            falls = (np.diff(times.to_numpy(), prepend=0) < 0) & (np.diff(of, prepend=-1) == 0)
            refuse(values, pl.Series(falls), "times that do not fall: a history stands oldest first; sort it")
            return times

        return values.parse(column, parse)

    def _feature(self, name: str, values: pl.Series) -> pl.Series:
        parsed = self._parse[name](values)
        return (
            self._codes[name].categories(parsed)
            if parsed.dtype == pl.String
            else self._items.spelling(parsed)
        )


@dataclass(frozen=True)
class _Before:
    """The row before a chunk: what tells whose history it has and when, its entries, and how many."""

    keys: pl.DataFrame
    entries: pl.DataFrame
    length: int


def _alike(keys: pl.DataFrame) -> NDArray[np.bool_]:
    """Mark the rows ``[n - 1]``, from the second on, that have the keys of the row before."""
    alike = np.ones(max(keys.height - 1, 0), bool)
    for key in keys.iter_columns():
        alike &= key[1:].eq_missing(key[:-1]).to_numpy()
    return alike


def _repeats(
    entries: pl.DataFrame, lengths: NDArray[np.int64], alike: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Mark the histories ``[S]`` that hold what the one before holds.

    Args:
        entries: of all histories, one after the other.
        lengths: ``[S]`` entries of each.
        alike: ``[S - 1]`` from the second on, whether it may be that of the row before.
    """
    pair = np.flatnonzero(alike & (lengths[1:] == lengths[:-1])) + 1
    starts = to_offsets(lengths)[:-1]
    here, before = ranges(starts[pair], lengths[pair]), ranges(starts[pair - 1], lengths[pair])
    differs = np.zeros(len(here), bool)
    for column in entries.iter_columns():
        if isinstance(column.dtype, pl.List):
            column = cast(column, pl.List(pl.String())).list.join("\0")
        differs |= column.gather(here).ne_missing(column.gather(before)).to_numpy()
    again = np.zeros(len(lengths), bool)
    again[pair] = np.bincount(row_of(lengths[pair]), differs, len(pair)) == 0
    return again


def _lengths(values: pl.Series, most: NDArray[np.int64]) -> pl.Series:
    """Read how many values of each list ``[n]`` count."""
    found = cast(numbers(values, pl.Float64()).fill_null(-1), pl.Int64())
    bad = (found < 0) | (found > pl.Series(most))
    refuse(values, bad, "how many values of the list count: a whole number from 0 to its length")
    return found
