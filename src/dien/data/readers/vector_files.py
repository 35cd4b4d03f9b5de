"""Vectors of a file, each with the id that it is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.readers.messages import BadValueError
from dien.data.readers.values import text
from dien.errors import DataError


def read_vector_file(path: Path, ids: Path | None) -> tuple[pl.Series, NDArray[np.float32]]:
    """Read a file of vectors.

    Args:
        path: Parquet of two columns, ids and lists of numbers; or ``.npy`` of the shape ``[n, width]``.
        ids: of a ``.npy`` file: lines of text, or Parquet of one column; else None.

    Returns:
        Raw ids ``[n]`` (String), none twice, and vectors ``[n, width]``.

    Raises:
        DataError: a file cannot be read, an id is missing or stands twice, or a vector is missing, not finite
            or of another width; the message names the row.
    """
    raw, values = _read_parquet(path) if ids is None else _read_numpy(path, ids)
    _check_values(path, raw, values)
    return raw, values


def _read_parquet(path: Path) -> tuple[pl.Series, NDArray[np.float32]]:
    """Read a Parquet file of ids and lists of numbers: ``[n]`` and ``[n, D]``."""
    frame = _parquet(path)
    lists = [column for column in frame if isinstance(column.dtype, pl.List | pl.Array)]
    if frame.width != 2 or len(lists) != 1:
        found = ", ".join(f"{column.name} ({column.dtype})" for column in frame)
        raise DataError(f"{path}: columns {found}; expected two, of ids and of lists of numbers")
    (vectors,) = lists
    (ids,) = (column for column in frame if column.name != vectors.name)
    if not len(vectors):
        raise DataError(f"{path}: no row; expected an id and its vector in each")
    dtype = vectors.dtype
    if not dtype.inner.is_numeric():  # type: ignore[attr-defined]
        raise DataError(f"{path}: column {vectors.name!r} holds {dtype}, expected lists of numbers")
    vectors = vectors.cast(pl.List(pl.Float64))
    lengths = vectors.list.len().fill_null(0)
    width = int(lengths[0])
    wrong = vectors.is_null() | (lengths != max(width, 1))
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        found = "nothing" if vectors[row] is None else f"a vector of width {lengths[row]}"
        others = f" as wide as the first, {width}" if row else ""
        raise DataError(
            f"{path}: row {row + 1}: column {vectors.name!r}: found {found}, expected a vector{others}"
        )
    with np.errstate(over="ignore"):  # it is infinite then, and refused
        values = vectors.explode().to_numpy().astype(np.float32)
    return _ids(path, ids), values.reshape(len(ids), -1)


def _read_numpy(path: Path, ids: Path) -> tuple[pl.Series, NDArray[np.float32]]:
    """Read vectors of a ``.npy`` file and their ids, from a Parquet file of one column or lines of text."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a readable .npy file: {error}") from error
    if (
        not isinstance(array, np.ndarray)
        or array.ndim != 2
        or array.dtype.kind not in "fiu"
        or not array.size
    ):
        shape = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else "several arrays"
        raise DataError(f"{path}: {shape}, expected numbers [ids, width]")
    if ids.suffix == ".parquet":
        frame = _parquet(ids)
        if frame.width != 1:
            raise DataError(f"{ids}: columns {', '.join(frame.columns)}; expected one, of ids")
        column = frame.to_series()
    else:
        try:
            lines = ids.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{ids}: cannot be read as lines of UTF-8 text: {error}") from error
        column = pl.Series("line", [line.removesuffix("\r") for line in lines], dtype=pl.String)
    if len(column) != len(array):
        raise DataError(f"{ids}: {len(column):,} ids, {path} has {len(array):,} vectors; expected as many")
    with np.errstate(over="ignore"):
        return _ids(ids, column), np.ascontiguousarray(array, np.float32)


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        found = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not a readable Parquet file: {found}") from error


def _ids(path: Path, column: pl.Series) -> pl.Series:
    """Check raw ids: text or integers, none missing and none twice."""
    try:
        ids = text(column)
    except BadValueError as error:
        raise DataError(f"{path}: row {error.index + 1}: column {column.name!r}: {error}") from error
    if ids.null_count():
        row = int(ids.is_null().arg_max() or 0)
        raise DataError(f"{path}: row {row + 1}: column {column.name!r}: an id is missing; drop the row")
    if ids.n_unique() < len(ids):
        second = int((~ids.is_first_distinct()).arg_max() or 0)
        first = int((ids == ids[second]).arg_max() or 0)
        raise DataError(
            f"{path}: row {second + 1}: column {column.name!r}: {ids[second]!r} has a vector already (row "
            f"{first + 1}); keep one of them"
        )
    return ids


def _check_values(path: Path, ids: pl.Series, values: NDArray[np.float32]) -> None:
    finite = np.isfinite(values).all(1)
    if not finite.all():
        row = int(finite.argmin())
        raise DataError(
            f"{path}: row {row + 1}: the vector of {ids[row]!r} holds a number that is not finite (in 32 "
            "bits); mend it or drop the row"
        )
