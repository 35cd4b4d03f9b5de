"""The lines of a text file that is no table, each with its number; hashed as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from dien.data.readers.source_file import SourceFile
from dien.data.readers.streams import DAMAGED, open_stream
from dien.errors import DataError
from dien.progress import Progress


class LineFile:
    """The lines of a text file, compressed or plain.

    Args:
        path: the file.
        progress: called with the number of bytes just read from disk; they add up to the file's size.

    Raises:
        DataError: the file is missing, a folder, unreadable or empty. Found at once, before anything is read.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path = path
        self._progress = progress
        self._sha256 = hashlib.sha256()
        self._size = 0
        with open_stream(path):
            pass
        if not path.stat().st_size:
            raise DataError(f"{path}: the file is empty; expected one record a line, fetch it again")

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Line numbers from 1, and lines; empty lines are passed over.

        Raises:
            DataError: a compressed file ends early or is damaged.
        """
        number = 0
        with open_stream(self.path, self._observe) as text:
            try:
                for number, line in enumerate(text, 1):
                    if not line.isspace():
                        yield number, line
            except DAMAGED as error:
                raise DataError(
                    f"{self.path}: the compressed file is truncated or damaged after line {number} ({error});"
                    " expected a whole file, fetch it again"
                ) from error

    def source(self) -> SourceFile:
        """Describe what was read; to be called after the last line."""
        return SourceFile(self.path.name, self._sha256.hexdigest(), self._size)

    def _observe(self, block: memoryview) -> None:
        self._sha256.update(block)
        self._size += len(block)
        if self._progress is not None:
            self._progress(len(block))


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
                f"{path}: line {number}: {problem}{found}; expected {expected}; "
                "mend or remove the line, or skip more bad lines (--skip-bad N; skip_bad=N in Python)"
            )
