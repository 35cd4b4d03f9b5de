"""Vectors of items and users that stand in files of their own, beside the tables."""

from __future__ import annotations

import warnings
from pathlib import Path

import polars as pl

from dien.data.features import Side, Vector
from dien.data.readers.source_file import SourceFile, source_file
from dien.data.readers.vector_files import read_vector_file
from dien.data.sources.table.counts import Counts
from dien.errors import DataError


def with_vectors(
    side: Side, table: pl.DataFrame, name: str, feature: Vector, counts: Counts
) -> tuple[pl.DataFrame, list[SourceFile]]:
    """Add the vectors of a file to the rows of items or users.

    Args:
        side: whose they are.
        table: a column of ids, named as the side, and others ``[n]``.
        name: of the feature.
        feature: its definition, with a file.
        counts: how many ids of either have no other are counted there.

    Returns:
        The table with a column of vectors, null where the file has none; and the files that were read. An id
        that only the file has adds no row. Where none of the ids meet, there is a warning.

    Raises:
        DataError: a file cannot be used.
    """
    assert feature.file is not None
    path, of_ids = Path(feature.file), None if feature.ids is None else Path(feature.ids)
    raw, values = read_vector_file(path, of_ids)
    ids = counts.spelling(raw)
    if ids.n_unique() < len(ids):
        row = int((~ids.is_first_distinct()).arg_max() or 0)
        raise DataError(
            f"{of_ids or path}: row {row + 1}: {raw[row]!r} has a vector already, by another spelling of "
            "the id; keep one of them"
        )
    rows = pl.DataFrame({side: ids, "row": pl.int_range(len(ids), dtype=pl.UInt32, eager=True)})
    found = table.select(side).join(rows, on=side, how="left", maintain_order="left")["row"]
    met = len(found) - found.null_count()
    if not met and len(found):
        warnings.warn(  # a day that is appended may have none
            f"{path}: has a vector for none of the {len(found):,} {side}s: the log has {table[side][0]!r}, "
            f"the file has {raw[0]!r}; expected the raw ids of {side}s",
            stacklevel=3,
        )
    counts.add(f"{side}s without a vector in {path.name} (kept, unknown)", len(found) - met)
    counts.add(f"vectors of {path.name} whose {side} no row has (left out)", len(raw) - met)
    column = pl.Series(name, values).arr.to_list().gather(found)
    return table.with_columns(column), [source_file(one) for one in (path, of_ids) if one is not None]
