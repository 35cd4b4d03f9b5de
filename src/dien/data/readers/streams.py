"""Bytes from disk, compressed or plain, and text of any encoding as UTF-8."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from dien.data.readers.text_format import ONE_BYTE, Dialect
from dien.data.readers.unread import not_read
from dien.errors import DataError
from dien.progress import Progress

CHUNK_ROWS = 1 << 18
"""Rows that become columns at once, where the caller does not say."""
BLOCK_BYTES = 1 << 24
"""Bytes of text read at once; a quoted field must fit into one block."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DAMAGED = (EOFError, OSError, zlib.error, zipfile.BadZipFile)
"""What reading a damaged file raises."""

_BUFFER = 1 << 20  # bytes read from disk at once
_MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b)|(?P<bz2>BZh[1-9](1AY&SY|\x17rE8P\x90))|(?P<zstd>\x28\xb5\x2f\xfd)|(?P<zip>PK[\3\5])"
    rb"|(?P<xz>\xfd7zXZ)"
)


def open_stream(path: Path, observe: Callable[[memoryview], None] | None = None) -> BinaryIO:
    """Open the bytes of a file, unpacked where it is packed: gzip, bzip2, Zstandard, or zip of one file.

    That is told by the first bytes, not by the name.

    Args:
        path: the file.
        observe: called with every block as it lies on disk, as it is read.

    Raises:
        DataError: the file cannot be opened, or is a zip archive of several files or of none.
    """
    try:
        disk = path.open("rb", buffering=0)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give the path of a file") from error
    magic = _MAGIC.match(disk.read(10))
    disk.seek(0)
    if magic is not None and magic["zip"]:
        with disk:
            return _member(path, observe)
    raw = io.BufferedReader(_Observed(disk, observe) if observe is not None else disk, _BUFFER)
    if magic is None:
        return cast(BinaryIO, raw)
    if magic["xz"]:
        raw.close()
        raise DataError(str(not_read(path, ".xz")))
    if magic["zstd"]:
        unpacked: Any = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    else:
        unpacked = bz2.BZ2File(raw) if magic["bz2"] else gzip.GzipFile(fileobj=raw)
    return cast(BinaryIO, _Unpacked(unpacked, raw))


def open_text(
    path: Path,
    dialect: Dialect,
    observe: Callable[[memoryview], None] | None = None,
    errors: str = "strict",
) -> BinaryIO:
    """Open text as parsers take it: UTF-8, ``dialect.delimiter`` between the columns, quotes doubled.

    Args:
        path: the file.
        dialect: how it is written.
        observe: called with every block as it lies on disk, as it is read.
        errors: what becomes of bytes that are not of another encoding than UTF-8: strict or replace.

    Raises:
        DataError: as :func:`open_stream`. Reading may raise ``UnicodeError``, or ``ValueError`` for a line
            that cannot be converted.
    """
    stream = open_stream(path, observe)
    if codecs.lookup(dialect.encoding).name not in ("utf-8", "utf-8-sig", "ascii"):
        decoder = codecs.getincrementaldecoder(dialect.encoding)(errors)
        stream = _converted(stream, lambda block, last: decoder.decode(block, last).encode())
    if dialect.delimiter != dialect.separator:
        stream = _converted(stream, _Lines(lambda text: _in_one_byte(text, dialect.separator.encode())))
    elif dialect.escaped:
        stream = _converted(stream, _QuotesDoubled(dialect.delimiter.encode()))
    return stream


def first_bad_line(path: Path, encoding: str) -> tuple[int, bytes]:
    """Find the first line that is not of an encoding.

    Args:
        path: the file.
        encoding: that it does not have everywhere.

    Returns:
        The number of the line, from 1, and its bytes; of none where the file ends within a character.
    """
    decoder, number = codecs.getincrementaldecoder(encoding)(), 1
    with open_stream(path) as raw:
        for line in raw:
            try:
                number += decoder.decode(line).count("\n")
            except UnicodeError as error:  # noqa: PERF203  # only once
                # of UTF-16 the second byte of a line's end may come with the next line
                right = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
                return number + right.count(b"\n"), line
    return number, b""


def is_utf8(path: Path) -> bool:
    """Whether a file, packed or plain, is UTF-8 from its first byte to its last; False of one not read."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_stream(path) as raw:
            while block := raw.read(BLOCK_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except (UnicodeError, *DAMAGED):
        return False
    return True


def sizes_to(progress: Progress | None) -> Callable[[memoryview], None] | None:
    """Make an observer of blocks that reports their sizes."""
    return None if progress is None else lambda block: progress(len(block))


def members(archive: zipfile.ZipFile) -> list[str]:
    """Name the files of a zip archive, without those that macOS adds."""
    return [
        name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]


def _member(path: Path, observe: Callable[[memoryview], None] | None) -> BinaryIO:
    disk = path.open("rb")
    try:
        archive = zipfile.ZipFile(disk)
        names = members(archive)
        if len(names) == 1:
            member: Any = archive.open(names[0])
            if observe is not None:
                member = _ObservedMember(member, disk, path.open("rb", buffering=0), observe)
            return cast(BinaryIO, _Unpacked(member, disk))
    except (*DAMAGED, NotImplementedError, RuntimeError) as error:  # an unknown method, a password
        disk.close()
        raise DataError(f"{path}: not a readable zip archive: {error}; expected a whole one") from error
    disk.close()
    if "xl/workbook.xml" in names:
        raise DataError(str(not_read(path, ".xlsx")))
    raise DataError(
        f"{path}: a zip archive of {len(names)} files ({', '.join(names[:3])}...); expected one; unpack it"
    )


class _Unpacked(io.BufferedReader):
    """What is unpacked, read by lines in C; the file on disk, which it does not close by itself, is closed.

    Args:
        unpacked: what is read.
        packed: the file.
    """

    def __init__(self, unpacked: Any, packed: io.IOBase) -> None:
        super().__init__(unpacked, _BUFFER)
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


def _in_one_byte(text: bytes, separator: bytes) -> bytes:
    if ONE_BYTE.encode() in text:
        raise ValueError("holds the character \\x1f, which may not stand in text with such a separator")
    return text.replace(separator, ONE_BYTE.encode())


def _converted(stream: BinaryIO, convert: Callable[[bytes, bool], bytes]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Converted(stream, convert), _BUFFER))


class _Lines:
    """Converts whole lines, whatever blocks they come in."""

    def __init__(self, convert: Callable[[bytes], bytes]) -> None:
        self._convert = convert
        self._rest = b""

    def __call__(self, block: bytes, last: bool) -> bytes:
        text = self._rest + block
        end = len(text) if last else max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        self._rest = text[end:]
        if len(self._rest) > BLOCK_BYTES:
            raise ValueError(f"a line of more than {BLOCK_BYTES:,} bytes")
        return self._convert(text[:end])


class _QuotesDoubled:
    """Writes a quote inside of a quoted field as two quotes, whatever blocks it comes in.

    Other fields stay as they are: a backslash is text there.

    Args:
        delimiter: between the fields, one byte.
    """

    def __init__(self, delimiter: bytes) -> None:
        mark = re.escape(BYTE_ORDER_MARK)
        before = rb"(?:\A(?:" + mark + rb")?|(?<=[\r\n" + re.escape(delimiter) + rb"]))"
        inside = rb'[^"\\]*(?:(?:\\.|"")[^"\\]*)*'
        self._field = re.compile(before + rb'"' + inside + rb'(?P<end>"?)', re.DOTALL)
        self._rest = b""

    def __call__(self, block: bytes, last: bool) -> bytes:
        text = self._rest + block
        end = len(text) if last else max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        if b"\\" in text or b'"' in text:
            for field in self._field.finditer(text, 0, end):
                if not field["end"] and not last:  # it runs over the end of the block
                    end = field.start()
        self._rest = text[end:]
        if len(self._rest) > BLOCK_BYTES:
            raise ValueError(f"a line, or a field in quotes, of more than {BLOCK_BYTES:,} bytes")
        text = text[:end]
        return text if b"\\" not in text else self._field.sub(_with_quotes_doubled, text)


def _with_quotes_doubled(field: re.Match[bytes]) -> bytes:
    return re.sub(rb'\\([\\"])', lambda found: b'""' if found[1] == b'"' else b"\\", field[0])


class _Converted(io.RawIOBase):
    """What is made of the blocks of a stream, which is closed with this.

    Args:
        stream: what is read.
        convert: takes a block and whether it is the last one, which is empty.
    """

    def __init__(self, stream: BinaryIO, convert: Callable[[bytes, bool], bytes]) -> None:
        self._stream = stream
        self._convert = convert
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._ended:
            block = self._stream.read(_BUFFER)
            self._ended = not block
            self._ready = memoryview(self._convert(block, self._ended))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


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


class _ObservedMember(io.RawIOBase):
    """A file of an archive, of which each byte is shown to ``observe`` once and in order as this is read.

    An archive is read from its end to its beginning and back: what it reads itself tells how far it is alone.

    Args:
        member: what is read.
        archive: where it lies.
        again: the same file, opened once more; it is closed with this.
        observe: called with every block of the archive, up to its end once the member is read.
    """

    def __init__(
        self, member: Any, archive: BinaryIO, again: io.RawIOBase, observe: Callable[[memoryview], None]
    ) -> None:
        self._member, self._archive, self._again, self._observe = member, archive, again, observe
        self._shown = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count: int = self._member.readinto(buffer)
        end = self._archive.tell() if count else None
        while (end is None or self._shown < end) and (
            block := self._again.read(_BUFFER if end is None else min(_BUFFER, end - self._shown))
        ):
            self._shown += len(block)
            self._observe(memoryview(block))
        return count

    def close(self) -> None:
        self._member.close()
        self._again.close()
        super().close()
