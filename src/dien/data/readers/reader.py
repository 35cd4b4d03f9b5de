"""A file of any format: chunks of its columns in order, and the place of every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.readers.atomic import AtomicReader
from dien.data.readers.csv_text import CsvReader
from dien.data.readers.files import TableFile
from dien.data.readers.json_lines import JsonReader, JsonType
from dien.data.readers.messages import BadValueError, listed, no_column, one_line, shown
from dien.data.readers.nulls import Nulls, added
from dien.data.readers.parquet import ParquetReader
from dien.data.readers.text_format import Format
from dien.data.readers.values import as_plain_numbers
from dien.errors import DataError
from dien.forks import expect_polars
from dien.progress import Progress


class Reader(Protocol):
    """One file of a table.

    Attributes:
        file: what it reads.
        kept: what was odd and yet read, and how often, after the last chunk; for the report.
    """

    file: TableFile
    kept: dict[str, int]

    def columns(self) -> list[str]:
        """Name its columns: those of JSON lines, and of lists of keys and values, are keys of the first rows.

        Raises:
            DataError: the file is damaged, or two columns have one name.
        """

    def has(self, column: str) -> bool:
        """Tell whether a column is there; of what rows may lack, whether one read so far has it."""

    def may_have(self, column: str) -> bool:
        """Tell whether a column may be there: a row may lack a key of JSON lines, or of keys and values."""

    def told(self) -> tuple[str, ...]:
        """Name what its first bytes alone tell: its format, its encoding, what is between the columns."""

    def doubt(self) -> str:
        """Say why the names of its columns may be none, as without a header; empty where they are."""

    def chunks(
        self, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Read some columns, chunk by chunk.

        Columns of text files hold text, those of Parquet their own types; those of JSON lines are typed by
        the values of the chunk.

        Args:
            columns: their names; of JSON lines, a key that no line has gives a column of nulls.
            progress: gets the bytes of the file as they are read.
            rows: of a chunk at most; None for :data:`~dien.data.readers.streams.CHUNK_ROWS`.

        Raises:
            DataError: the file is damaged.
        """

    def place(self, row: int) -> str:
        """Say where the row of an index (from 0) is found in the file, for people."""


def open_table(file: TableFile, types: Mapping[str, JsonType] | None = None) -> Reader:
    """Open a file by its format.

    Args:
        file: what to open.
        types: what the keys of JSON lines must hold, checked value by value; a key without one may hold
            anything. Files of other formats type whole columns, which their reader leaves to the caller.

    Raises:
        DataError: the file is damaged.
        DienError: this is a forked process that lacks the threads of Polars.
    """
    expect_polars(f"{file.path}: cannot be read")
    return JsonReader(file, types) if file.format == "jsonl" else _READERS[file.format](file)


_READERS: dict[Format, Callable[[TableFile], Reader]] = {
    "parquet": ParquetReader,
    "csv": CsvReader,
    "atomic": AtomicReader,
}


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, raw.

    Attributes:
        reader: of the file.
        frame: its columns.
        row: index of the first row in the file; or of each one ``[n]``, where some were left out.
    """

    reader: Reader
    frame: pl.DataFrame
    row: int | NDArray[np.int64]

    def parse(self, column: str, parse: Callable[[pl.Series], pl.Series]) -> pl.Series:
        """Apply to a column what checks and converts its values.

        Args:
            column: its name.
            parse: raises ``BadValueError`` for a value it does not take.

        Raises:
            DataError: the file, the row and the column of such a value.
        """
        try:
            return parse(self.frame[column])
        except BadValueError as error:
            if self.frame[column].is_null().all() and not self.reader.has(column):
                found, mend = self.reader.columns(), "name the right one, or add it to the file"
                raise no_column(self.reader.file.path, column, found, mend) from error
            if (mark := self._mark(column, error.index)) is not None:
                error = BadValueError(
                    error.index, f"{mark}, which marks a missing value (key nulls)", error.expected
                )
            raise DataError(f"{self.place(error.index)}: column {column!r}: {error}") from error
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"{self.place(0)} and the rows after it: column {column!r}: {one_line(error)}; "
                "expected other values"
            ) from error

    def _mark(self, column: str, index: int) -> str | None:
        """Find the mark that stands in a file where a row of the chunk is null; None where there is none."""
        file = self.reader.file
        there = file.nulls and index < self.frame.height and self.reader.may_have(column)
        if not there or self.frame[column][index] is not None:
            return None
        if file.format == "jsonl":  # its marks are taken away before the values have a type
            return f"nothing, or {listed(file.nulls)}"
        row, first = self._row(index), 0
        for frame in self.reader.chunks([column]):
            if first <= row < first + frame.height:
                value = frame[column][row - first]
                return None if value is None else shown(value)
            first += frame.height
        return None

    def _row(self, index: int) -> int:
        """Give the index in the file of a row of the chunk."""
        return self.row + index if isinstance(self.row, int) else int(self.row[index])

    def place(self, index: int) -> str:
        """Say where a row of the chunk is found: file and row."""
        return f"{self.reader.file.path}: {self.reader.place(self._row(index))}"


_GROUPS = {
    ",": "points between thousands (1.234 is read as 1234, in every column)",
    ".": "commas between thousands (1,234 is read as 1234, in every column)",
}


def is_pattern(name: str) -> bool:
    """Whether Polars takes a column's name for a pattern of names: such a column cannot be read."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def read_chunks(
    reader: Reader, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
) -> Iterator[Chunk]:
    """Read some columns of a file as chunks that know their place; see :meth:`Reader.chunks`.

    What marks a missing value (``reader.file.nulls``) is null in them, and counted in ``reader.kept``;
    numbers have a point before their fraction, and nothing between thousands.

    Raises:
        DataError: the file is damaged, or the name of a column is one that stands for others.
    """
    for name in columns:
        if is_pattern(name):
            raise DataError(
                f"{reader.file.path}: column {name!r}: a column named * or ^...$ cannot be read; rename it"
            )
    row, grouped, head, nulls = 0, 0, reader.file.head, Nulls(reader.file.nulls)
    for frame in reader.chunks(columns, progress, rows):
        part = frame if head is None else frame.head(head - row)
        if (decimal := reader.file.text.decimal) is not None:
            part, count = as_plain_numbers(part, decimal)
            grouped += count
        yield Chunk(reader, nulls.out_of(part), row)
        row += part.height
        if row == head:
            break
    reader.kept = added(reader.kept, nulls.counts)
    if grouped:
        reader.kept = added(reader.kept, {f"numbers with {_GROUPS[reader.file.text.decimal or '']}": grouped})
