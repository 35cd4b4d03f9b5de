"""Files of scores: Parquet, JSON lines or CSV by their name, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.ragged import to_offsets
from dien.errors import DataError
from dien.files import not_written, replacing

Write = Callable[[pl.DataFrame], object]
"""Writes some rows; they have the columns of the file, and maybe others."""


@contextmanager
def file_of_scores(
    out: Path, columns: pa.Schema, *, of_others: Mapping[str, Path], run: Path
) -> Iterator[Write]:
    """Hand out what writes rows to a file that takes its place when all is written.

    Args:
        out: ``.parquet``, ``.jsonl`` or ``.csv``; in CSV lists are JSON.
        columns: of the file, in order.
        of_others: what is read, by what it is: files, and folders with all that is in them.
        run: the run folder.

    Raises:
        DataError: ``out`` is of an unknown kind, has no folder, is something that is read, lies among the
            files of the run, or cannot be written; what was there stays then, as after any other exception.
    """
    writer = _WRITERS.get(out.suffix)
    if writer is None:
        raise DataError(f"{out}: unknown kind of file; expected a name ending in {', '.join(_WRITERS)}")
    if not out.parent.is_dir():
        raise DataError(f"{out.parent}: no such folder; make it first")
    _expect_free(out, of_others, run)
    try:
        with replacing(out) as new, writer(new, columns) as write:
            yield lambda rows: write(rows.select(columns.names))
    except OSError as error:
        raise DataError(not_written(out, error)) from error


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


_WRITERS: dict[str, Callable[[Path, pa.Schema], AbstractContextManager[Write]]] = {
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".csv": _csv,
}
