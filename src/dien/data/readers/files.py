"""The files of a table: those named, those of a folder, those a glob matches."""

from __future__ import annotations

import glob
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from msgspec import structs

from dien.data.readers.first_lines import first_bytes, is_utf16
from dien.data.readers.nulls import KNOWN
from dien.data.readers.source_file import SourceFile, source_file
from dien.data.readers.streams import BYTE_ORDER_MARK, members
from dien.data.readers.text_format import NOTHING_SAID, Format, TextFormat
from dien.data.readers.unread import not_read
from dien.errors import DataError

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".inter": "atomic",
    ".user": "atomic",
    ".item": "atomic",
}
_PACKED = (".gz", ".bz2", ".zst", ".zip")
_TOLD = ("", ".dat", ".data", ".txt", ".log", ".base", ".test", ".train")  # names that say nothing
_EXPECTED = (
    f"expected a name ending in {', '.join(_FORMATS)} (text also packed: {', '.join(_PACKED)}), in "
    f"{', '.join(filter(None, _TOLD))} or in nothing; for any other name say format: csv (or tsv, jsonl, "
    "parquet) in the schema"
)
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class TableFile:
    """A file of a table.

    Attributes:
        path: where it lies.
        name: its path below the folder given, for the report.
        format: how it is read.
        separator: between the columns of text with such a name; None where the name does not say.
        size: bytes.
        text: what is said of it.
        told: whether the format is told by its first bytes alone.
        head: rows that are read at most; None for all.
    """

    path: Path
    name: str
    format: Format
    separator: str | None
    size: int
    text: TextFormat = NOTHING_SAID
    told: bool = False
    head: int | None = None

    @property
    def nulls(self) -> tuple[str, ...]:
        """What marks a missing value in it, beside an empty field."""
        if self.text.nulls is not None:
            return self.text.nulls
        return KNOWN if self.format == "csv" else ()

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


def find(paths: Sequence[Path], text: TextFormat = NOTHING_SAID) -> list[TableFile]:
    """List the files of a table.

    A folder stands for every file below it in sorted order, but for those whose name, or a folder's, begins
    with ``_`` or a dot (as ``_SUCCESS``). A glob stands for what it matches, in sorted order.

    Args:
        paths: files, folders and globs.
        text: what is said of all of them.

    Raises:
        DataError: a path is missing, empty, of an unknown kind or unreadable, or none is given.
    """
    if not paths:
        raise DataError("no file is given; expected files, folders or globs")
    return [table_file(path, root, text) for path, root in _expand(paths)]


HEAD_ROWS = 100_000
"""Rows of a file that are looked at, where the first ones are enough."""
_FILES = 10
"""Files of a table, likewise."""


def first_rows(files: Sequence[TableFile], head: int | None) -> list[TableFile]:
    """Have at most so many rows read of a file, and of ten files from the whole length of a table.

    Args:
        files: of a table.
        head: rows of a file; None for all rows of all files.
    """
    if head is None:
        return list(files)
    return [replace(file, head=head) for file in files[:: -(-len(files) // _FILES)]]


def in_words(files: Sequence[TableFile]) -> str:
    """Name the files of a table, for messages: the first one, and how many more there are."""
    return str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more files"


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


def table_file(path: Path, root: Path, text: TextFormat = NOTHING_SAID) -> TableFile:
    """Look at one file: its format by its name, or else by its first bytes, and its size.

    Args:
        path: the file.
        root: the folder that its name is relative to.
        text: what is said of it.

    Raises:
        DataError: it is missing, empty, of an unknown kind or unreadable, its name is not UTF-8, or what is
            said of it is not for its format.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: the name is not UTF-8; rename the file") from error
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DataError(f"{path}: not a file; give the path of a file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give the path of a file") from error
    name, packed = _unpacked(path)
    suffix = next((suffix for suffix in _FORMATS if name.endswith(suffix)), Path(name).suffix)
    told = text.format is None and suffix in _TOLD
    found: Format | None
    if text.format is not None:
        found = "csv" if text.format == "tsv" else text.format
    else:
        found = _by_content(path, text) if told and size else _FORMATS.get(suffix)
    if size == 0 and (told or found not in ("jsonl", None)):  # no line is no row
        raise DataError(f"{path}: the file is empty (0 bytes); write it again, or remove it")
    if found is None and (other := not_read(path, suffix)) is not None:
        raise DataError(other)
    if found is None:
        raise DataError(
            f"{path}: unknown kind of file; {_EXPECTED}; or move it out of the folder, or convert it"
        )
    if found == "parquet" and packed:
        raise DataError(
            f"{path}: a Parquet file that is packed ({packed}); unpack it: Parquet is compressed itself"
        )
    no_columns = text.keys_of_text() if found != "csv" else []
    if found == "parquet" and text.encoding is not None:
        no_columns.append("encoding")
    if no_columns:
        kind = {"parquet": "Parquet", "jsonl": "JSON lines", "atomic": "an atomic file"}[found]
        raise DataError(
            f"{path}: {no_columns[0]} is not for {kind}; take it out of the schema (or the options), or say "
            "format: csv where the file is text with columns"
        )
    if found == "atomic":
        text = TextFormat(separator="\t", quoted=False, nulls=text.nulls)
    separator = "\t" if suffix == ".tsv" or text.format == "tsv" else "," if suffix == ".csv" else None
    return TableFile(path, path.relative_to(root).as_posix(), found, separator, size, text, told)


def _unpacked(path: Path) -> tuple[str, str]:
    """Name a file without how it is packed, and that; an archive whose name says no format, by its file."""
    name = path.name.lower()
    packed = next((suffix for suffix in _PACKED if name.endswith(suffix)), "")
    name = name.removesuffix(packed)
    if packed == ".zip" and not any(name.endswith(suffix) for suffix in _FORMATS):
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            inside = members(archive)
            if len(inside) == 1:
                return inside[0].rpartition("/")[2].lower(), packed
    return name, packed


def _by_content(path: Path, text: TextFormat) -> Format | None:
    """Tell the format of a file by its first bytes; None where it is none that is read."""
    head = first_bytes(path)
    if head.startswith(b"PAR1"):
        return "parquet"
    if re.match(rb"\s*(?:\{|\[\s*\{)", head.removeprefix(BYTE_ORDER_MARK)):
        return "jsonl"
    of_utf16 = text.encoding is not None or is_utf16(head)
    if b"\0" in head and not of_utf16:
        return None
    return "csv"
