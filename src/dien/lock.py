"""One writer at a time: a lock beside what is written, which the system lets go of when its process ends."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dien.errors import DienError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_NOT_BESIDE = {errno.EACCES, errno.EPERM, errno.EROFS}
_LONGEST = 100  # bytes of a name that something is put before or after: file systems allow 143 at least
_LOOK_SECONDS = 0.05
_UNFOLLOWED = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_held: set[Path] = set()


@contextmanager
def locked(path: Path, error: type[DienError] = DienError, wait: float = 0.0) -> Iterator[bool]:
    """Keep every other process that asks for the same lock from writing to a folder.

    The lock is on the file ``.NAME.lock`` beside the folder, or ``.lock`` in it where nothing can be made
    beside it. The file is removed in the end. One that a killed process has left locks nothing.

    Args:
        path: what will be written or replaced; it need not be there yet. Of a link, what the link names.
        error: what is raised.
        wait: seconds to wait for another process to end.

    Yields:
        Whether the lock holds. Where the file system has no locks it does not, and there is a warning.

    Raises:
        DienError: of the type ``error``: another process has the lock, or it cannot be made.
    """
    path, until = Path(os.path.realpath(path)), time.monotonic() + wait
    while (lock := _attempt(path, error)) is None:
        if time.monotonic() >= until:
            raise error(
                f"{path}: another process is at work here{_holder(path)}; wait for it to end, then run again"
            )
        time.sleep(_LOOK_SECONDS)
    try:
        _held.add(lock.place)
        yield lock.handle is not None
    finally:
        _held.discard(lock.place)
        even_if_interrupted(lock.release)


def held() -> bool:
    """Whether this process is writing something that it has locked."""
    return bool(_held)


def even_if_interrupted(clean: Callable[[], object]) -> None:
    """Clean up, and where Ctrl-C or a signal interrupts that, do it once more before going on."""
    try:
        clean()
    except BaseException:
        clean()
        raise


def hidden_beside(path: Path, ending: str) -> Path:
    """Name a hidden file or folder beside another: ``.NAME`` and the ending; a long name is shortened."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        name = os.fsencode(name)[: _LONGEST - 20].decode(errors="ignore") + "~" + digest
    return path.with_name(f".{name}{ending}")


def take(handle: int) -> bool:
    """Lock an open file for this process; False where another has it.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond the text, which others read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def still_at(path: Path, handle: int) -> bool:
    """Whether an open file is what a name stands for, and a regular file."""
    try:
        named, opened = path.lstat(), os.fstat(handle)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(named.st_mode) and (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def open_unfollowed(path: Path | str, flags: int, mode: int = 0o666) -> int:
    """Open a file by a name that others can guess: a link is not followed, and a pipe does not hang."""
    return os.open(path, flags | _UNFOLLOWED, mode)


@dataclass(frozen=True)
class _Lock:
    """A lock that is held, or, without a handle, the lack of one."""

    place: Path
    handle: int | None
    process: int

    def release(self) -> None:
        if os.getpid() != self.process:  # a forked child: the lock is its parent's
            return
        if self.handle is None:
            return
        if sys.platform != "win32":
            import fcntl

            with suppress(OSError):  # where it cannot be removed, it stays and locks nothing
                if still_at(self.place, self.handle):  # else it is another's by now
                    self.place.unlink()  # while it is locked: whoever opened it before sees that it is gone
            with suppress(OSError):
                fcntl.flock(self.handle, fcntl.LOCK_UN)  # also for children that have inherited it
            with suppress(OSError):
                os.close(self.handle)
        else:
            with suppress(OSError):  # another has opened it by now
                os.close(self.handle)
                self.place.unlink()


def _attempt(path: Path, error: type[DienError]) -> _Lock | None:
    """Take the lock of a path; None where another process has it."""
    while True:
        try:
            place, handle = _open(path)
        except OSError as reason:
            raise error(f"{path}: cannot be written ({reason.strerror}); choose another path") from reason
        try:
            if not take(handle):
                os.close(handle)
                return None
        except OSError as reason:
            os.close(handle)
            if reason.errno not in _NO_LOCKS:
                raise error(f"{path}: cannot be locked ({reason.strerror}); choose another path") from reason
            with suppress(OSError):
                place.unlink()
            warnings.warn(
                f"{path}: its file system has no locks ({reason.strerror}); see that nothing else writes to "
                "it before this has ended",
                UserWarning,
                stacklevel=5,
            )
            return _Lock(place, None, os.getpid())
        if still_at(place, handle):
            about = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%F %T")}
            lock = _Lock(place, handle, os.getpid())
            try:
                with suppress(OSError):  # it says who; the lock itself needs no room on the disk
                    os.ftruncate(handle, 0)
                    os.lseek(handle, 0, os.SEEK_SET)
                    os.write(handle, json.dumps(about).encode())
            except BaseException:
                even_if_interrupted(lock.release)
                raise
            return lock
        os.close(handle)  # its holder has removed it since it was opened


def _open(path: Path) -> tuple[Path, int]:
    """Open or make the file of a lock."""
    place = hidden_beside(path, ".lock")
    try:
        return place, _open_lock(place)
    except OSError as reason:
        if reason.errno not in _NOT_BESIDE or not path.is_dir():
            raise
    return path / ".lock", _open_lock(path / ".lock")


def _open_lock(place: Path) -> int:
    try:
        handle = open_unfollowed(place, os.O_RDWR | os.O_CREAT)
    except PermissionError:
        handle = open_unfollowed(place, os.O_RDONLY)  # another user's, left by a process that was killed
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EEXIST, f"{place.name} beside it is no file")
    return handle


def _holder(path: Path) -> str:
    """Say who has the lock, as far as its file says it."""
    for place in (hidden_beside(path, ".lock"), path / ".lock"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            handle = open_unfollowed(place, os.O_RDONLY)
            try:
                about = json.loads(os.read(handle, 1000))
            finally:
                os.close(handle)
            host, since = (re.sub(r"[^\w.: -]", "?", str(about[key]))[:100] for key in ("host", "since"))
            return f" (process {int(about['process'])} on {host}, since {since})"
    return ""
