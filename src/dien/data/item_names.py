"""What items are called: for people, and read by no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.vocabulary import Ids
from dien.folders import Folder

FILE = "items/names.parquet"
"""The file of a dataset or run folder that has names; other folders have none."""


class ItemNames:
    """Names of the items of a dataset or run folder.

    Args:
        ids: of the items, ``n`` with "unknown".
        values: ``[n]`` String, the name of each; null where it has none, as the first.
    """

    def __init__(self, ids: Ids, values: pl.Series) -> None:
        self.ids, self.values = ids, values

    @classmethod
    def of(cls, ids: Ids, table: pl.DataFrame, known: ItemNames | None = None) -> ItemNames:
        """Put names in the order of ids.

        Args:
            ids: of the items, in their order.
            table: columns ``item`` and ``name`` (String), an item at most once.
            known: names of the first of the items, which stay as they are.

        Raises:
            ValueError: an item is there twice; the message names the first.
        """
        twice = table["item"].filter(table["item"].is_duplicated())
        if len(twice):
            raise ValueError(f"names: item {twice[0]!r} is there twice, expected each at most once")
        asked = pl.DataFrame({"item": ids.values})
        found = asked.join(table, on="item", how="left", maintain_order="left")["name"]
        if known is not None:
            before = known.values.extend_constant(None, len(ids) - len(known.values))
            found = before.zip_with(before.is_not_null(), found)
        return cls(ids, found.cast(pl.String).alias("name"))

    def __len__(self) -> int:
        return len(self.values)

    def name(self, item: str | int | None) -> str | None:
        """Find the name of an item by its raw id; None where it is not known, or has none."""
        found: str | None = self.values[self.ids.index(item)]
        return found

    def of_rows(self, rows: NDArray[np.integer]) -> list[str | None]:
        """Name the items of some rows ``[m]``."""
        found: list[str | None] = self.values.gather(rows).to_list()
        return found

    def save(self, path: Path) -> None:
        """Write a Parquet file with the column ``name``."""
        pl.DataFrame({"name": self.values}).write_parquet(path)

    @classmethod
    def load(cls, folder: Folder, ids: Ids) -> ItemNames:
        """Read the names of a dataset or run folder.

        Args:
            folder: it.
            ids: of its items.

        Raises:
            DienError: the file is missing, not what :meth:`save` writes, or of another size; of the folder's
                kind.
        """
        data = folder.read(FILE)
        try:
            with pq.ParquetFile(pa.BufferReader(data)) as file:
                read = file.read(use_threads=False)
            read.validate(full=True)
            table = pl.DataFrame({name: pl.Series(read[name]) for name in read.column_names})
        except (OSError, ValueError, MemoryError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise folder.refusal(FILE, f"not a readable Parquet file: {error}") from error
        if dict(table.schema) != {"name": pl.String}:
            raise folder.refusal(FILE, f"found the columns {dict(table.schema)}, expected name (String)")
        if len(table) != len(ids):
            raise folder.refusal(FILE, f"{len(table)} names, expected {len(ids)}, one of each item")
        return cls(ids, table["name"])
