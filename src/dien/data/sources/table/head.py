"""The first rows of tables, as columns whose types are told by their values: what a draft is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dien.data.readers.files import TableFile, find
from dien.data.readers.messages import BadValueError
from dien.data.readers.reader import open_table
from dien.data.readers.text_format import NOTHING_SAID, TextFormat
from dien.data.sources.table.times import TimeParser
from dien.errors import DataError

_ROWS, _FILES = 100_000, 10  # read at most: rows of a file, and files of a table


@dataclass(frozen=True)
class HeadColumn:
    """What the head of a column holds.

    Attributes:
        name: its name.
        values: typed: text that is all numbers is numbers.
        distinct: how many values there are, without null.
        lists: whether it holds lists.
        times: whether it holds typed times, or text that is one.
        files: the files that the values are from, and how many each has, in this order; not of lists.
        problem: why it cannot be read, where it has no values for that reason.
    """

    name: str
    values: pl.Series
    distinct: int
    lists: bool
    times: bool
    files: tuple[tuple[Path, int], ...] = ()
    problem: str = ""

    @property
    def known(self) -> int:
        """Number of rows that are not null."""
        return self.values.len() - self.values.null_count()


def head_of(paths: Sequence[Path], text: TextFormat = NOTHING_SAID) -> list[HeadColumn]:
    """Read the columns of some files, of their first rows; folders' names are no columns here.

    Args:
        paths: files, folders and globs.
        text: how they are written, as far as it is said.
    """
    files = find(paths, text)
    parts: dict[str, list[tuple[Path, pl.Series]]] = {}
    problems: dict[str, str] = {}
    for file in files[:: -(-len(files) // _FILES)]:
        for values in _first_rows(file, problems):
            parts.setdefault(values.name, []).append((file.path, values))
    return [_column_of(name, values, problems.get(name, "")) for name, values in parts.items()]


def _first_rows(file: TableFile, problems: dict[str, str]) -> list[pl.Series]:
    """Read the first rows of each column.

    Args:
        file: to read.
        problems: takes the names of columns that cannot be read, and why; their rows are nulls.

    Raises:
        DataError: no column can be read.
    """
    reader = open_table(file)
    names = reader.columns()
    if doubt := reader.doubt():
        raise DataError(f"{file.path}: {doubt}")
    columns: list[pl.Series] = []
    problem: DataError | None = None
    for name in names:
        if not name:
            problems[name] = "it has no name"
            columns.append(pl.Series(name, [], dtype=pl.Null))
            continue
        try:
            parts, rows = [], 0
            for frame in reader.chunks([name]):
                parts.append(frame[name].head(_ROWS - rows))
                rows += parts[-1].len()
                if rows >= _ROWS:
                    break
            columns.append(_joined(name, parts))
        except DataError as error:
            problem = error
            problems[name] = str(error).rpartition(f"column {name!r}: ")[2]
            columns.append(pl.Series(name, [], dtype=pl.Null))
    if problem is not None and len(problems.keys() & set(names)) == len(names):
        raise problem
    return columns


def _joined(name: str, parts: Sequence[pl.Series]) -> pl.Series:
    """Join what may differ in type: all but lists becomes text."""
    parts = [part for part in parts if part.dtype != pl.Null]
    if not parts:
        return pl.Series(name, [], dtype=pl.Null)
    if len({part.dtype for part in parts}) > 1:
        lists = [part for part in parts if isinstance(part.dtype, pl.List)]
        if any(isinstance(part.dtype.inner, pl.List) for part in lists):  # type: ignore[attr-defined]
            return next(part for part in lists if isinstance(part.dtype.inner, pl.List)).alias(name)  # type: ignore[attr-defined]
        parts = [part.cast(pl.List(pl.String) if lists else pl.String) for part in lists or parts]
    return pl.concat(parts, rechunk=True).alias(name)


def _column_of(name: str, parts: Sequence[tuple[Path, pl.Series]], problem: str) -> HeadColumn:
    values = _joined(name, [part for _, part in parts])
    files = tuple((path, part.len()) for path, part in parts if part.dtype != pl.Null)
    lists = isinstance(values.dtype, pl.List | pl.Array)
    if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
        values = values.to_frame().select(pl.when(pl.col(name) != "").then(pl.col(name)))[name]
        for dtype in (pl.Int64, pl.Float64):
            numbers = values.str.strip_chars().cast(dtype, strict=False)
            if numbers.null_count() == values.null_count() < len(values):
                values = numbers
                break
    times = values.dtype in (pl.Datetime, pl.Date)
    if values.dtype == pl.String and values.null_count() < len(values):
        times = accepts(TimeParser("iso", quiet=True).parse, values.drop_nulls())
    distinct = values.explode().n_unique() if lists else values.drop_nulls().n_unique()
    return HeadColumn(name, values, distinct, lists, times, files, problem if values.is_empty() else "")


def accepts(parse: Callable[[pl.Series], pl.Series], values: pl.Series) -> bool:
    """Whether a parser takes every value."""
    try:
        parse(values)
    except (BadValueError, DataError, pl.exceptions.PolarsError):
        return False
    return True
