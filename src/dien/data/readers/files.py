"""The files of a table: those named, those of a folder, those a glob matches."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from msgspec import structs

from dien.data.readers.source_file import SourceFile, source_file
from dien.errors import DataError

Format = Literal["parquet", "csv", "jsonl", "atomic"]

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".ndjson": "jsonl",
    ".ndjson.gz": "jsonl",
    ".inter": "atomic",
    ".user": "atomic",
    ".item": "atomic",
}
_EXPECTED = "expected a name ending in " + ", ".join(_FORMATS)
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class TableFile:
    """A file of a table.

    Attributes:
        path: where it lies.
        name: its path below the folder given, for the report.
        format: how it is read.
        separator: between the columns of text.
        size: bytes.
    """

    path: Path
    name: str
    format: Format
    separator: str
    size: int

    @property
    def partition(self) -> dict[str, str | None]:
        """Values by key of folders such as ``day=2024-01-01``, the innermost counts."""
        pairs = (part.partition("=") for part in self.path.parent.parts)
        return {
            unquote(key): None if value == _NO_VALUE else unquote(value)
            for key, equals, value in pairs
            if key and equals
        }

    def source(self) -> SourceFile:
        """Describe it for the report: its name below the folder given, and the hash of its bytes."""
        return structs.replace(source_file(self.path), name=self.name)


def find(paths: Sequence[Path]) -> list[TableFile]:
    """List the files of a table.

    A folder stands for every file below it in sorted order, but for those whose name, or a folder's, begins
    with ``_`` or a dot (as ``_SUCCESS``). A glob stands for what it matches, in sorted order.

    Args:
        paths: files, folders and globs.

    Raises:
        DataError: a path is missing, empty, of an unknown kind or unreadable, or none is given.
    """
    if not paths:
        raise DataError("no file is given; expected files, folders or globs")
    return [table_file(path, root) for path, root in _expand(paths)]


def _expand(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Files, each with the folder its name is relative to."""
    for path in paths:
        if path.is_dir():
            yield from _folder(path, path)
        elif path.exists() or not glob.has_magic(str(path)):
            yield path, path.parent
        else:
            root = path
            while glob.has_magic(str(root)):
                root = root.parent
            matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
            files = dict.fromkeys(  # a folder that ** matches holds files it matches too
                file
                for match in matches
                for file, _ in ([(match, root)] if not match.is_dir() else _folder(match, root))
            )
            if not files:
                raise DataError(f"{path}: no file matches; expected a glob that does, as 'log/*.parquet'")
            for file in files:
                yield file, root


def _folder(folder: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    inside = (path for path in folder.rglob("*") if path.is_file())
    files = sorted(
        (path for path in inside if not any(p[0] in "._" for p in path.relative_to(folder).parts)),
        key=lambda path: path.relative_to(folder).parts,
    )
    if not files:
        raise DataError(f"{folder}: a folder without data files; {_EXPECTED}")
    return ((file, root) for file in files)


def table_file(path: Path, root: Path) -> TableFile:
    """Look at one file: its format by its suffix, and its size.

    Args:
        path: the file.
        root: the folder that its name is relative to.

    Raises:
        DataError: it is missing, empty, of an unknown kind or unreadable, or its name is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: the name is not UTF-8; rename the file") from error
    name = path.name.lower()
    suffix = next((suffix for suffix in _FORMATS if name.endswith(suffix)), None)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DataError(f"{path}: not a file; give the path of a file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give the path of a file") from error
    if suffix is None:
        raise DataError(
            f"{path}: unknown kind of file; {_EXPECTED}; rename it, move it out of the folder, or convert it"
        )
    if size == 0 and _FORMATS[suffix] != "jsonl":  # no line is no row
        raise DataError(f"{path}: the file is empty (0 bytes); write it again, or remove it")
    tabs = suffix.startswith(".tsv") or _FORMATS[suffix] == "atomic"
    return TableFile(path, path.relative_to(root).as_posix(), _FORMATS[suffix], "\t" if tabs else ",", size)
