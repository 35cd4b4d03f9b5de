"""Writing files beside their place and renaming them into it: a file is whole or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dien.errors import DienError

_REMEDIES = {
    errno.ENOENT: "make its folder first, or choose another path",
    errno.ENOTDIR: "make its folder first, or choose another path",
    errno.EISDIR: "a folder has this name: choose another path",
    errno.EACCES: "choose a path that you may write to",
    errno.EPERM: "choose a path that you may write to",
    errno.EROFS: "choose a path that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Hand out an empty file beside ``path`` that takes its place when the block ends well.

    The file is synced to the disk before the rename, and its folder after it.

    Args:
        path: the file to write or replace.

    Yields:
        The path to write to.

    Raises:
        OSError: the file cannot be written. What stood at ``path`` still stands then, as after any other
            exception in the block.
    """
    new = path.with_name(beside(path.name))
    new.unlink(missing_ok=True)  # of a process that was killed here
    # Made by this process alone: a link that waits under this name is not followed.
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield new
        sync(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync(path.parent)


def beside(name: str) -> str:
    """Name what is to become the file or folder ``name``, in the same folder."""
    return f".{name}.new"


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file; lines end as ``text`` has them.

    Raises:
        DienError: it cannot be written; the message says why and how to mend it.
    """
    try:
        with replacing(path) as new:
            new.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise DienError(not_written(path, error)) from error


def not_written(path: Path, error: Exception) -> str:
    """Say that a file could not be written, why, and what helps."""
    code = error.errno if isinstance(error, OSError) else None
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"{path}: could not be written ({reason}); {_REMEDIES.get(code or 0, 'choose another path')}"


def sync(path: Path) -> None:
    """Have a file or folder reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
