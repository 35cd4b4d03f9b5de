"""One's own tables: interactions, items and users as Parquet, CSV or JSON lines, one file or many."""

from dien.data.sources.table.infer import infer
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import TableSpec

__all__ = ["TableSpec", "infer", "read"]
