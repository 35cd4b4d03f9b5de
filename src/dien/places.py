"""Folders that are made beside their place and put into it at once: what is there is whole, old or new."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dien.errors import DienError
from dien.files import make_folder, sync
from dien.lock import even_if_interrupted, hidden_beside, locked

_WORK = ".scratch."
_RANDOM = r"[0-9a-f]{8}"
_TRIES = 10


@dataclass(frozen=True)
class Place:
    """Where a folder is made.

    Attributes:
        path: where it will be; of a link, what the link names.
        scratch: a folder on the same disk for what grows on the way; it is removed in the end.
        replaces: whether a folder that is there already is replaced; else that is an error.
    """

    path: Path
    scratch: Path
    replaces: bool

    @contextmanager
    def building(self) -> Iterator[Path]:
        """Hand out an empty folder that is synced and takes the place when the block ends well.

        Where the system can exchange two names at once, it does. Elsewhere the old folder is moved away
        before the new one comes: a process that is killed between the two leaves both, and :func:`settle`
        puts the old one back.

        Raises:
            OSError: it cannot be put there. What was there is there again then, as after any other exception.
        """
        new, old = self.scratch.parent / "new", self.scratch.parent / "old"
        new.mkdir()
        yield new
        sync_tree(new)
        if not self.replaces or not os.path.lexists(self.path):
            new.rename(self.path)
        elif not _exchange(new, self.path):
            try:
                self.path.rename(old)
                new.rename(self.path)
            except BaseException:
                even_if_interrupted(lambda: _move_back(old, self.path))
                raise
        sync(self.path.parent)


@contextmanager
def making(path: Path, error: type[DienError], replaces: bool = False) -> Iterator[Place]:
    """Hand out a place to make a folder in. Who calls this owns ``path`` (:func:`owned`).

    Args:
        path: the folder, there or not.
        error: what is raised.
        replaces: whether one that is there is replaced.

    Raises:
        DienError: of the type ``error``: nothing can be written beside the folder.
    """
    path = Path(os.path.realpath(path))
    work = hidden_beside(path, f"{_WORK}{secrets.token_hex(4)}")
    place = Place(path, work / "scratch", replaces)
    try:
        try:
            work.mkdir(0o700)
            place.scratch.mkdir()
        except OSError as reason:
            raise error(_not_written(path, reason)) from reason
        yield place
    finally:
        even_if_interrupted(lambda: shutil.rmtree(work, ignore_errors=True))


@contextmanager
def owned(path: Path, error: type[DienError]) -> Iterator[None]:
    """Lock a folder for this process, and tidy up after processes that were killed at work on it.

    Args:
        path: the folder, there or not; its parents are made, and removed again where the block fails.
        error: what is raised.

    Raises:
        DienError: of the type ``error``: another process is at work there, or it cannot be written.
    """
    made: list[Path] = []  # the innermost first
    try:
        with ExitStack() as stack:
            holds = _locked_in_folder(path, error, made, stack)
            try:
                if holds:
                    settle(path)
            except OSError as reason:
                raise error(_not_written(path, reason)) from reason
            yield
    except BaseException:
        even_if_interrupted(lambda: _remove_empty(made))
        raise


@contextmanager
def claimed(path: Path, error: type[DienError], replaces: bool = False) -> Iterator[Place]:
    """Own a folder, as :func:`owned`, and hand out a place to make it anew.

    Args:
        path: the folder, there or not; its parents are made.
        error: what is raised.
        replaces: whether one that is there is replaced.

    Raises:
        DienError: as :func:`owned`.
    """
    with owned(path, error), making(path, error, replaces) as place:
        yield place


def _locked_in_folder(path: Path, error: type[DienError], made: list[Path], stack: ExitStack) -> bool:
    """Make the folders above a path and lock it.

    Another process that has made one of them, too, and fails removes it while it is empty: until the lock is
    in it. Then it is made again.

    Args:
        path: as of :func:`owned`.
        error: likewise.
        made: gets the folders that were not there before.
        stack: gets the lock.

    Returns:
        Whether the lock holds.
    """
    for tries_left in reversed(range(_TRIES)):
        new = [folder for folder in path.parents if not os.path.lexists(folder)]
        made[:] = sorted({*made, *new}, key=lambda folder: -len(folder.parts))
        try:
            make_folder(path.parent)
            with suppress(FileNotFoundError):
                path.lstat()
        except OSError as reason:
            if tries_left and isinstance(reason, FileNotFoundError):
                continue
            raise error(_not_written(path, reason)) from reason
        try:
            return stack.enter_context(locked(path, error))
        except error as raised:
            if not tries_left or not isinstance(raised.__cause__, FileNotFoundError):
                raise
    raise AssertionError("the last try returns or raises")


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):  # not empty: others use it by now, and those above it
        for folder in folders:
            if os.path.lexists(folder):
                folder.rmdir()


def settle(path: Path) -> None:
    """Undo what killed processes have left of a folder unfinished. Who calls this has the lock of ``path``.

    A warning says what was found.

    Raises:
        OSError: the folder cannot be put back.
    """
    path = Path(os.path.realpath(path))
    works = _left(path)
    for work in works:
        if not os.path.lexists(path) and _interrupted(work):
            (work / "old").rename(path)
            sync(path.parent)
            _say(f"{path}: put back as it was before a process was killed that was replacing it")
    for work in works:
        shutil.rmtree(work, ignore_errors=True)
        _say(f"{work}: removed; a process that was killed had left it")


def put_back(path: Path, error: type[DienError]) -> None:
    """Have a folder under its name again where a process was killed between moving it away and replacing it.

    Raises:
        DienError: of the type ``error``: it cannot be put back.
    """
    path = Path(os.path.realpath(path))
    if os.path.lexists(path) or not any(_interrupted(work) for work in _left(path)):
        return
    with locked(path, error, wait=1.0) as holds:
        try:
            if holds:
                settle(path)
        except OSError as reason:
            raise error(
                f"{path}: a process was killed while it replaced it, and it cannot be put back "
                f"({reason.strerror})"
            ) from reason


def sync_tree(folder: Path) -> None:
    """Have a folder and all that is in it reach the disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def _left(path: Path) -> list[Path]:
    """List the folders that :func:`making` has made for a path and that are still there."""
    pattern = re.compile(re.escape(hidden_beside(path, _WORK).name) + _RANDOM)
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:
        return []
    return [one for one in beside if pattern.fullmatch(one.name) and one.is_dir() and not one.is_symlink()]


def _move_back(old: Path, path: Path) -> None:
    if old.exists() and not path.exists():
        old.rename(path)


def _interrupted(work: Path) -> bool:
    """Whether a process was killed after the old folder was moved away and before the new one came."""
    return (work / "old").is_dir() and (work / "new").is_dir()


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; False, and nothing done, where the system or the file system cannot."""
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), "renameat2", None)
        return function is not None and function(-100, names[0], -100, names[1], 2) == 0
    if sys.platform == "darwin":
        function = getattr(ctypes.CDLL(None), "renamex_np", None)
        return function is not None and function(names[0], names[1], 2) == 0
    return False


def _not_written(path: Path, reason: OSError) -> str:
    return f"{path}: could not be written ({reason.strerror}); choose another folder"


def _say(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)
