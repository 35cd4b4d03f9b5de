"""Parquet files in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from dien.data.readers import streams
from dien.data.readers.files import TableFile
from dien.data.readers.messages import check_distinct, one_line, told_counts
from dien.data.readers.nested import inside, leaves_of_type, type_of
from dien.errors import DataError
from dien.progress import Progress
from dien.room import shortage


class ParquetReader:
    """A Parquet file."""

    def __init__(self, file: TableFile) -> None:
        self.file = file
        self.kept = told_counts(self.told())
        try:
            self._parquet = pa.parquet.ParquetFile(file.path)
            self._schema = self._parquet.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            self._damaged(error)

    def columns(self) -> list[str]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        check_distinct(self.file.path, self._schema.names)
        return [name for field in self._schema for name in leaves_of_type(field.name, field.type)]

    def has(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return self._type_of(column) is not None

    def told(self) -> tuple[str, ...]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return ("Parquet",) if self.file.told else ()

    def doubt(self) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return ""

    def chunks(
        self, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        for name in columns:
            if (kind := self._type_of(name)) is None or not _readable(kind):
                fields = [] if kind is None else list(leaves_of_type(name, kind))
                mend = f"name a field of it, as {fields[0]}" if fields != [name] else "convert it"
                raise DataError(
                    f"{self.file.path}: column {name!r}: holds {kind}; expected text, numbers, times or "
                    f"lists; {mend}, or leave the column out"
                )
        places = {name: self._place_of(name) for name in columns}
        whole = list(dict.fromkeys(column for column, _ in places.values()))
        total, size, done = max(self._parquet.metadata.num_rows, 1), self.file.size, 0
        try:
            for batch in self._parquet.iter_batches(rows or streams.CHUNK_ROWS, columns=whole):
                self._check(batch)
                table = pa.Table.from_batches([batch]).select(whole)
                frame = cast(pl.DataFrame, pl.from_arrow(table))
                yield (
                    frame
                    if whole == list(columns)
                    else pl.DataFrame(
                        [inside(frame[column], path).alias(name) for name, (column, path) in places.items()]
                    )
                )
                if progress is not None:
                    before, done = done, done + batch.num_rows
                    progress(size * min(done, total) // total - size * min(before, total) // total)
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
            self._damaged(error)
        if progress is not None and not done:
            progress(size)

    def place(self, row: int) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return f"row {row + 1}"

    def _place_of(self, name: str) -> tuple[str, list[str]]:
        """Find the column that a name is of, and the path inside it; a column's own name goes first."""
        if name in self._schema.names:
            return name, []
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            if (column := ".".join(parts[:end])) in self._schema.names:
                return column, parts[end:]
        return name, []

    def _type_of(self, name: str) -> pa.DataType | None:
        column, path = self._place_of(name)
        return type_of(self._schema.field(column).type, path) if column in self._schema.names else None

    def _check(self, batch: pa.RecordBatch) -> None:
        """Refuse a column with text that is no UTF-8, which must not reach Polars, or with broken lists."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:  # noqa: PERF203  # few columns
                raise DataError(
                    f"{self.file.path}: column {name!r}: {one_line(error)}; expected text in UTF-8, and "
                    "whole lists; write the file again"
                ) from error

    def _damaged(self, error: Exception) -> NoReturn:
        if shortage(error):
            raise error
        raise DataError(
            f"{self.file.path}: not a readable Parquet file: {one_line(error)}; "
            "it is truncated, damaged or of another kind, write it again"
        ) from error


def _readable(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _readable(kind.value_type)
    if types.is_dictionary(kind):
        return _readable(kind.value_type)
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or str(kind) == "string_view"  # pyarrow 15 has no test for it
        or types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_timestamp(kind)
        or types.is_date(kind)
        or types.is_decimal128(kind)
        or types.is_null(kind)
    )
