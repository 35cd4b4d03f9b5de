"""Text with something between the columns, as CSV, in chunks; all columns as text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import BinaryIO, NoReturn, TextIO, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv

from dien.data.readers import streams
from dien.data.readers.csv_quotes import StrayQuoteError, fields_over_lines
from dien.data.readers.files import TableFile
from dien.data.readers.first_lines import (
    dialect_of,
    first_bytes,
    first_rows,
    likely_encodings,
    looks_like_data,
    separator_in_words,
)
from dien.data.readers.messages import check_distinct, listed, one_line, told_counts
from dien.data.readers.streams import DAMAGED, first_bad_line, open_text, sizes_to
from dien.data.readers.text_format import Dialect
from dien.errors import DataError
from dien.progress import Progress

csv.field_size_limit(streams.BLOCK_BYTES)  # Arrow takes such fields, too

_BLOCK_OF_FEW_ROWS = 1 << 22  # bytes; Arrow reads 32 blocks ahead of who takes few rows and is slow with them


class CsvReader:
    """A file of text with something between the columns, compressed or plain; an empty field is missing.

    The first line names the columns, unless ``file.text.columns`` does.
    """

    def __init__(self, file: TableFile) -> None:
        self.file = file
        self.kept: dict[str, int] = {}

    @cached_property
    def dialect(self) -> Dialect:
        """How the text is written."""
        found = dialect_of(self.file.path, self.file.text, self.file.separator)
        self._count(told_counts(found.told))
        return found

    def columns(self) -> list[str]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        with self._text() as text:
            try:
                first = next((row for row in self._rows(text) if row), [])
                if any("\0" in name for name in first):
                    raise ValueError
            except (csv.Error, ValueError, *DAMAGED) as error:
                self._damaged(error)
        named = self.file.text.columns
        if re.fullmatch("sep=.?", line := self.dialect.separator.join(first)):
            raise DataError(f"{self.file.path}: line 1: {line!r} is for Excel, and no header; take it out")
        if named is None:
            if len(set(first)) < len(first) and (doubt := self._no_header()):
                raise DataError(f"{self.file.path}: {doubt}")
            check_distinct(self.file.path, first)
            return first
        if first and len(first) != len(named):
            raise DataError(
                f"{self.file.path}: line 1: {len(first)} fields with "
                f"{separator_in_words(self.dialect.separator)} between; expected {len(named)}, as columns "
                f"names ({listed(named)}); mend columns or separator"
            )
        if tuple(first) == named:
            raise DataError(
                f"{self.file.path}: line 1 is a header; columns names those of a file without one; leave "
                "columns out"
            )
        return list(named)

    def has(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return column in self.columns()

    def may_have(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return self.has(column)

    def told(self) -> tuple[str, ...]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return self.dialect.told

    def doubt(self) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return "" if self.file.text.columns is not None else self._no_header()

    def chunks(
        self, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        dialect, named = self.dialect, self.file.text.columns
        if any(name.isdecimal() for name in columns) and (doubt := self.doubt()):
            raise DataError(f"{self.file.path}: {doubt}")  # the first row would be lost
        with open_text(self.file.path, dialect, sizes_to(progress)) as raw:
            bytes_read, rows_read = _Counted(raw), 0
            try:
                stream = pa.csv.open_csv(
                    pa.PythonFile(bytes_read, mode="r"),
                    pa.csv.ReadOptions(
                        block_size=streams.BLOCK_BYTES if rows is None else _BLOCK_OF_FEW_ROWS,
                        use_threads=False,
                        column_names=None if named is None else list(named),
                    ),
                    pa.csv.ParseOptions(
                        delimiter=dialect.delimiter,
                        quote_char='"' if dialect.quoted else False,
                        newlines_in_values=dialect.quoted,
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
            except (pa.ArrowException, ValueError, *DAMAGED) as error:
                self._damaged(error)
        # Where every line is a row, no field runs over lines: so it is in most files, and costs nothing.
        if dialect.quoted and bytes_read.quotes and bytes_read.lines != rows_read + (named is None):
            try:
                self._check_quotes()
            except csv.Error as error:
                self._damaged(error)

    def place(self, row: int) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        with self._text("replace") as text, suppress(csv.Error, ValueError):
            reader, index, begin = self._rows(text), -1 - (self.file.text.columns is None), 1
            for fields in reader:
                index += bool(fields)
                if index == row:
                    return f"line {begin}"
                begin = reader.line_num + 1  # type: ignore[attr-defined]
        return f"row {row + 1}"

    def _count(self, found: Mapping[str, int]) -> None:
        self.kept = {**self.kept, **found}

    def _no_header(self) -> str:
        """Say that the first line is no header, where it seems so."""
        rows = first_rows(self.file.path, self.dialect)
        if not looks_like_data(rows):
            return ""
        return (
            f"the first line looks like data ({listed(rows[0][:6])}), not like names of the columns; name "
            "them in their order, as --columns user,item,time of the interactions or "
            "columns: [user, item, time] in the schema; or put a header into the file"
        )

    def _text(self, errors: str = "strict") -> TextIO:
        stream = open_text(self.file.path, self.dialect, errors=errors)
        return io.TextIOWrapper(stream, "utf-8-sig", errors, newline="")

    def _rows(self, text: TextIO) -> Iterator[list[str]]:
        if self.dialect.quoted:
            return csv.reader(text, delimiter=self.dialect.delimiter)
        return csv.reader(text, delimiter=self.dialect.delimiter, quoting=csv.QUOTE_NONE)

    def _check_quotes(self) -> None:
        """Raise where a quote hides rows; count the fields that rightly run over lines.

        Raises:
            csv.Error: a field is longer than the reader takes.
        """
        with self._text("replace") as text:
            try:
                count = fields_over_lines(text, self.dialect.delimiter)
            except StrayQuoteError as error:
                raise DataError(f"{self.file.path}: line {error.line}: {error}") from error
        if count:
            self._count({"fields in quotes that run over lines (kept)": count})

    def _damaged(self, error: Exception) -> NoReturn:
        """Find the first damaged line, slowly: this is the only time."""
        if first_bytes(self.file.path).startswith(b"PAR1"):
            raise DataError(
                f"{self.file.path}: a Parquet file; expected {self._expected()}; name it .parquet, or say "
                "format: parquet in the schema (--format parquet for the interactions)"
            ) from error
        line, problem = 0, ""
        if self.dialect.quoted:
            with suppress(csv.Error, UnicodeError, *DAMAGED):
                self._check_quotes()
        try:
            with self._text() as text:
                named = self.file.text.columns
                reader, width = self._rows(text), len(named or ())
                for fields in reader:
                    width = width or len(fields)
                    if any("\0" in field for field in fields):
                        problem = "a NUL byte: this is no text, or text of UTF-16 (say encoding: utf-16)"
                        break
                    if fields and len(fields) != width:
                        as_in = "as in the header" if named is None else "as columns names"
                        problem = f"{len(fields)} fields, expected {width} {as_in}"
                        problem += self._maybe_escaped(fields)
                        break
                    line = reader.line_num  # type: ignore[attr-defined]
        except UnicodeError as found:
            number, bad = first_bad_line(self.file.path, self.dialect.encoding)
            line = number - 1
            problem = f"not {self.dialect.encoding.upper()} ({found})"
            if self.file.text.encoding is None and (likely := likely_encodings(bad)):
                problem += (
                    f"; it may be {', '.join(likely)}: say it as encoding in the schema, or as --encoding "
                    "of the interactions"
                )
        except (csv.Error, ValueError) as found:
            problem = str(found)
        except DAMAGED as found:
            raise DataError(
                f"{self.file.path}: the compressed file is truncated or damaged after line {line} "
                f"({one_line(found)}); expected a whole file, write it again"
            ) from error
        where = f"{self.file.path}: line {line + 1}" if problem else f"{self.file.path}"
        raise DataError(
            f"{where}: {problem or one_line(error)}; expected {self._expected()}; mend it"
        ) from error

    def _maybe_escaped(self, fields: Sequence[str]) -> str:
        """Say how backslashes before quotes are read, where a row has some."""
        if not self.dialect.quoted or self.dialect.escaped or not any("\\" in field for field in fields):
            return ""
        return '; if \\" stands for a quote inside of quotes, say quote: escaped in the schema'

    def _expected(self) -> str:
        dialect = self.dialect
        around = " and quotes around one that holds it" if dialect.quoted else ""
        header = " with a header" if self.file.text.columns is None else ""
        return f"CSV in {dialect.encoding.upper()}{header}, fields with {dialect.separator!r} between{around}"


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
