"""Bytes from disk, as every format needs them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import BinaryIO, cast

from dien.data.sources.lines import Tap
from dien.data.sources.table.files import TableFile
from dien.errors import DataError

CHUNK_ROWS = 1 << 18
"""Rows that become columns at once."""
BLOCK = 1 << 24
"""Bytes of text read at once; a quoted field must fit into one block."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Progress = Callable[[int], None]
"""Takes the number of bytes just read."""


def open_bytes(file: TableFile, progress: Progress | None = None) -> BinaryIO:
    """Open the bytes of a text file, gzip (told by the first bytes) or plain."""
    try:
        disk = file.path.open("rb", buffering=0)
    except OSError as error:
        raise DataError(f"{file.path}: cannot be read: {error.strerror}") from error
    magic = disk.read(2)
    disk.seek(0)
    raw = io.BufferedReader(
        Tap(disk, lambda block: progress(len(block))) if progress is not None else disk, 1 << 20
    )
    if magic != b"\x1f\x8b":
        return cast(BinaryIO, raw)
    # GzipFile reads lines in Python; a buffer around it reads them in C
    return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 20))


def check_distinct(file: TableFile, names: list[str]) -> None:
    """Raise where two columns of a file have one name."""
    if len(set(names)) < len(names):
        repeated = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"{file.path}: two columns are named {repeated!r}; rename or remove one")


def one_line(error: Exception) -> str:
    """Shorten the message of another library to a line."""
    return " ".join(str(error).split())[:200]
