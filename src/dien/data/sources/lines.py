"""Files as sources read them: once, line by line, gzip or plain, hashed on the way."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from dien.data.log import SourceFile
from dien.errors import DataError

_BLOCK = 1 << 20  # bytes read at once


class LineFile:
    """The lines of a text file, gzip or plain, told apart by the first bytes and not by the name.

    Args:
        path: the file.
        progress: called with the number of bytes just read from disk (compressed bytes, if they are), so that
            their sum ends at the file's size.

    Raises:
        DataError: the file is missing, a folder, unreadable or empty. Found at once, before anything is read.
    """

    def __init__(self, path: Path, progress: Callable[[int], None] | None = None) -> None:
        self.path = path
        self._progress = progress
        self._sha256 = hashlib.sha256()
        self._size = 0
        try:
            with path.open("rb") as file:
                magic = file.read(2)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}; give the path of a file") from error
        if not magic:
            raise DataError(f"{path}: the file is empty; expected one record a line, fetch it again")
        self._gzip = magic == b"\x1f\x8b"

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Line numbers from 1, and lines; empty lines are passed over.

        Raises:
            DataError: the gzip file ends early or is damaged.
        """
        number = 0
        with self.path.open("rb", buffering=0) as disk:
            raw = io.BufferedReader(Tap(disk, self._tap), _BLOCK)
            # GzipFile reads lines in Python; a buffer around it reads them in C
            text = io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK) if self._gzip else raw
            try:
                for number, line in enumerate(text, 1):
                    if not line.isspace():
                        yield number, line
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise DataError(
                    f"{self.path}: the gzip file is truncated or damaged after line {number} ({error}); "
                    "expected a whole file, fetch it again"
                ) from error

    def source(self) -> SourceFile:
        """Describe what was read; to be called after the last line."""
        return SourceFile(self.path.name, self._sha256.hexdigest(), self._size)

    def _tap(self, block: memoryview) -> None:
        self._sha256.update(block)
        self._size += len(block)
        if self._progress is not None:
            self._progress(len(block))


class Tap(io.RawIOBase):
    """Hands every block read from ``file`` to ``see`` as well.

    Args:
        file: what is read; it is closed with this.
        see: called with each block.
    """

    def __init__(self, file: io.RawIOBase, see: Callable[[memoryview], None]) -> None:
        self._file = file
        self._see = see

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer, and show what was read."""
        count = self._file.readinto(buffer) or 0
        self._see(buffer[:count])
        return count

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


class BadLines:
    """Counts lines that cannot be used, and raises when they are more than allowed.

    Args:
        allowed: how many may be skipped, over all files together.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.found = 0

    def add(self, path: Path, number: int, problem: object, expected: str) -> None:
        """Count a bad line.

        Args:
            path: its file.
            number: its line number, from 1.
            problem: what is wrong with it.
            expected: what should have been there.

        Raises:
            DataError: more bad lines than allowed.
        """
        self.found += 1
        if self.found > self.allowed:
            found = f" ({self.found} bad lines found, {self.allowed} allowed)" if self.allowed else ""
            raise DataError(
                f"{path}:{number}: {problem}{found}; expected {expected}; "
                "mend or remove the line, or skip more bad lines (skip_bad, --skip-bad)"
            )


def source_file(path: Path) -> SourceFile:
    """Hash a file that is read by other means."""
    sha256 = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            size += len(block)
    return SourceFile(path.name, sha256.hexdigest(), size)
