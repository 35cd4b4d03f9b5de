"""From raw ids to indices and back. Index 0 is "unknown" everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.spelling import respelt, spelling_of
from dien.folders import Folder


class Ids:
    """Distinct raw values in a fixed order; the position of a value is its index.

    A value that is not there is looked up in its one spelling (:mod:`dien.data.spelling`): 12.0 finds 12, and
    in folders of earlier versions, which kept what a file held, 12 finds 12.0.

    Args:
        values: ``[n]`` String, distinct; null first ("unknown", index 0), then no other null.
    """

    def __init__(self, values: pl.Series) -> None:
        self.values = values

    @classmethod
    def of(cls, known: pl.Series) -> Ids:
        """Put "unknown" before distinct, known values."""
        return cls(_with_unknown(known))

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        """Look up a column.

        Args:
            values: ``[N]`` String or Categorical, or integers that stand for their decimal digits; null is
                unknown.

        Returns:
            ``[N]`` int32, 0 where a value is not known.
        """
        if values.dtype == pl.Categorical:  # its few names are looked up, not its many entries
            names = values.unique().drop_nulls()
            codes = values.to_physical()
            unknown = int(codes.max() or 0) + 1  # type: ignore[arg-type]
            of_code = np.zeros(unknown + 1, np.int32)
            of_code[names.to_physical().to_numpy()] = self.encode(names.cast(pl.String))
            return np.asarray(of_code[codes.fill_null(unknown).to_numpy()])
        known = pl.DataFrame({"value": self.values}).with_row_index("index")
        found = pl.DataFrame({"value": values.cast(pl.String)}).join(
            known, on="value", how="left", maintain_order="left"
        )
        missed = found.filter(pl.col("index").is_null() & pl.col("value").is_not_null())["value"].unique()
        if len(missed) and len(others := self._in_other_spellings(missed)):
            found = found.join(others, on="value", how="left", maintain_order="left")
            found = found.select(pl.coalesce("index", "other").alias("index"))
        indices: NDArray[np.int32] = found["index"].fill_null(0).cast(pl.Int32).to_numpy()
        return indices

    def _in_other_spellings(self, values: pl.Series) -> pl.DataFrame:
        """Find distinct text that is not there by itself: columns ``value`` and ``other``, its index."""
        asked = pl.DataFrame({"value": values, "spelt": respelt(values)[0]})
        odd = asked.filter(pl.col("value") != pl.col("spelt"))  # the others were looked up as they are
        # what is spelt so goes before what means the same
        found = asked.join(self._meant, on="spelt", how="inner")
        if len(odd):
            known = pl.DataFrame({"spelt": self.values}).with_row_index("other")
            found = pl.concat([odd.join(known, on="spelt", how="inner"), found])
        return found.select("value", "other").unique("value", keep="first", maintain_order=True)

    @cached_property
    def _meant(self) -> pl.DataFrame:
        """The values that are spelt in another way: columns ``spelt`` and ``other``; of several the first."""
        own, count = respelt(self.values)
        table = pl.DataFrame({"value": self.values, "spelt": own}).with_row_index("other")
        odd = table.filter(pl.col("value") != pl.col("spelt")) if count else table.clear()
        return odd.unique("spelt", keep="first", maintain_order=True).select("spelt", "other")

    def encode_values(self, values: Sequence[str | None] | NDArray[Any]) -> NDArray[np.int32]:
        """Look up ``N`` values one by one; the first call builds a dictionary, as of :meth:`index`."""
        index, other = self._index, self._by_spelling
        return np.array([index.get(value) or other(value) for value in values], np.int32)

    def index(self, value: str | int | None) -> int:
        """Look up one value, 0 where it is not known; the first call builds a dictionary."""
        return (self._index.get(str(value)) or self._by_spelling(str(value))) if value is not None else 0

    def decode(self, indices: NDArray[np.integer]) -> pl.Series:
        """Name the values of indices ``[N]``; null for 0."""
        return self.values.gather(indices)

    def save(self, path: Path) -> None:
        """Write a Parquet file with the column ``id``."""
        pl.DataFrame({"id": self.values}).write_parquet(path)

    @classmethod
    def load(cls, folder: Folder, name: str, size: int | None = None) -> Ids:
        """Inverse of :meth:`save`.

        Args:
            folder: a dataset or run folder.
            name: of the file in it.
            size: how many there must be, "unknown" included; None for any number.

        Raises:
            DienError: the file is missing, not what :meth:`save` writes, or of another size; of the folder's
                kind.
        """
        return cls(_read(folder, name, {"id": pl.String}, size)["id"])

    def _by_spelling(self, value: str | None) -> int:
        """Look up a value that is not there by itself."""
        if value is None:
            return 0
        spelt = spelling_of(value)
        return self._index.get(spelt) or self.spelt.get(spelt, 0)

    @cached_property
    def spelt(self) -> dict[str, int]:
        """Index by spelling of the values that are spelt in another way; of several the first."""
        found: dict[str, int] = {}
        for value, index in self._index.items():
            if value is not None and (spelt := spelling_of(value)) != value:
                found.setdefault(spelt, index)
        return found

    @cached_property
    def _index(self) -> dict[str | None, int]:
        return {value: index for index, value in enumerate(self.values.to_list()) if index}


class Vocabulary(Ids):
    """The values of a feature by falling count.

    Args:
        values: ``[n]`` as in :class:`Ids`.
        counts: ``[n]`` int64, how often each value occurred; at 0 how often the value was unknown.
    """

    def __init__(self, values: pl.Series, counts: NDArray[np.int64]) -> None:
        super().__init__(values)
        self.counts = counts

    @classmethod
    def count(cls, values: pl.Series, occurrences: NDArray[np.int64] | None = None) -> Vocabulary:
        """Build a vocabulary: values by falling count, equal counts by value.

        Args:
            values: ``[N]`` String; null is unknown.
            occurrences: ``[N]`` how often each entry counts, default once; a value that never occurs is left
                out.
        """
        once = np.ones(len(values), np.int64) if occurrences is None else occurrences
        counted = (
            pl.DataFrame({"value": values.cast(pl.String), "count": once.astype(np.int64, copy=False)})
            .group_by("value")
            .agg(pl.col("count").sum())
            .filter(pl.col("count") > 0)
            .sort("count", "value", descending=[True, False])
        )
        known = counted.filter(pl.col("value").is_not_null())
        unknown = counted.filter(pl.col("value").is_null())["count"].sum()
        counts = np.concatenate([[unknown], known["count"].to_numpy()])
        return cls(_with_unknown(known["value"]), counts.astype(np.int64))

    def extend(self, later: Vocabulary) -> Vocabulary:
        """Add what a later log counted: no index changes, new values come after the old ones."""
        known = self.encode(later.values)
        counts = self.counts.copy()
        np.add.at(counts, known, np.where((known > 0) | (np.arange(len(later)) == 0), later.counts, 0))
        new = (known == 0) & (np.arange(len(later)) > 0)
        values = pl.concat([self.values, later.values.filter(pl.Series(new))], rechunk=True)
        return Vocabulary(values, np.concatenate([counts, later.counts[new]]))

    def save(self, path: Path) -> None:
        """Write a Parquet file with the columns ``value`` and ``count``."""
        pl.DataFrame({"value": self.values, "count": self.counts}).write_parquet(path)

    @classmethod
    def load(cls, folder: Folder, name: str, size: int | None = None) -> Vocabulary:
        """Inverse of :meth:`save`; arguments and errors as :meth:`Ids.load`."""
        table = _read(folder, name, {"value": pl.String, "count": pl.Int64}, size)
        return cls(table["value"], table["count"].to_numpy())


def _with_unknown(known: pl.Series) -> pl.Series:
    values: pl.Series = pl.concat([pl.Series([None], dtype=pl.String), known.cast(pl.String)], rechunk=True)
    return values


def _read(folder: Folder, name: str, schema: dict[str, type[pl.DataType]], size: int | None) -> pl.DataFrame:
    data = folder.read(name)  # in memory: a file that is cut short while it is read ends no process
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:  # by Arrow, whose threads a forked process has
            read = file.read(use_threads=False)
        read.validate(full=True)
        table = pl.DataFrame({name: pl.Series(read[name]) for name in read.column_names})
    except (OSError, ValueError, MemoryError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise folder.refusal(name, f"not a readable Parquet file: {error}") from error
    if dict(table.schema) != schema or not len(table) or table[0, 0] is not None:
        raise folder.refusal(
            name, f"expected the columns {', '.join(schema)} and an unknown (null) first row"
        )
    if size is not None and len(table) != size:
        raise folder.refusal(name, f"{len(table)} {table.columns[0]}s, expected {size}")
    if read[0].null_count > 1 or _some_twice(read[0]):
        raise folder.refusal(name, "a value is there twice, or null in another than the first row")
    import pyarrow.compute as pc  # a tenth of a second that only reading needs

    if "count" in schema and (read["count"].null_count or pc.min(read["count"]).as_py() < 0):
        raise folder.refusal(name, "a count is missing or below 0")
    return table


def _some_twice(values: pa.ChunkedArray) -> bool:
    """Whether a value is there twice; by Arrow, whose sort needs less memory than a set of the values."""
    import pyarrow.compute as pc

    ordered = values.cast(pa.large_string()).combine_chunks().sort()
    return bool(pc.any(pc.equal(ordered[1:], ordered[:-1])).as_py())
