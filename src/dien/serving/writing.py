"""Files of scores: Parquet, JSON lines or CSV by their name."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.ragged import to_offsets
from dien.errors import DataError
from dien.files import expect_replaceable, not_written

Write = Callable[[pl.DataFrame], object]
"""Writes some rows, which have the columns of the file."""


@dataclass(frozen=True)
class Form:
    """A kind of file of scores.

    Attributes:
        suffix: of its name.
        writing: opens a new file of these columns, and hands out what writes rows to it.
        join: makes a file of several, in order, a part at a time.
    """

    suffix: str
    writing: Callable[[Path, pa.Schema], AbstractContextManager[Write]]
    join: Callable[[Sequence[Path], Path, pa.Schema], None]


def expect_place(out: Path, of_others: Mapping[str, Path], run: Path) -> Form:
    """Refuse a path where no file of scores can be written, before any is computed.

    Args:
        out: ``.parquet``, ``.jsonl`` or ``.csv``; in CSV lists are JSON.
        of_others: what is read, by what it is: files, and folders with all that is in them.
        run: the run folder.

    Returns:
        The kind of file.

    Raises:
        DataError: ``out`` is of an unknown kind, has no folder, is something that is read, lies among the
            files of the run, or no file can take its place.
    """
    form = _FORMS.get(out.suffix)
    if form is None:
        raise DataError(f"{out}: unknown kind of file; expected a name ending in {', '.join(_FORMS)}")
    if not out.parent.is_dir():
        raise DataError(f"{out.parent}: no such folder; make it first")
    _expect_free(out, of_others, run)
    try:
        expect_replaceable(Path(os.path.realpath(out)))
    except OSError as error:
        raise DataError(not_written(out, error)) from error
    return form


def lists_of(values: pl.Series | NDArray[np.generic], lengths: NDArray[np.integer]) -> pl.Series:
    """Cut values ``[N]`` into lists of these lengths ``[R]``."""
    entries = values.to_arrow() if isinstance(values, pl.Series) else pa.array(values)
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(to_offsets(lengths), entries)))


def _expect_free(out: Path, of_others: Mapping[str, Path], run: Path) -> None:
    """Refuse to replace what is read, whatever it is called, or a file of the run."""
    place = Path(os.path.realpath(out))
    for what, path in of_others.items():
        try:
            same = out.samefile(path)
        except OSError:  # one of them is not there
            same = False
        if same:
            raise DataError(f"{out}: is {what}, which would be lost; choose another path")
        if path.is_dir() and place.is_relative_to(os.path.realpath(path)):
            raise DataError(f"{out}: lies in {what}; choose another path")
    folder = Path(os.path.realpath(run))
    if place.is_relative_to(folder) and (place.parent != folder or place.stem == "metrics"):
        raise DataError(f"{out}: is a place of files of the run; choose another path")


@contextmanager
def _parquet(path: Path, columns: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(path, columns) as file:
        yield lambda rows: file.write_table(rows.to_arrow().cast(columns))


@contextmanager
def _json_lines(path: Path, _: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda rows: file.writelines(_json(row) + "\n" for row in rows.iter_rows(named=True))


@contextmanager
def _csv(path: Path, columns: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.names)
        yield lambda rows: writer.writerows(
            [_json(value) if isinstance(value, list) else value for value in row] for row in rows.iter_rows()
        )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _join_parquet(parts: Sequence[Path], out: Path, columns: pa.Schema) -> None:
    with pq.ParquetWriter(out, columns) as file:
        for part in parts:
            file.write_table(pq.read_table(part).cast(columns))


def _join_json_lines(parts: Sequence[Path], out: Path, _: pa.Schema) -> None:
    with out.open("wb") as file:
        for part in parts:
            with part.open("rb") as rows:
                shutil.copyfileobj(rows, file, _BLOCK)


def _join_csv(parts: Sequence[Path], out: Path, columns: pa.Schema) -> None:
    with _csv(out, columns):
        pass  # the header, which each part has, too
    with out.open("ab") as file:
        for part in parts:
            with part.open("rb") as rows:
                rows.readline()
                shutil.copyfileobj(rows, file, _BLOCK)


_BLOCK = 1 << 20  # bytes copied at once
_FORMS = {
    form.suffix: form
    for form in (
        Form(".parquet", _parquet, _join_parquet),
        Form(".jsonl", _json_lines, _join_json_lines),
        Form(".csv", _csv, _join_csv),
    )
}
