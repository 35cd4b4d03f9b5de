"""RecBole's atomic files: text with tabs between the columns, each of which names its type in the header."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from dien.data.readers.csv_text import CsvReader
from dien.data.readers.messages import check_distinct
from dien.errors import DataError
from dien.progress import Progress

TYPES = ("token", "token_seq", "float", "float_seq")
"""What a column may hold: a text, texts with spaces between, a number, numbers with spaces between."""


class AtomicReader(CsvReader):
    """An atomic file; nothing in it is quoted, and an empty field is missing."""

    def types(self) -> dict[str, str]:
        """Read the header, as ``user_id:token``: the type of each column.

        Raises:
            DataError: the file is damaged, a column has no or an unknown type, or two have one name.
        """
        pairs = []
        for field in super().columns():
            name, colon, kind = field.partition(":")
            if not colon or not name or kind not in TYPES:
                raise DataError(
                    f"{self.file.path}: line 1: found {field!r}; expected name and type of a column, as "
                    f"user_id:token, with tabs between columns; the types are {', '.join(TYPES)}; mend it"
                )
            pairs.append((name, kind))
        check_distinct(self.file.path, [name for name, _ in pairs])
        return dict(pairs)

    def columns(self) -> list[str]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return list(self.types())

    def chunks(
        self, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        types = self.types()
        names = {f"{name}:{types[name]}": name for name in columns}
        for frame in super().chunks(list(names), progress, rows):
            yield frame.rename(names)

    def _expected(self) -> str:
        return "UTF-8 with a header, fields with a tab between, and as many in every line"
