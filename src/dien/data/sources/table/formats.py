"""Files of any format: chunks of columns in order, and the place of every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import polars as pl

from dien.data.sources.table.atomic import AtomicReader
from dien.data.sources.table.csv_text import CsvReader
from dien.data.sources.table.files import TableFile
from dien.data.sources.table.json_lines import JsonReader
from dien.data.sources.table.opening import Progress
from dien.data.sources.table.parquet import ParquetReader


class Reader(Protocol):
    """One file of a table."""

    file: TableFile

    def columns(self) -> list[str]:
        """Name its columns: those of JSON lines are the keys of the first lines.

        Raises:
            DataError: the file is damaged, or two columns have one name.
        """

    def has(self, column: str) -> bool:
        """Tell whether a column is there; of JSON lines, after all were read."""

    def chunks(self, columns: Sequence[str], progress: Progress | None = None) -> Iterator[pl.DataFrame]:
        """Read some columns, chunk by chunk; progress gets the bytes of the file as they are read.

        Raises:
            DataError: the file is damaged.
        """

    def place(self, row: int) -> str:
        """Say where the row of an index (from 0) is found in the file."""


def open_table(file: TableFile) -> Reader:
    """Open a file by its format."""
    readers: dict[str, Callable[[TableFile], Reader]] = {
        "parquet": ParquetReader,
        "csv": CsvReader,
        "jsonl": JsonReader,
        "atomic": AtomicReader,
    }
    return readers[file.format](file)
