"""CSV files in chunks, all columns as text."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO, NoReturn, TextIO, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv

from dien.data.readers import streams
from dien.data.readers.csv_quotes import StrayQuoteError, fields_over_lines
from dien.data.readers.files import TableFile
from dien.data.readers.messages import check_distinct, one_line
from dien.data.readers.streams import open_stream, sizes_to
from dien.errors import DataError
from dien.progress import Progress

csv.field_size_limit(streams.BLOCK_BYTES)  # Arrow takes such fields, too

_BLOCK_OF_FEW_ROWS = 1 << 22  # bytes; Arrow reads 32 blocks ahead of who takes few rows and is slow with them


class CsvReader:
    """A CSV file with a header, gzip or plain; an empty field is missing."""

    quoted = True
    """Whether quotes around a field keep separators and line ends in it."""

    def __init__(self, file: TableFile) -> None:
        self.file = file
        self.kept: dict[str, int] = {}

    def columns(self) -> list[str]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        with self._text() as text:
            try:
                header = next((row for row in self._rows(text) if row), [])
                if any("\0" in name for name in header):
                    raise ValueError
            except (csv.Error, ValueError, EOFError, OSError, zlib.error) as error:
                self._damaged(error)
        check_distinct(self.file.path, header)
        return header

    def has(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return column in self.columns()

    def chunks(
        self, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        with open_stream(self.file.path, sizes_to(progress)) as raw:
            bytes_read, rows_read = _Counted(raw), 0
            try:
                stream = pa.csv.open_csv(
                    pa.PythonFile(bytes_read, mode="r"),
                    pa.csv.ReadOptions(
                        block_size=streams.BLOCK_BYTES if rows is None else _BLOCK_OF_FEW_ROWS,
                        use_threads=False,
                    ),
                    pa.csv.ParseOptions(
                        delimiter=self.file.separator,
                        quote_char='"' if self.quoted else False,
                        newlines_in_values=self.quoted,
                    ),
                    pa.csv.ConvertOptions(
                        include_columns=list(columns),
                        column_types={name: pa.string() for name in columns},
                        strings_can_be_null=True,
                        null_values=[""],
                    ),
                )
                for batch in stream:
                    rows_read += batch.num_rows
                    frame = cast(pl.DataFrame, pl.from_arrow(pa.Table.from_batches([batch])))
                    yield from frame.iter_slices(rows or streams.CHUNK_ROWS)
            except (pa.ArrowException, OSError, EOFError, zlib.error, ValueError) as error:
                self._damaged(error)
        # Where every line is a row, no field runs over lines: so it is in most files, and costs nothing.
        if self.quoted and bytes_read.quotes and bytes_read.lines != rows_read + 1:
            try:
                self._check_quotes()
            except csv.Error as error:
                self._damaged(error)

    def place(self, row: int) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        with self._text("replace") as text, suppress(csv.Error):
            reader, index, begin = self._rows(text), -2, 1
            for fields in reader:
                index += bool(fields)
                if index == row:
                    return f"line {begin}"
                begin = reader.line_num + 1  # type: ignore[attr-defined]
        return f"row {row + 1}"

    def _text(self, errors: str = "strict") -> TextIO:
        return io.TextIOWrapper(open_stream(self.file.path), "utf-8-sig", errors, newline="")

    def _rows(self, text: TextIO) -> Iterator[list[str]]:
        if self.quoted:
            return csv.reader(text, delimiter=self.file.separator)
        return csv.reader(text, delimiter=self.file.separator, quoting=csv.QUOTE_NONE)

    def _check_quotes(self) -> None:
        """Raise where a quote hides rows; count the fields that rightly run over lines.

        Raises:
            csv.Error: a field is longer than the reader takes.
        """
        with self._text("replace") as text:
            try:
                count = fields_over_lines(text, self.file.separator)
            except StrayQuoteError as error:
                raise DataError(f"{self.file.path}: line {error.line}: {error}") from error
        if count:
            self.kept = {"fields in quotes that run over lines (kept)": count}

    def _damaged(self, error: Exception) -> NoReturn:
        """Find the first damaged line, slowly: this is the only time."""
        line, problem = 0, ""
        if self.quoted:
            with suppress(csv.Error, UnicodeError, EOFError, OSError, zlib.error):
                self._check_quotes()
        try:
            with self._text() as text:
                reader, width = self._rows(text), 0
                for fields in reader:
                    width = width or len(fields)
                    if any("\0" in field for field in fields):
                        problem = "a NUL byte: this is no text, or text of UTF-16"
                        break
                    if fields and len(fields) != width:
                        problem = f"{len(fields)} fields, expected {width} as in the header"
                        break
                    line = reader.line_num  # type: ignore[attr-defined]
        except UnicodeError as found:
            problem, line = f"not UTF-8 ({found})", self._line_of_bad_bytes()
        except (EOFError, OSError, zlib.error, csv.Error) as found:
            problem = str(found)
        where = f"{self.file.path}: line {line + 1}" if problem else f"{self.file.path}"
        raise DataError(
            f"{where}: {problem or one_line(error)}; expected {self._expected()}; mend it"
        ) from error

    def _expected(self) -> str:
        return (
            f"CSV in UTF-8 with a header, fields with {self.file.separator!r} between and quotes around one "
            "that holds it"
        )

    def _line_of_bad_bytes(self) -> int:
        with open_stream(self.file.path) as raw:
            lines = enumerate(raw)
            return next((n for n, line in lines if "\ufffd" in line.decode(errors="replace")), 0)


class _Counted:
    """Counts the quotes and the lines that pass."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.quotes = self.lines = 0
        self._last = b"\n"

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if b"\0" in block:
            raise ValueError("a NUL byte")
        self.quotes += block.count(b'"')
        self.lines += block.count(b"\n")
        if not block and self._last != b"\n":
            self.lines += 1  # the last one has no end
        self._last = block[-1:] or b"\n"
        return block
