"""The columns of several files, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from dien.data.readers.files import TableFile
from dien.data.readers.messages import no_column
from dien.data.readers.reader import Chunk, Reader, open_table, read_chunks
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.times import TimeParser, with_times
from dien.errors import DataError


@dataclass
class Columns:
    """Columns collected chunk by chunk."""

    names: list[str]
    parts: dict[str, list[pl.Series]] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = {name: [] for name in self.names}

    def add(self, name: str, part: pl.Series) -> None:
        """Add a part of a column."""
        self.parts[name].append(part)

    def last(self, name: str) -> pl.Series:
        """Give the part that was added last."""
        return self.parts[name][-1]

    def frame(self) -> pl.DataFrame:
        """Join the parts, and forget them column by column: never are all there twice."""
        joined = {}
        for name in self.names:
            parts = self.parts.pop(name)
            joined[name] = pl.concat(parts, rechunk=True) if parts else pl.Series([], dtype=pl.Null)
        return pl.DataFrame(joined)


def chunks(
    files: Sequence[TableFile],
    wanted: Mapping[str, str],
    times: TimeParser | None,
    required: Mapping[str, str],
    counts: Counts,
) -> Iterator[Chunk]:
    """Read the wanted columns of all files; those of the folders' names are among them.

    Args:
        files: in this order.
        wanted: the key of the schema that names a column, by column.
        times: parser of the times, which are a column of the chunks; None where there are none.
        required: what each column says that must have a value in every row.
        counts: what is left out or odd, rows that lack such a value and files without rows among it.
    """
    complete: TableFile | None = None  # a file that has all columns
    late: list[tuple[Reader, list[str]]] = []  # what rows may lack is missing where none of any file has it
    row = 0  # among those of all files
    for file in files:
        if times is not None:
            times.start_file(str(file.path))
        reader = open_table(file)
        found = reader.columns()
        partition = {
            name: value for name, value in file.partition.items() if name in wanted and name not in found
        }
        inside = [name for name in wanted if name not in partition]
        for name in inside:
            if name not in found and not reader.may_have(name):
                raise _missing(reader, name, wanted, complete)
        rows = 0
        for chunk in read_chunks(reader, inside, counts.progress):
            constant = (pl.lit(value, pl.String).alias(name) for name, value in partition.items())
            rows += chunk.frame.height
            whole = replace(chunk, frame=chunk.frame.with_columns(*constant))
            whole = counts.incomplete.left_out(whole, required)
            if times is not None:
                whole = replace(whole, frame=with_times(whole, times.columns, row, times.clock))
            yield whole
        row += rows
        counts.add_all(reader.kept)
        if not rows:
            counts.add("files without rows", 1)
        elif file.format == "jsonl" or not set(inside) <= set(found):
            late.append((reader, inside))
        else:
            complete = file
    if times is not None:
        times.end(counts.excluded)
    for reader, inside in late:
        for name in inside:
            if not any(other.has(name) for other, _ in late):
                raise _missing(reader, name, wanted, complete)


def _missing(reader: Reader, column: str, wanted: Mapping[str, str], complete: TableFile | None) -> DataError:
    found = [*reader.columns(), *reader.file.partition]
    also = f"{complete.path} has it: expected the same columns in all files; " if complete else ""
    key = wanted[column]
    role = key.removeprefix("interactions.")
    if doubt := reader.doubt():
        return DataError(f"{reader.file.path}: no column {column!r} ({key} names it): {doubt}")
    by_option = key.startswith("interactions.") and role in ("user", "item", "time", "label")
    option = f" (or by --{role})" if by_option else ""
    if role == "time":
        option += ", or time: {order: file} (--order file) where there is no time and the rows stand in order"
    mend = f"{also}{key} names it: name the right column in the schema{option}, or add it to the file"
    return no_column(reader.file.path, column, found, mend)
