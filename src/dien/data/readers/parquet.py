"""Parquet files in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from dien.data.readers import streams
from dien.data.readers.files import TableFile
from dien.data.readers.json_columns import column_of, telling
from dien.data.readers.messages import BadValueError, check_distinct, one_line, told_counts
from dien.data.readers.nested import inside, leaves_of_type, paths_of_type, type_of
from dien.data.readers.parameters import ParameterError, entry_type, keys_of, parameters, without_maps
from dien.errors import DataError
from dien.progress import Progress
from dien.room import shortage

_FIRST_ROWS = 1000  # whose keys of parameters are columns
_BUFFER = 1 << 20  # bytes of a column read at once


class ParquetReader:
    """A Parquet file."""

    def __init__(self, file: TableFile) -> None:
        self.file = file
        self.kept = told_counts(self.told())
        self._seen: set[str] = set()  # parameters that a row has
        self._before: dict[str, list[Any]] = {}  # of each, what tells the kind of its values so far
        try:
            # Else each column of a row group is read at once, and a file may be a single row group.
            self._parquet = pa.parquet.ParquetFile(file.path, buffer_size=_BUFFER, pre_buffer=False)
            self._schema = self._parquet.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            self._damaged(error)

    def columns(self) -> list[str]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        check_distinct(self.file.path, self._schema.names)
        names: list[str] = []
        for field in self._schema:
            if entry_type(field.type) is None:
                names += leaves_of_type(field.name, field.type)
            else:
                names += (f"{field.name}.{key}" for key in self._keys(field.name))
        return list(dict.fromkeys(names))  # of two values of one name whoever reads it says so

    def has(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return column in self._seen if self._is_parameter(column) else self.may_have(column)

    def may_have(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return bool(self._places_of(column))

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
        places = {name: self._place_of(name) for name in columns}
        self._before = {}
        whole = list(dict.fromkeys(column for column, _ in places.values()))
        total, size, done = max(self._parquet.metadata.num_rows, 1), self.file.size, 0
        row = 0
        try:
            for batch in self._parquet.iter_batches(rows or streams.CHUNK_ROWS, columns=whole):
                self._check(batch)
                table = _in_utc(without_maps(pa.Table.from_batches([batch]).select(whole)))
                frame = cast(pl.DataFrame, pl.from_arrow(table))
                plain = whole == list(columns) and not any(map(self._is_parameter, columns))
                yield frame if plain else self._frame(frame, places, row)
                row += frame.height
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

    def _frame(
        self, frame: pl.DataFrame, places: Mapping[str, tuple[str, list[str]]], row: int
    ) -> pl.DataFrame:
        """Take what is wanted out of the columns that hold it; ``row`` is that of the first in the file."""
        made = []
        for name, (column, path) in places.items():
            if self._is_parameter(name):
                made.append(self._parameter(name, frame[column], path, row))
            else:
                made.append(inside(frame[column], path).alias(name))
        return pl.DataFrame(made)

    def _parameter(self, name: str, lists: pl.Series, path: list[str], row: int) -> pl.Series:
        """Take the value of a key of lists of keys and values; its type is told as of JSON."""
        try:
            values = parameters(lists, path)
            if values is None:
                return pl.Series(name, [None] * len(lists), dtype=pl.Null)
            self._seen.add(name)
            made = column_of(name, values, self._before.get(name, ()))
            self._before[name] = telling([*self._before.get(name, ()), *values])
            return made
        except ParameterError as error:
            place, problem = self.place(row + error.row), str(error)
        except BadValueError as error:
            place, problem = self.place(row + error.index), str(error)
        raise DataError(f"{self.file.path}: {place}: column {name!r}: {problem}")

    def _keys(self, column: str) -> list[str]:
        """List the keys that the first lists of keys and values of a column have."""
        try:
            batch = next(self._parquet.iter_batches(_FIRST_ROWS, columns=[column]), None)
        except (pa.ArrowException, OSError, ValueError) as error:
            self._damaged(error)
        if batch is None:
            return []
        self._check(batch)
        table = without_maps(pa.Table.from_batches([batch]))
        return keys_of(cast(pl.DataFrame, pl.from_arrow(table))[column])

    def _place_of(self, name: str) -> tuple[str, list[str]]:
        """Find the column that a name is of, and the fields, or the key, inside it.

        Raises:
            DataError: it stands for nothing that can be read, or for several values.
        """
        places = self._places_of(name)
        if len(places) > 1:
            first, second, *_ = (" > ".join([column, *path]) for column, path in places)
            raise DataError(
                f"{self.file.path}: column {name!r}: found two values of this name, one at {first} and one "
                f"at {second}; expected one, rename a column or a field"
            )
        column, path = places[0] if places else (name, [])
        field = self._schema.field(column) if column in self._schema.names else None
        kind = None if field is None else field.type
        if kind is not None and not self._is_parameter(name):
            kind = type_of(kind, path)
        if kind is None or not (self._is_parameter(name) or _readable(kind)):
            names = [] if kind is None else [one for one in self.columns() if one.startswith(f"{name}.")]
            mend = f"name a field of it, as {names[0]}" if names else "convert it"
            raise DataError(
                f"{self.file.path}: column {name!r}: holds {kind}; expected text, numbers, times or "
                f"lists; {mend}, or leave the column out"
            )
        return column, path

    def _places_of(self, name: str) -> list[tuple[str, list[str]]]:
        """Find the columns that a name may be of, each with the fields, or the parts of a key, inside it."""
        parts = name.split(".")
        found: list[tuple[str, list[str]]] = []
        for end in range(1, len(parts) + 1):
            column, rest = ".".join(parts[:end]), parts[end:]
            if column not in self._schema.names:
                continue
            kind = self._schema.field(column).type
            if rest and entry_type(kind) is not None:
                found.append((column, rest))
            else:
                found += ((column, path) for path in paths_of_type(kind, rest))
        return found

    def _is_parameter(self, name: str) -> bool:
        """Whether a name is of a key in lists of keys and values."""
        places = self._places_of(name) if "." in name else []
        return (
            len(places) == 1
            and bool(places[0][1])
            and entry_type(self._schema.field(places[0][0]).type) is not None
        )

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


def _in_utc(table: pa.Table) -> pa.Table:
    """Give times in a zone such as +05:30, which Polars does not know, in UTC: they are the same."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and (field.type.tz or "")[:1] in ("+", "-"):
            times = table[field.name].cast(pa.timestamp(field.type.unit, "UTC"))
            table = table.set_column(index, field.name, times)
    return table


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
