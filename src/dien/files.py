"""Writing files beside their place and renaming them into it: a file is whole or absent."""

from __future__ import annotations

import errno
import itertools
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dien.errors import DienError
from dien.lock import even_if_interrupted, open_unfollowed, still_at, take

_UNFINISHED = ".new"
_REMEDIES = {
    errno.ENOENT: "make its folder first, or choose another path",
    errno.ENOTDIR: "make its folder first, or choose another path",
    errno.EISDIR: "a folder has this name: choose another path",
    errno.EACCES: "choose a path that you may write to",
    errno.EPERM: "choose a path that you may write to",
    errno.EROFS: "choose a path that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENODEV: "choose the path of a file",
    errno.ENOSPC: "make room on the disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EDQUOT: "make room on the disk",
}
_READING_REMEDIES = {
    errno.EACCES: "have its owner give you the right to read it",
    errno.EPERM: "have its owner give you the right to read it",
    errno.EMFILE: "too many files are open at once: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.ENOMEM: "free some memory, or raise the limit on it (ulimit -v)",
    errno.EIO: "the disk reports an error: copy the folder from elsewhere",
    errno.ELOOP: "links lead in a circle: put the file in their place",
    errno.ENAMETOOLONG: "use a shorter path",
}
_NO_SYNC = {errno.EACCES, errno.EINVAL, errno.EBADF, errno.ENOTSUP}

_numbers = itertools.count()


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Hand out an empty file beside ``path`` that takes its place when the block ends well.

    The file is synced to the disk before the rename, and its folder after it. Two blocks of one path, in one
    process or in several, do not disturb each other: the last to end has written the file.

    Args:
        path: the file to write or replace. Where it is a link, the file that the link names.
        mode: rights of the new file, from its first moment on, less what the umask takes.

    Yields:
        The path to write to.

    Raises:
        OSError: the file cannot be written, or a folder, a device or a pipe stands in its place. What stood
            at ``path`` still stands then, as after any other exception in the block.
    """
    path = Path(os.path.realpath(path))
    expect_replaceable(path)
    _remove_left(path)
    new, handle = _make_unfinished(path, mode)
    try:
        yield new
        sync(new)
        new.replace(path)
    except BaseException:
        even_if_interrupted(lambda: new.unlink(missing_ok=True))
        raise
    finally:
        if handle is not None:
            os.close(handle)
    sync(path.parent)


def expect_replaceable(path: Path) -> None:
    """Refuse what no file can take the place of.

    Raises:
        OSError: a folder, a device or a pipe is there.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.ENODEV, "it is a device or a pipe")


def _make_unfinished(path: Path, mode: int) -> tuple[Path, int | None]:
    """Make an empty file beside a path, locked for as long as it is open, where a file can be locked.

    Made by this process alone: a link that waits under this name is not followed.
    """
    while True:
        new = path.with_name(f".{path.name[:40]}.{os.getpid()}-{next(_numbers)}{_UNFINISHED}")
        handle = open_unfollowed(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        if sys.platform == "win32":  # where an open file can't be renamed
            os.close(handle)
            return new, None
        with suppress(OSError):
            take(handle)
        if still_at(new, handle):
            return new, handle
        os.close(handle)  # taken for a killed process's, before it was locked


def _remove_left(path: Path) -> None:
    """Remove what killed processes have left beside a path, and say so.

    A file that a process is at work on is locked; where files can't be locked, none is removed.
    """
    if sys.platform == "win32":
        return
    pattern = re.compile(rf"\.{re.escape(path.name[:40])}\.\d+-\d+{re.escape(_UNFINISHED)}")
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:  # it may be written to and not be read
        return
    for left in beside:
        if pattern.fullmatch(left.name):
            with suppress(OSError):
                handle = open_unfollowed(left, os.O_RDONLY)
                try:
                    if take(handle) and still_at(left, handle):
                        left.unlink()
                        warnings.warn(
                            f"{left}: removed; a process that was killed had left it",
                            UserWarning,
                            stacklevel=4,
                        )
                finally:
                    os.close(handle)


def is_unfinished(path: Path) -> bool:
    """Tell whether :func:`replacing` has handed this out: it is being written, or its process was killed."""
    return path.name.startswith(".") and path.name.endswith(_UNFINISHED)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have left of files in a folder that nobody else writes into."""
    for path in filter(is_unfinished, list(folder.iterdir())):
        path.unlink()


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


def not_read(path: Path, error: Exception, otherwise: str) -> str:
    """Say that a file could not be read, why, and what helps.

    Args:
        path: the file.
        error: what was raised.
        otherwise: what helps where neither rights, memory nor a limit is the cause, as "prepare the data
            again".
    """
    code = error.errno if isinstance(error, OSError) else None
    code = errno.ENOMEM if isinstance(error, MemoryError) else code
    reason = os.strerror(code) if code else str(error)
    return f"{path}: could not be read ({reason}); {_READING_REMEDIES.get(code or 0, otherwise)}"


def make_folder(path: Path) -> None:
    """Make a folder, and those it is in, and have their names reach the disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, reach the disk.

    Nothing is done for a folder where folders can't be opened (Windows), or not by this process, or where the
    file system knows no such thing.
    """
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)  # Windows syncs only what may be written
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if not folder or error.errno not in _NO_SYNC:
            raise
