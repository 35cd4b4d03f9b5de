"""Bytes from disk, gzip or plain."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from dien.errors import DataError
from dien.progress import Progress

CHUNK_ROWS = 1 << 18
"""Rows that become columns at once, where the caller does not say."""
BLOCK_BYTES = 1 << 24
"""Bytes of text read at once; a quoted field must fit into one block."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_GZIP = b"\x1f\x8b"  # the first bytes of every gzip file
_BUFFER = 1 << 20  # bytes read from disk at once


def open_stream(path: Path, observe: Callable[[memoryview], None] | None = None) -> BinaryIO:
    """Open the bytes of a file, gzip or plain: detected from the first bytes, not from the name.

    Args:
        path: the file.
        observe: called with every block as it lies on disk, as it is read.

    Raises:
        DataError: the file cannot be opened.
    """
    try:
        disk = path.open("rb", buffering=0)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give the path of a file") from error
    magic = disk.read(2)
    disk.seek(0)
    raw = io.BufferedReader(_Observed(disk, observe) if observe is not None else disk, _BUFFER)
    if magic != _GZIP:
        return cast(BinaryIO, raw)
    # GzipFile reads lines in Python; a buffer around it reads them in C
    return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER))


def sizes_to(progress: Progress | None) -> Callable[[memoryview], None] | None:
    """Make an observer of blocks that reports their sizes."""
    return None if progress is None else lambda block: progress(len(block))


class _Observed(io.RawIOBase):
    """A file of which every block that is read is shown to ``observe``; it is closed with this."""

    def __init__(self, file: io.RawIOBase, observe: Callable[[memoryview], None]) -> None:
        self._file = file
        self._observe = observe

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer) or 0
        self._observe(buffer[:count])
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
