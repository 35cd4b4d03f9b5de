"""Files of scoring requests, read and checked: a row is a request.

Parquet, JSON lines and CSV (or TSV) are read, the latter two gzip or plain, by the readers of a log's tables
(:mod:`dien.data.readers`). Every file has the columns ``user``, ``history`` and ``candidates``; it may have
those of the run's features.

In CSV a list stands in its cell as JSON, ``["a", "b"]``, and ``[]`` is the empty one. Nothing else separates
its values: an id may hold any character, so that ``a|b`` may be one id or two. An empty cell is null.

A file without any content is refused, in every format: whoever wrote it stopped before the first request. CSV
with a header alone, and Parquet without rows, are whole files of no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from dien.data.features.vector import expect_vectors
from dien.data.log_form import LogForm
from dien.data.ragged import row_of, to_offsets
from dien.data.readers.json_columns import column_of
from dien.data.readers.json_lines import JsonType
from dien.data.readers.messages import BadValueError, refuse, refuse_type, shown
from dien.data.readers.reader import Chunk, open_table, read_chunks
from dien.data.readers.text_format import NOTHING_SAID, TextFormat
from dien.data.readers.values import WHOLE
from dien.data.sources.table.times.columns import name_of, with_times
from dien.errors import DataError, nearest
from dien.serving.columns import Found, find_columns, lacks
from dien.serving.features import Field

REQUESTS_AT_ONCE = 4096
"""Requests that are held in memory and scored together."""

_ID = str | int | Annotated[float, msgspec.Meta(multiple_of=1)]  # 3.0, as pandas stores 3 beside a gap
_LEAVES: dict[str, Any] = {"id": _ID, "category": _ID | bool, "number": float, "time": _ID}


def read_requests(
    path: Path,
    fields: Sequence[Field],
    times: dict[str, int] | None = None,
    *,
    text: TextFormat = NOTHING_SAID,
    log: LogForm | None = None,
    as_in_log: dict[str, str] | None = None,
    passed_over: Mapping[int, int] = MappingProxyType({}),
) -> Iterator[pl.DataFrame]:
    """Read requests some thousand at a time.

    Args:
        path: Parquet, JSON lines or CSV.
        fields: what to look for; each that is not required may be missing. ``history`` and ``candidates``
            come before what has a value for each of their items.
        times: counts how many times are written in which way, where it is given.
        text: how the text of the file is written, as far as it is said.
        log: how the run's log is written, where the file may be cut from it
            (:func:`~dien.serving.columns.find_columns`).
        as_in_log: gets what was found so.
        passed_over: tables that are not wanted, by their number from 0, with how many requests each has.

    Yields:
        Tables with a column for each field that the file has, of its type.

    Raises:
        DataError: the file, its row and column, what was found, what was expected.
    """
    found = find_columns(path, fields, text, log)
    file, places = found.file, found.columns
    is_empty = file.format == "jsonl"  # until a line is read; its columns are known once all are
    _refuse_pairs(path, found, fields)
    _refuse_misspelt(path, found, fields)
    if file.format == "jsonl":
        used = {column for of in places.values() for column in of}
        places = {
            field.name: places.get(field.name, (field.name,))
            for field in fields
            if field.name in places or field.name not in used  # a key may come with a later line
        }
    elif not found.names:
        raise _no_content(path)
    if as_in_log is not None:
        as_in_log |= found.as_in_log
    wanted = [field for field in fields if field.name in places]
    for field in fields:
        if field.required and field not in wanted:
            raise lacks(found, field, log)
    types = {
        places[field.name][0]: JsonType(_json_type(field), _expected(field), field.required)
        for field in wanted
        if field.definition is None and len(places[field.name]) == 1
    }
    reader = open_table(file, types)
    names = list(dict.fromkeys(column for field in wanted for column in places[field.name]))
    for number, chunk in enumerate(read_chunks(reader, names, rows=REQUESTS_AT_ONCE)):
        is_empty = False
        if (expected := passed_over.get(number)) is not None:
            if chunk.frame.height != expected:
                raise DataError(
                    f"{chunk.place(0)}: {chunk.frame.height} requests are read at once from here, before it "
                    f"was {expected}; score the file from its beginning"
                )
            continue
        columns: dict[str, pl.Series] = {}
        for field in wanted:
            if all(map(reader.has, places[field.name])):
                beside = columns[field.beside] if field.beside else None
                is_text = file.format in ("csv", "atomic")
                parse = partial(_parse, field=field, is_text=is_text, beside=beside, times=times)
                joined, column = _joined(chunk, places[field.name], log)
                columns[field.name] = joined.parse(column, parse)
        yield pl.DataFrame(columns)
    if is_empty:
        raise _no_content(path)


def _joined(chunk: Chunk, parts: tuple[str, ...], log: LogForm | None) -> tuple[Chunk, str]:
    """Join the columns of a time as those of the log are joined, and name the column that it is then.

    Raises:
        DataError: a part is missing where another is there, or cannot be joined.
    """
    if len(parts) == 1:
        return chunk, parts[0]
    given = [chunk.frame[part] for part in parts]
    there = [(one.fill_nan(None) if one.dtype.is_float() else one).is_not_null() for one in given]
    known = pl.DataFrame(there).select(pl.any_horizontal(pl.all())).to_series()
    for part, own in zip(parts, there, strict=True):

        def expect_whole(values: pl.Series, own: pl.Series = own) -> pl.Series:
            refuse(values, known & ~own, f"a value, as {' and '.join(parts)} are one time; fill it in")
            return values

        chunk.parse(part, expect_whole)
    rows = known.arg_true()
    number = chunk.row + np.arange(len(known)) if isinstance(chunk.row, int) else chunk.row
    whole = replace(chunk, frame=chunk.frame.filter(known), row=number[rows.to_numpy()])
    time = with_times(whole, parts, 0, None if log is None else log.clock)[(name := name_of(parts))]
    column = pl.Series(name, [None] * len(known), dtype=pl.String).scatter(rows, time)
    return replace(chunk, frame=chunk.frame.with_columns(column)), name


def _refuse_pairs(path: Path, found: Found, fields: Sequence[Field]) -> None:
    """Refuse pairs of user and item where requests are expected, and the other way round."""
    wanted = {field.name for field in fields if field.required}
    for kind, own, of_the_other in (
        ("pairs of user and item", "item", "--pairs: their histories are looked up in the dataset folder"),
        ("requests with a history each", "history", "dien score RUN REQUESTS, without --pairs"),
    ):
        if own in found.names and own not in wanted and not (wanted - {"user"}) & set(found.columns):
            raise DataError(
                f"{path}: found {', '.join(found.names)}: {kind}, where others are expected; score them by "
                f"{of_the_other}"
            )


def _refuse_misspelt(path: Path, found: Found, fields: Sequence[Field]) -> None:
    """Refuse a column that is read by nobody and called nearly as a field that the file lacks."""
    names = {field.name for field in fields}
    known = names.union(*found.columns.values())
    lacking = {name.casefold(): name for name in names.difference(found.names, found.columns)}
    for column in found.names:
        if column not in known and (close := nearest(column.strip().casefold(), lacking)) is not None:
            raise DataError(
                f"{path}: column {column!r}: no field of this run; did you mean {lacking[close]!r}? rename "
                "it, or leave it out"
            )


def _no_content(path: Path) -> DataError:
    return DataError(f"{path}: the file is empty; expected requests, write it again")


def _parse(
    values: pl.Series, field: Field, is_text: bool, beside: pl.Series | None, times: dict[str, int] | None
) -> pl.Series:
    """Check and convert a column ``[R]`` of requests.

    Args:
        values: as the reader has them.
        field: what they must be.
        is_text: whether the file has nothing but text.
        beside: the column of history or of candidates, where the field has a value for each of its items.
        times: as of :func:`read_requests`.

    Raises:
        BadValueError: a value is not what it must be.
    """
    if field.definition is not None:
        found = field.definition.parse(values, pl.Float64())
        if field.length is not None:
            expect_vectors(found, field.length)
        return found.alias(field.name)
    expected = _expected(field, is_text)
    if is_text:
        values = _from_text(values, field)
    if not _holds(values.dtype, field):
        refuse_type(values, expected)
    if field.leaf != "number":
        values = _whole(values, field, expected)
    if field.leaf == "time":
        values = _times(values, field, expected, times)
    try:
        column: pl.Series = values.cast(field.dtype)
    except pl.exceptions.PolarsError as error:  # an integer beyond 64 bits
        index = next(row for row in range(len(values)) if not _castable(values[row : row + 1], field))
        raise BadValueError(index, shown(values[index]), expected) from error
    if not field.nullable:
        refuse(column, _rows_where(column, field.depth, pl.Expr.is_null) | column.is_null(), expected)
    if field.leaf == "number":
        refuse(column, _rows_where(column, field.depth, pl.Expr.is_infinite), expected)
    if field.length is not None:
        _expect_vectors(column, field, expected)
    if beside is not None:
        lengths, items = column.list.len(), beside.list.len()
        differ = (lengths != items).fill_null(False)
        if differ.any():
            index = differ.arg_max() or 0
            raise BadValueError(
                index,
                f"{lengths[index]} values",
                f"{items[index]}, one for each item of {field.beside}, null where it is unknown; mend it",
            )
    return column.alias(field.name)


def _expect_vectors(column: pl.Series, field: Field, expected: str) -> None:
    """Refuse requests ``[R]`` of which a vector is of another length, or lacks a number."""
    length, numbers = field.length, pl.element()

    def bad(vectors: pl.Expr) -> pl.Expr:
        lacks = vectors.list.eval(numbers.is_null() | numbers.is_nan()).list.any()
        return (vectors.list.len() != length) | lacks

    own = pl.col(column.name)
    test = bad(own) if field.depth == 1 else own.list.eval(bad(pl.element())).list.any()
    wrong = column.to_frame().select(test.fill_null(False)).to_series()
    refuse(column, wrong, f"{expected} (a vector as a whole)")


def _times(values: pl.Series, field: Field, expected: str, times: dict[str, int] | None) -> pl.Series:
    """Make times ``[R]``, or lists of them, seconds since 1970.

    Raises:
        BadValueError: one is no time of 1970 to 2099.
    """
    if values.dtype == pl.Null:
        return values
    if not field.depth:
        found, written = field.clock.seconds(values)
        refuse(values, found.is_null() & values.is_not_null(), expected)
    else:
        values = values if isinstance(values.dtype, pl.List) else values.arr.to_list()
        lengths = values.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = values.filter(pl.Series(lengths > 0)).explode()
        seconds, written = field.clock.seconds(flat)
        bad = np.zeros(len(values), bool)
        bad[row_of(lengths)[(seconds.is_null() & flat.is_not_null()).to_numpy()]] = True
        refuse(values, pl.Series(bad), expected)
        lists = pl.Series(
            pl.from_arrow(pa.LargeListArray.from_arrays(to_offsets(lengths), seconds.to_arrow()))
        )
        found = lists.zip_with(values.is_not_null(), pl.Series([None], dtype=lists.dtype))
    if times is not None:
        times |= {form: times.get(form, 0) + count for form, count in written.items()}
    return found.alias(values.name)


def _from_text(values: pl.Series, field: Field) -> pl.Series:
    """Read the cells of a text file."""
    if not field.depth:
        if field.leaf != "number":
            return values
        numbers: pl.Series = values.str.strip_chars().cast(field.dtype, strict=False)
        refuse(values, numbers.is_null() & values.is_not_null(), _expected(field, is_text=True))
        return numbers
    decode = msgspec.json.Decoder(_json_type(field)).decode
    cells, lists = values.to_list(), []
    try:
        for cell in cells:
            lists.append(None if cell is None else decode(cell))  # noqa: PERF401  # its length is needed
    except (msgspec.DecodeError, RecursionError) as error:
        row = len(lists)
        one, other = ("0.5", "1") if field.leaf == "number" else ('"a"', '"b"')
        example = ("", f"[{one}, {other}]", f"[[{one}, {other}], []]")[field.depth]
        raise BadValueError(
            row,
            shown(cells[row]),
            f"{field.expected} as JSON, for example {example}; write text in double quotes, and the cell as "
            "CSV does: in quotes, and each quote in it doubled",
        ) from error
    return column_of(field.name, lists)


def _expected(field: Field, is_text: bool = False) -> str:
    """Say what a field must be, and how to write that there is none."""
    null = "an empty cell" if is_text else "null"
    if field.leaf == "time":
        return f"{field.expected}, of the years 1970 to 2099, or {null} where there is none; mend it"
    if not field.nullable:
        none = ", [] for none and" if field.depth else ","
        return f"{field.expected}{none} never {null}; mend it"
    return f"{field.expected}, or {null} where there is none; mend it"


def _json_type(field: Field) -> Any:
    """Make the type that msgspec decodes a field as."""
    kind = _LEAVES[field.leaf]
    for _ in range(field.depth):
        kind = list[kind if field.required else kind | None]  # type: ignore[misc]  # made at run time
    return kind | None if field.nullable else kind


def _holds(dtype: pl.DataType, field: Field) -> bool:
    """Whether a column of this type can hold a field."""
    if dtype == pl.Null:
        return True  # nothing but nulls, which are looked at by themselves
    if field.depth:
        return isinstance(dtype, pl.List | pl.Array) and _holds(dtype.inner, field.entry)  # type: ignore[arg-type]
    if field.leaf != "number" and isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return True
    if field.leaf == "time" and (isinstance(dtype, pl.Datetime) or dtype == pl.Date):
        return True
    if dtype == pl.Boolean:
        return field.leaf == "category"
    if dtype.is_decimal():  # whole numbers of databases are decimals, too
        return field.leaf == "number" or (field.leaf != "time" and dtype.scale == 0)  # type: ignore[attr-defined]
    return dtype.is_integer() or dtype.is_float()


def _whole(values: pl.Series, field: Field, expected: str) -> pl.Series:
    """Make floats that are whole numbers integers, as pandas stores those with gaps; NaN is null.

    Raises:
        BadValueError: one is not whole, or so large that it stands for several.
    """
    dtype: Any = values.dtype
    while isinstance(dtype, pl.List | pl.Array):
        dtype = dtype.inner
    if not dtype.is_float():
        return values
    fraction = _rows_where(
        values, field.depth, lambda e: ((e != e.floor()) | (e.abs() >= WHOLE)) & e.is_not_nan()
    )
    refuse(values, fraction, expected)
    whole: pl.DataType = pl.Int64()
    for _ in range(field.depth):
        whole = pl.List(whole)
    made: pl.Series = values.cast(whole, strict=False)
    return made


def _castable(values: pl.Series, field: Field) -> bool:
    try:
        values.cast(field.dtype)
    except pl.exceptions.PolarsError:
        return False
    return True


def _rows_where(column: pl.Series, depth: int, bad: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """Mark the rows of which a value is bad, in lists of this depth any; null is not."""
    test = bad(pl.col(column.name) if not depth else pl.element())
    for _ in range(depth - 1):
        test = pl.element().list.eval(test).list.any()
    if depth:
        test = pl.col(column.name).list.eval(test).list.any()
    return column.to_frame().select(test.fill_null(False)).to_series()
