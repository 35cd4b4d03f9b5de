"""The first rows of tables, as columns whose types are told by their values: what a draft is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from dien.data.readers.files import HEAD_ROWS, TableFile, find, first_rows
from dien.data.readers.messages import BadValueError, listed
from dien.data.readers.nulls import LIKELY
from dien.data.readers.reader import is_pattern, open_table, read_chunks
from dien.data.readers.text_format import NOTHING_SAID, TextFormat
from dien.data.readers.values import evaluated
from dien.data.sources.table.times import TimeParser
from dien.errors import DataError

_NAMES = 100
"""Values inside objects that are looked at, at most; there may be thousands, each in few rows."""
_MANY = "are not looked at; name in the schema what is wanted"
_ROWS = 1000  # that tell which of them are frequent


@dataclass(frozen=True)
class HeadColumn:
    """What the head of a column holds.

    Attributes:
        name: its name.
        parts: the rows of each file, as they were read.
        values: all of them, typed: text that is all numbers is numbers.
        distinct: how many values there are, without null.
        lists: whether it holds lists.
        times: whether it holds typed times, or text that is one.
        markers: text among the values that stands for a missing one.
        problem: why it cannot be read, where it has no values for that reason.
    """

    name: str
    parts: tuple[tuple[Path, pl.Series], ...]
    values: pl.Series
    distinct: int
    lists: bool
    times: bool
    markers: tuple[str, ...] = ()
    problem: str = ""

    @property
    def known(self) -> int:
        """Number of rows that are not null."""
        return self.values.len() - self.values.null_count()

    def parse(self, parse: Callable[[pl.Series], pl.Series]) -> None:
        """Try a parser of prepare on every value that is there, as it was read.

        Raises:
            BadValueError: it does not take one.
        """
        for _, part in self.parts:
            parse(part.drop_nulls())


def head_of(paths: Sequence[Path], text: TextFormat = NOTHING_SAID) -> list[HeadColumn]:
    """Read the first rows of some files: their columns, then those that their folders name, as ``dt=…``.

    Args:
        paths: files, folders and globs.
        text: how they are written, as far as it is said.

    Raises:
        DataError: a file cannot be read or seems to have no header, or the columns of two differ.
    """
    files = find(paths, text)
    _expect_the_same_columns(files)
    problems: dict[str, str] = {}
    read = first_rows(files, HEAD_ROWS)
    rare = _rare_names(read)
    heads = [(file.path, _first_rows(file, problems, rare)) for file in read]
    names = dict.fromkeys(column.name for _, head in heads for column in head)
    parts: dict[str, list[tuple[Path, pl.Series]]] = {name: [] for name in names}
    for path, head in heads:
        rows = head[0].len() if head else 0
        found = {column.name: column for column in head}
        for name in names:  # a key that no line of a file has is null there
            parts[name].append((path, found.get(name, _nulls(name, rows))))
    columns = [column_of(name, values, problems.get(name, "")) for name, values in parts.items()]
    if rare:
        nulls = [(path, _nulls("", head[0].len() if head else 0)) for path, head in heads]
        why = f"{len(rare):,} such names, all of fewer rows, {_MANY}"
        columns.append(column_of(", ".join(rare), nulls, why))
    return columns


def _rare_names(files: Sequence[TableFile]) -> list[str]:
    """Name what stands inside objects beyond the names that have most values in the first rows."""
    known: dict[str, int] = {}
    for file in files:
        dotted = [name for name in open_table(file).columns() if "." in name and not is_pattern(name)]
        known |= {name: known.get(name, 0) for name in dotted}
        with suppress(DataError):  # whoever reads the column says it
            for frame in islice(open_table(file).chunks(dotted, rows=_ROWS), 1 if dotted else 0):
                for name in dotted:
                    known[name] += len(frame) - frame[name].null_count()
    frequent = sorted(known, key=lambda name: -known[name])[:_NAMES]
    return [name for name in known if name not in set(frequent)]


def _expect_the_same_columns(files: Sequence[TableFile]) -> None:
    """Refuse files of which one has other columns than the first; a line of JSON may lack a key."""
    first: tuple[Path, list[str]] | None = None
    for file in files if len(files) > 1 else ():
        if file.format == "jsonl":
            continue
        reader = open_table(file)
        names = [*reader.columns(), *file.partition]
        first = first or (file.path, names)
        lacks = [name for name in first[1] if name not in names]
        more = [name for name in names if name not in first[1]]
        if (lacks or more) and (doubt := reader.doubt()):  # no header: the names are values
            raise DataError(f"{file.path}: {doubt}")
        if lacks or more:
            differs = [f"it lacks {listed(lacks)}"] if lacks else []
            differs += [f"only it has {listed(more)}"] if more else []
            raise DataError(
                f"{file.path}: its columns differ from those of {first[0]}: {' and '.join(differs)}; "
                "expected the same columns in all files of a table; give files of one table, or name the "
                "columns alike"
            )


def _first_rows(file: TableFile, problems: dict[str, str], rare: Sequence[str]) -> list[pl.Series]:
    """Read the first rows of each column.

    Args:
        file: to read.
        problems: takes the names of columns that cannot be read, and why; their rows are nulls.
        rare: names that are passed over.

    Raises:
        DataError: no column can be read.
    """
    reader = open_table(file)
    passed = set(rare)
    named = [name for name in reader.columns() if name not in passed]
    if doubt := reader.doubt():
        raise DataError(f"{file.path}: {doubt}")
    names = [name for name in named if name and not is_pattern(name)]
    for name in set(named).difference(names):
        problems[name] = (
            "it is named * or ^...$, which cannot be read: rename it" if name else "it has no name"
        )
    try:
        columns = _read(file, names)
    except DataError as first:
        found = {}
        for name in names:
            try:
                found[name] = _read(file, [name])[0]
            except DataError as error:  # noqa: PERF203  # few columns
                problems[name] = _why(name, str(error))
        if not found:
            raise first
        rows = next(iter(found.values())).len()
        columns = [found.get(name, _nulls(name, rows)) for name in names]
    rows = columns[0].len() if columns else 0
    folders = {name: value for name, value in file.partition.items() if name not in named}
    return [
        *columns,
        *(_nulls(name, rows) for name in named if name not in names),
        *(pl.Series(name, [value] * rows, dtype=pl.String) for name, value in folders.items()),
    ]


def _read(file: TableFile, names: Sequence[str]) -> list[pl.Series]:
    """Read the first rows of some columns at once."""
    frames = [chunk.frame for chunk in read_chunks(open_table(file), names)]  # as many as the file's head has
    return [_joined(name, [frame[name] for frame in frames]) for name in names]


def _why(name: str, error: str) -> str:
    """Say in few words why a column is not read."""
    said = error.rpartition(f"column {name!r}: ")[2]
    found = said.partition("; expected")[0]
    mend = "cast it to text" if "binary" in found else "write it as text, numbers, times or lists of text"
    return f"{found}, which is not read: {mend}" if found != said else said


def _nulls(name: str, rows: int) -> pl.Series:
    return pl.Series(name, [None] * rows, dtype=pl.Null)


def _joined(name: str, parts: Sequence[pl.Series]) -> pl.Series:
    """Join what may differ in type: all but lists becomes text. Lists of one size are lists like others."""
    parts = [part.arr.to_list() if isinstance(part.dtype, pl.Array) else part for part in parts]
    types = {part.dtype for part in parts} - {pl.Null()}
    if not types:
        return _nulls(name, sum(map(len, parts)))
    dtype = next(iter(types))
    if len(types) > 1:
        lists = [one for one in types if isinstance(one, pl.List)]
        deep = next((one for one in lists if isinstance(one.inner, pl.List)), None)
        dtype = deep or (pl.List(pl.String) if lists else pl.String())
    return pl.concat([_as(dtype, part) for part in parts], rechunk=True).alias(name)


def _as(dtype: pl.DataType, part: pl.Series) -> pl.Series:
    """Cast a part; what cannot be, as a list beside what is none, is null."""
    try:
        return part if part.dtype == dtype else part.cast(dtype, strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series(part.name, [None] * len(part), dtype=dtype)


def column_of(name: str, parts: Sequence[tuple[Path, pl.Series]], problem: str) -> HeadColumn:
    """Tell what a column holds from its rows of each file.

    Args:
        name: its name.
        parts: the rows of each file, as they were read.
        problem: why it cannot be read; empty where it can.
    """
    called = "" if is_pattern(name) else name  # no operation of Polars works under such a name
    parts = [(path, part.alias(called)) for path, part in parts]
    values, markers = _typed(_joined(called, [part for _, part in parts]))
    lists = isinstance(values.dtype, pl.List)
    times = values.dtype in (pl.Datetime, pl.Date)
    if values.dtype == pl.String and values.null_count() < len(values):
        times = accepts(TimeParser("iso", quiet=True).parse, values.drop_nulls())
    return HeadColumn(
        name=name,
        parts=tuple(parts),
        values=values,
        distinct=values.explode().n_unique() if lists else values.drop_nulls().n_unique(),
        lists=lists,
        times=times,
        markers=markers,
        problem=problem if values.null_count() == len(values) else "",
    )


def _typed(values: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """Make numbers of text that is all numbers, but for markers of missing values; and name these.

    Text with a zero before its digits, as 0663713001, names something and stays text.
    """
    if values.dtype.is_decimal():
        whole = values.dtype.scale == 0  # type: ignore[attr-defined]
        numbers = values.cast(pl.Int64 if whole else pl.Float64, strict=False)
        return (values if numbers.null_count() > values.null_count() else numbers), ()
    if not isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        return values, ()
    text = values.cast(pl.String).str.strip_chars()
    markers = tuple(text.filter(text.is_in(LIKELY)).unique(maintain_order=True))
    known = evaluated(pl.when((text != "") & ~text.is_in(LIKELY)).then(text)).alias(values.name)
    if known.str.contains(r"^[+-]?0\d").any() or known.null_count() == len(known):
        numbers = known
    else:
        numbers = known.cast(pl.Int64, strict=False)
        if numbers.null_count() > known.null_count():
            numbers = known.cast(pl.Float64, strict=False)
            if known.str.contains(
                r"^-?\d{1,18}(\.0+)?$"
            ).all():  # as pandas writes ids of a column with a gap
                numbers = numbers.cast(pl.Int64)
    if numbers.null_count() == known.null_count() < len(known) and numbers.dtype != pl.String:
        return numbers, markers
    return evaluated(pl.when(values.cast(pl.String) != "").then(values.cast(pl.String))).alias(
        values.name
    ), markers


def accepts(parse: Callable[[pl.Series], pl.Series], values: pl.Series) -> bool:
    """Whether a parser takes every value."""
    try:
        parse(values)
    except (BadValueError, DataError, pl.exceptions.PolarsError):
        return False
    return True
