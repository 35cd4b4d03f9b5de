"""Interactions that come split already: a file, or files, for each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from dien.data.readers.files import TableFile, find
from dien.data.readers.reader import Chunk
from dien.data.readers.text_format import TextFormat
from dien.data.tables import SPLITS, SplitName
from dien.errors import DataError

SPLIT = ".split"
"""The column of the split of a row; no column of a schema begins with a dot."""


class SplitFiles:
    """Files of splits; the rows of each have its split in the column :data:`SPLIT`.

    Args:
        paths: files, folders and globs of each split.
        text: how text is written in them.

    Raises:
        DataError: a file is missing, empty or of an unknown kind, or is of two splits.
    """

    def __init__(self, paths: Mapping[SplitName, Sequence[Path]], text: TextFormat) -> None:
        self.wanted: dict[str, str] = {}
        self.made = (SPLIT,)
        self.files: list[TableFile] = []
        self._split_of: dict[Path, SplitName] = {}
        for name in SPLITS:
            for file in find(paths[name], text) if name in paths else ():
                other = self._split_of.setdefault(file.path.resolve(), name)
                if other != name:
                    raise DataError(
                        f"{file.path}: is given to {other} and to {name}; give each file to one of them"
                    )
                self.files.append(file)

    def rows(self, chunk: Chunk) -> Chunk:
        """Add the column of the split to rows of a file."""
        name = self._split_of[chunk.reader.file.path.resolve()]
        return replace(chunk, frame=chunk.frame.with_columns(pl.lit(name, pl.String).alias(SPLIT)))
