"""The parts of a file of scores that is being written: a folder beside it, with which a command can go on.

::

    OUT.parts/
      begun.json      what is scored by what: who goes on must be told the same
      parts.jsonl     a line for each part that is whole, with what it came to
      0.jsonl, ...    the parts, by the numbers of their chunks: files like the one that will be made of them
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from dien.errors import DataError, DienError
from dien.files import is_unfinished, replacing, sync
from dien.folders import Folder
from dien.lock import even_if_interrupted, hidden_beside, locked
from dien.run import differences
from dien.serving.scored import ChunkCounts
from dien.serving.workers import StoppedError
from dien.serving.writing import Form

_BEGUN, _WHOLE = "begun.json", "parts.jsonl"
_PART = re.compile(r"\d+\.\w+")


@dataclass(frozen=True)
class Part:
    """A part that is whole.

    Attributes:
        number: of its chunk.
        size: bytes of its file.
        found: what scoring it came to.
    """

    number: int
    size: int
    found: ChunkCounts


@dataclass(frozen=True)
class PartFiles:
    """Where parts lie and how they are written, for whichever process has scored one.

    Attributes:
        folder: of the parts.
        form: of the file that will be made of them.
        columns: of it, in order.
    """

    folder: Path
    form: Form
    columns: pa.Schema

    def path(self, number: int) -> Path:
        """Name the file of a part."""
        return self.folder / f"{number}{self.form.suffix}"

    def write(self, number: int, rows: pl.DataFrame) -> int:
        """Write a part and have it reach the disk.

        Args:
            number: of its chunk.
            rows: with the columns of the file, and maybe others.

        Returns:
            The bytes of its file.

        Raises:
            OSError: it cannot be written.
        """
        path = self.path(number)
        with self.form.writing(path, self.columns) as write:
            write(rows.select(self.columns.names))
        sync(path)
        sync(self.folder)
        return path.stat().st_size


class Parts:
    """The parts of a file of scores; this process alone lists them. :func:`kept_parts` makes it.

    Args:
        files: where they lie.
        whole: those that are listed, by number.

    Attributes:
        files: likewise.
        whole: likewise.
    """

    def __init__(self, files: PartFiles, whole: dict[int, Part]) -> None:
        self.files, self.whole = files, whole

    def add(self, part: Part) -> None:
        """List a part, so that it is known after a failure of the system, too.

        Raises:
            OSError: the list cannot be written.
        """
        with (self.files.folder / _WHOLE).open("ab") as file:
            file.write(msgspec.json.encode(part) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.whole[part.number] = part

    def join(self, out: Path) -> None:
        """Make the file of all parts, in order; memory does not grow with them.

        Args:
            out: the file to write or replace.

        Raises:
            OSError: it cannot be written. What stood there still stands then.
        """
        paths = [self.files.path(number) for number in sorted(self.whole)]
        with replacing(out) as new:
            self.files.form.join(paths, new, self.files.columns)


@contextmanager
def kept_parts(
    out: Path, form: Form, columns: pa.Schema, begun: Mapping[str, Any], resume: bool
) -> Iterator[Parts]:
    """Lock the folder of the parts of a file, begin it or go on with it, and remove it in the end.

    It stays where one of them is whole and the block is ended by something else than an error in what is
    read: a signal, a disk that is full, a process that was killed.

    Args:
        out: the file that will be made of them.
        form: of it.
        columns: of it.
        begun: what is scored by what, as JSON has it.
        resume: whether to go on with parts that are there.

    Raises:
        DataError: there are parts and ``resume`` is not asked for, or they are of something else, as another
            file of requests; another process is at work on them, or something else has the folder's name.
        OSError: it cannot be written.
    """
    folder = folder_of(out)
    with locked(folder, DataError):
        files = PartFiles(folder, form, columns)
        whole = _found(files, begun, resume) if os.path.lexists(folder) else {}
        try:
            parts = _begin(files, begun, whole)
            yield parts
        except BaseException as error:
            in_what_is_read = isinstance(error, DienError) and not isinstance(error, StoppedError)
            if in_what_is_read or not whole:
                even_if_interrupted(lambda: _remove(folder))
            raise
        even_if_interrupted(lambda: _remove(folder))


def folder_of(out: Path) -> Path:
    """Name the folder of the parts of a file, or of the file that a link names; a long name is shortened."""
    hidden = hidden_beside(Path(os.path.realpath(out)), ".parts")
    return hidden.with_name(hidden.name[1:])


def _begin(files: PartFiles, begun: Mapping[str, Any], whole: dict[int, Part]) -> Parts:
    """Make the folder anew, or list in it what is whole: the line of another part may have been cut."""
    folder = files.folder
    if not whole:
        _remove(folder)
        folder.mkdir()
        sync(folder.parent)
        with replacing(folder / _BEGUN) as new:
            new.write_text(json.dumps(begun, indent=2) + "\n", encoding="utf-8", newline="")
    with replacing(folder / _WHOLE) as new:
        new.write_bytes(b"".join(msgspec.json.encode(part) + b"\n" for part in whole.values()))
    return Parts(files, whole)


def _found(files: PartFiles, begun: Mapping[str, Any], resume: bool) -> dict[int, Part]:
    """Look for parts that are whole.

    Raises:
        DataError: there are some, and they are not to be gone on with, or of something else; or the folder
            has something else in it.
    """
    path = files.folder
    is_folder = path.is_dir() and not path.is_symlink()
    if not is_folder or (others := _others(path)):
        what = f"holds {others[0]}" if is_folder else "is no folder"
        raise DataError(f"{path}: {what}; parts of the scores lie there: move it, or choose another --out")
    folder = Folder(path, DataError, "remove the folder to score everything again")
    parts = sorted(one.name for one in path.iterdir() if _PART.fullmatch(one.name))
    if parts and not (path / _BEGUN).exists():
        raise DataError(
            f"{path}: holds {parts[0]} and no {_BEGUN}; parts of the scores lie there: move it, or choose "
            "another --out"
        )
    if not (path / _BEGUN).exists() or not (path / _WHOLE).exists():
        return {}
    whole = {}
    for line in folder.read(_WHOLE).splitlines():
        try:
            part = msgspec.json.decode(line, type=Part)
        except msgspec.DecodeError:  # cut where the system has failed: it is the last
            break
        file = files.path(part.number)
        if file.is_file() and file.stat().st_size == part.size:
            whole[part.number] = part
    if not whole:
        return {}
    requests = sum(part.found.counts.requests for part in whole.values())
    if not resume:
        raise DataError(
            f"{path}: has the scores of {requests:,} requests or pairs, of a command that was stopped; go on "
            "with it (--resume, from Python resume=True), or remove the folder to score everything again"
        )
    for key, was, now in differences(folder.json(_BEGUN), dict(begun)):
        raise DataError(
            f"{path}: was begun with {key} = {was!r}, not {now!r}; go on with what it was begun with, or "
            "remove the folder to score everything again"
        )
    return whole


def _others(folder: Path) -> list[str]:
    """Name what is in a folder and no part."""
    return [
        path.name
        for path in sorted(folder.iterdir())
        if not (path.name in (_BEGUN, _WHOLE) or _PART.fullmatch(path.name) or is_unfinished(path))
    ]


def _remove(folder: Path) -> None:
    """Remove the folder where there is one.

    The list goes first: without it no part counts. What tells that the parts are ours goes last.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir(), key=lambda path: (path.name != _WHOLE, path.name == _BEGUN)):
        path.unlink(missing_ok=True)
    folder.rmdir()
