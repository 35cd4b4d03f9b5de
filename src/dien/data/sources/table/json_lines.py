"""Files of JSON objects, one a line, in chunks."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any, BinaryIO, NoReturn

import msgspec
import polars as pl

from dien.data.sources.table import opening
from dien.data.sources.table.files import TableFile
from dien.data.sources.table.opening import Progress, one_line, open_bytes
from dien.errors import DataError

_FIRST_LINES = 100  # that tell the keys
_IN_LISTS = {str, int, bool, type(None)}


class JsonReader:
    """JSON objects, one a line, gzip or plain; a key that a line lacks is missing there."""

    def __init__(self, file: TableFile) -> None:
        self.file = file
        self._seen: set[str] = set()

    def columns(self) -> list[str]:
        """See :class:`~dien.data.sources.table.formats.Reader`."""
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        names: dict[str, None] = {}
        number = 0
        with open_bytes(self.file) as raw:
            try:
                for line in islice(raw, _FIRST_LINES):
                    number += 1
                    if not line.isspace():
                        names |= dict.fromkeys(decode(line.removeprefix(opening.BYTE_ORDER_MARK)))
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                self._damaged(number, error)
            except (EOFError, OSError, zlib.error) as error:
                self._truncated(number, error)
        return list(names)

    def has(self, column: str) -> bool:
        """See :class:`~dien.data.sources.table.formats.Reader`."""
        return column in self._seen

    def chunks(self, columns: Sequence[str], progress: Progress | None = None) -> Iterator[pl.DataFrame]:
        """See :class:`~dien.data.sources.table.formats.Reader`."""
        row = msgspec.defstruct(
            "_Row",
            [
                (f"f{i}", Any, msgspec.field(name=name, default=msgspec.UNSET))
                for i, name in enumerate(columns)
            ],
            gc=False,
        )
        decoder = msgspec.json.Decoder(row)
        lines = rows = 0
        with open_bytes(self.file, progress) as raw:
            for block in self._blocks(raw):
                try:
                    values = decoder.decode_lines(block)
                    whole = len(values) == block.count(b"\n") + (not block.endswith(b"\n"))
                except (msgspec.DecodeError, UnicodeError, RecursionError):
                    whole = False
                if not whole:
                    values = self._line_by_line(decoder, block, lines)
                for i, name in enumerate(columns):
                    if name not in self._seen and any(
                        getattr(value, f"f{i}") is not msgspec.UNSET for value in values
                    ):
                        self._seen.add(name)
                for start in range(0, len(values), opening.CHUNK_ROWS):
                    part = values[start : start + opening.CHUNK_ROWS]
                    yield pl.DataFrame(
                        [
                            self._column(name, [getattr(value, f"f{i}") for value in part], rows)
                            for i, name in enumerate(columns)
                        ]
                    )
                    rows += len(part)
                lines += block.count(b"\n")

    def place(self, row: int) -> str:
        """See :class:`~dien.data.sources.table.formats.Reader`."""
        index = -1
        with open_bytes(self.file) as raw:
            for number, line in enumerate(raw, 1):
                index += not line.isspace()
                if index == row:
                    return f"line {number}"
        return f"row {row + 1}"

    def _blocks(self, raw: BinaryIO) -> Iterator[bytes]:
        """Blocks of whole lines."""
        rest, lines = b"", 0
        while True:
            try:
                block = raw.read(opening.BLOCK)
            except (EOFError, OSError, zlib.error) as error:
                self._truncated(lines, error)
            if not lines and not rest:
                block = block.removeprefix(opening.BYTE_ORDER_MARK)
            whole, newline, after = block.rpartition(b"\n")
            if not block:
                if rest.strip():
                    yield rest
                return
            if newline:
                yield rest + whole + newline
                lines += whole.count(b"\n") + 1
                rest = after
            else:
                rest += block

    def _line_by_line(self, decoder: msgspec.json.Decoder[Any], block: bytes, lines: int) -> list[Any]:
        values = []
        for number, line in enumerate(block.split(b"\n"), lines + 1):
            if line and not line.isspace():
                try:
                    values.append(decoder.decode(line))
                except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                    self._damaged(number, error)
        return values

    def _column(self, name: str, values: list[Any], row: int) -> pl.Series:
        """Make a typed column of what JSON held; ``row`` is the index of its first in the file."""
        values = [None if value is msgspec.UNSET else value for value in values]
        types = set(map(type, values)) - {type(None)}
        if not types & {list, dict}:
            return _scalars(name, values, types)
        if types == {list}:
            inner = set(map(type, chain.from_iterable(value for value in values if value is not None)))
            if inner <= _IN_LISTS:
                if not inner <= {str, type(None)}:
                    values = [None if value is None else list(map(_text, value)) for value in values]
                return pl.Series(name, values, dtype=pl.List(pl.String))
            expected = "a list of text"
            wrong = [value is not None and not set(map(type, value)) <= _IN_LISTS for value in values]
        else:
            lists = next(type(value) for value in values if value is not None) is list
            expected = "a list, as in the lines before" if lists else "text or a number"
            wrong = [
                value is not None and (type(value) is dict or (type(value) is list) != lists)
                for value in values
            ]
        index = wrong.index(True)
        raise DataError(
            f"{self.file.path}: {self.place(row + index)}: column {name!r}: found {_short(values[index])}; "
            f"expected {expected}; write every line alike"
        )

    def _damaged(self, line: int, error: Exception) -> NoReturn:
        raise DataError(
            f"{self.file.path}: line {line}: {one_line(error)}; expected one JSON object in UTF-8 a line; "
            "mend or remove the line"
        ) from error

    def _truncated(self, line: int, error: Exception) -> NoReturn:
        raise DataError(
            f"{self.file.path}: the gzip file is truncated or damaged after line {line} ({error}); "
            "expected a whole file, write it again"
        ) from error


def _scalars(name: str, values: list[Any], types: set[type]) -> pl.Series:
    """Make a column of its values' type; of text where types are mixed or integers too large."""
    if types == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if float in types and types <= {int, float}:
        with suppress(OverflowError):
            numbers = [None if value is None else float(value) for value in values]
            return pl.Series(name, numbers, dtype=pl.Float64)
    if types == {int}:
        known = [value for value in values if value is not None]
        if min(known) >= -(1 << 63) and max(known) < 1 << 63:
            return pl.Series(name, values, dtype=pl.Int64)
    return pl.Series(name, list(map(_text, values)), dtype=pl.String if types else pl.Null)


def _text(value: str | int | float | bool | None) -> str | None:
    """Write a value as JSON does, text without its quotes."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
