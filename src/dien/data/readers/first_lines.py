"""What the first lines of a text file tell: its separator, its encoding, and whether there is a header."""

from __future__ import annotations

import codecs
import csv
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dien.data.readers.streams import open_stream
from dien.data.readers.text_format import Dialect, TextFormat

_BYTES = 1 << 16  # looked at
_LINES = 100
_SEPARATORS = (",", "\t", ";", "|", "::", "\x01")
_WORDS = {"\t": "tabs", " ": "spaces"}
_ENCODINGS = ("gbk", "big5", "shift_jis", "latin-1")  # that text is published in
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
_TIME = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?")
_NUMBERED = re.compile(r"(.*[^\d])\d{2,}")  # as N55528


def first_bytes(path: Path) -> bytes:
    """Read the first bytes of a file, unpacked; of a damaged one, what can be.

    Raises:
        DataError: the file cannot be opened.
    """
    found = b""
    with open_stream(path) as raw:
        try:
            while len(found) < _BYTES and (block := raw.read(_BYTES - len(found))):
                found += block
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile):
            pass  # who reads all of it says so
    return found


def is_utf16(head: bytes) -> bool:
    """Whether the first bytes of a file are the mark of UTF-16."""
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def dialect_of(path: Path, said: TextFormat, usual: str | None) -> Dialect:
    """Find out how a text file is written.

    Args:
        path: the file.
        said: what is said of it, which holds.
        usual: the separator of files with such a name; None where the name says nothing.

    Raises:
        DataError: the file cannot be opened.
    """
    head, told = first_bytes(path), []
    encoding = said.encoding
    if encoding is None:
        encoding = "utf-8"
        if is_utf16(head):
            encoding = "utf-16"
            told.append("UTF-16 text")
    lines = _lines(head, encoding)
    quoted = said.quoted is not False
    separator = said.separator
    if separator is None:
        separator = _separator(lines, quoted, usual)
        if separator != usual:
            told.append(f"{separator_in_words(separator)} between the columns")
    quoted = quoted and len(separator.encode()) == 1  # nobody writes both
    escaped = quoted and said.escaped
    if quoted and said.quoted is None and _is_escaped(lines, separator):
        escaped = True
        told.append('\\" for a quote inside of quotes')
    return Dialect(separator, encoding, quoted, escaped, tuple(told))


def likely_encodings(data: bytes) -> list[str]:
    """Name some encodings that bytes which are not UTF-8 may have; the first ones can be wrong as well."""
    found = []
    for encoding in _ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeError:  # few
            continue
        found.append(encoding)
    return found


def separator_in_words(separator: str) -> str:
    """Name a separator, for people."""
    return _WORDS.get(separator, repr(separator))


def looks_like_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a table seems to be data as the others are, so that there is no header.

    It is so where it holds numbers or times above others, or ids as N55528 above ids of the same kind, but
    for columns that are numbered, as 0, 1, 2.

    Args:
        rows: the first ones, cut into fields.
    """
    if not rows:
        return False
    first, below = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if not below and len(rows) > 1:
        return False
    numbers = [field.strip() for field in first if _NUMBER.fullmatch(field.strip())]
    numbered = [str(int(numbers[0]) + k) for k in range(len(numbers))] if _whole(numbers) else []
    is_numbered = numbers == (numbered if len(numbers) > 1 else ["0"])
    columns = range(len(first))
    if numbers and not is_numbered and any(_alike(_is_number, first, below, k) for k in columns):
        return True
    return any(_alike(_is_time, first, below, k) or _same_kind_of_id(first, below, k) for k in columns)


def rows_of(lines: Iterable[str], dialect: Dialect) -> list[list[str]]:
    """Cut lines into rows of fields, as far as they can be."""
    rows: list[list[str]] = []
    try:
        for row in _cut(lines, dialect.separator, dialect.quoted, strict=False, escaped=dialect.escaped):
            rows.append(row)  # noqa: PERF402  # what came before an error counts
    except csv.Error:
        pass
    return rows


def first_rows(path: Path, dialect: Dialect) -> list[list[str]]:
    """Cut the first lines of a file into rows of fields."""
    return rows_of(_lines(first_bytes(path), dialect.encoding), dialect)


def _lines(head: bytes, encoding: str) -> list[str]:
    """Cut the head of a file into lines with their ends, without blank ones and a last one that is cut."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    text = decoder.decode(head).removeprefix("\ufeff")
    lines = [line for line in re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$", text) if line.strip("\r\n")]
    if len(head) >= _BYTES and len(lines) > 1:
        lines.pop()
    return lines[:_LINES]


def _separator(lines: list[str], quoted: bool, usual: str | None) -> str:
    """Find what cuts all lines into as many fields, more than one."""
    if usual is not None and any(len(row) > 1 for row in _first(lines, usual, quoted)):
        return usual
    best, most = usual or ",", 1
    for separator in (*_SEPARATORS, *(() if usual else (" ",))):
        width = _width(lines, separator, quoted)
        if quoted and not width and len(separator) == 1 and any('\\"' in line for line in lines):
            width = _width(lines, separator, quoted, escaped=True)
        if width > most:
            best, most = separator, width
    return best


def _first(lines: list[str], separator: str, quoted: bool) -> list[list[str]]:
    try:
        return list(_cut(lines[:1], separator, quoted, strict=False))
    except csv.Error:
        return []


def _width(
    lines: list[str], separator: str, quoted: bool, *, strict: bool = False, escaped: bool = False
) -> int:
    """How many fields every line has, 0 where they differ or cannot be cut."""
    try:
        widths = {len(row) for row in _cut(lines, separator, quoted, strict=strict, escaped=escaped)}
    except csv.Error:
        return 0
    return widths.pop() if len(widths) == 1 else 0


def _cut(
    lines: Iterable[str], separator: str, quoted: bool, *, strict: bool, escaped: bool = False
) -> Iterable[list[str]]:
    if len(separator) > 1:
        return (line.rstrip("\r\n").split(separator) for line in lines)
    return csv.reader(
        lines,
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        escapechar="\\" if escaped else None,
        strict=strict,
    )


def _is_escaped(lines: list[str], separator: str) -> bool:
    """Whether the lines can be read with backslashes before quotes alone."""
    return (
        any('\\"' in line for line in lines)
        and not _width(lines, separator, True, strict=True)
        and _width(lines, separator, True, strict=True, escaped=True) > 0
    )


def _whole(numbers: list[str]) -> bool:
    return bool(numbers) and all(number.isdecimal() for number in numbers)


def _is_number(field: str) -> bool:
    return bool(_NUMBER.fullmatch(field.strip()))


def _is_time(field: str) -> bool:
    return bool(_TIME.fullmatch(field.strip()))


def _alike(
    test: Callable[[str], bool], first: Sequence[str], below: list[Sequence[str]], column: int
) -> bool:
    """Whether a field of the first row, and what stands below it, is of a kind."""
    return test(first[column]) and all(test(row[column]) for row in below if row[column].strip())


def _same_kind_of_id(first: Sequence[str], below: list[Sequence[str]], column: int) -> bool:
    match = _NUMBERED.fullmatch(first[column].strip())
    if match is None or not below:
        return False
    others = [_NUMBERED.fullmatch(row[column].strip()) for row in below]
    return all(other is not None and other[1] == match[1] for other in others)
