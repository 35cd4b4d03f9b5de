"""Files of JSON objects, one a line or in one array, in chunks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, BinaryIO, NoReturn

import msgspec
import polars as pl

from dien.data.readers import streams
from dien.data.readers.files import TableFile
from dien.data.readers.first_lines import first_bytes, is_utf16
from dien.data.readers.json_columns import column_of, telling
from dien.data.readers.json_inside import Inside, NotInsideError, keys_before
from dien.data.readers.messages import BadValueError, listed, one_line, shown, told_counts
from dien.data.readers.nested import leaves_of_value
from dien.data.readers.nulls import Nulls, added
from dien.data.readers.parameters import are_parameters
from dien.data.readers.streams import DAMAGED, first_bad_line, open_text, sizes_to
from dien.data.readers.text_format import Dialect
from dien.errors import DataError
from dien.progress import Progress

_FIRST_LINES = 100  # whose keys are the columns
_FIRST_BYTES = 1 << 10
_BY_LINES = "write lines, as jq -c '.[]' FILE > NEW.jsonl does"
LARGEST_ARRAY = 1 << 28
"""Bytes of an array of objects, which is read as a whole."""
_BLOCK = 1 << 20  # bytes decoded at once; their objects take some times as many


@dataclass(frozen=True)
class JsonType:
    """What a key of JSON lines must hold.

    Attributes:
        type: of its values, as msgspec takes it.
        expected: the same in words, and how to mend it; for errors.
        required: whether every line must have the key.
    """

    type: Any
    expected: str
    required: bool = False


class JsonReader:
    """JSON objects, one a line, compressed or plain; a key that a line lacks is null there.

    An array of objects is read as if each of them were a line.

    Args:
        file: what to read.
        types: what keys must hold; a key without a type may hold anything.
    """

    def __init__(self, file: TableFile, types: Mapping[str, JsonType] | None = None) -> None:
        self.file = file
        self.kept = self._told = told_counts(self.told())
        self._types = types or {}
        self._seen: set[str] = set()
        self._before: dict[str, list[Any]] = {}  # of each column, what tells the kind of its values so far
        self._nulls = Nulls(file.nulls)
        self._inside = Inside(self._values_of)

    @cached_property
    def _dialect(self) -> Dialect:
        encoding = self.file.text.encoding
        if encoding is None:
            encoding = "utf-16" if is_utf16(first_bytes(self.file.path)) else "utf-8"
        return Dialect(encoding=encoding, quoted=False)

    def columns(self) -> list[str]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        names: dict[str, bool] = {}  # whether a line has more than null, or an empty list, for it
        number, found = 0, {}
        with self._open() as raw:
            try:
                for line in islice(raw, _FIRST_LINES):
                    number += 1
                    if not line.isspace():
                        found = decode(line.removeprefix(streams.BYTE_ORDER_MARK))
                        for key, value in found.items():
                            for name in _names(key, value):
                                names[name] = names.get(name, False) or value not in (None, [])
            except (msgspec.DecodeError, RecursionError) as error:
                self._damaged(number, error)
            except UnicodeError as error:
                self._damaged(first_bad_line(self.file.path, self._dialect.encoding)[0], error)
            except DAMAGED as error:
                self._truncated(number, error)
        if number == 1 and _holds_columns(found):
            raise DataError(
                f"{self.file.path}: one object that holds whole columns; expected one object a row; write it "
                "by to_json(..., orient='records', lines=True) in pandas"
            )
        nulls = [name for name, known in names.items() if not known]
        objects = {name for name in nulls if any(other.startswith(f"{name}.") for other in names)}
        return [name for name in names if name not in objects]

    def has(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return column in self._seen

    def may_have(self, column: str) -> bool:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return True  # a line may lack a key

    def told(self) -> tuple[str, ...]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        found = ("JSON lines",) if self.file.told else ()
        utf16 = self.file.text.encoding is None and self._dialect.encoding == "utf-16"
        return (*found, "UTF-16 text") if utf16 else found

    def doubt(self) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        return ""

    def chunks(
        self, columns: Sequence[str], progress: Progress | None = None, rows: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """See :class:`~dien.data.readers.reader.Reader`."""
        decoder = msgspec.json.Decoder(self._line_type(columns))
        size = rows or streams.CHUNK_ROWS
        self._before = {}
        lines = row = pending_bytes = 0
        pending: list[Any] = []
        with self._open(sizes_to(progress)) as raw:
            for block in self._blocks(raw):
                try:
                    objects = decoder.decode_lines(block)
                    whole = len(objects) == block.count(b"\n") + (not block.endswith(b"\n"))
                except (msgspec.DecodeError, UnicodeError, RecursionError):
                    whole = False
                if not whole:
                    objects = self._line_by_line(decoder, block, lines)
                lines += block.count(b"\n")
                pending += objects
                pending_bytes += len(block)
                full = pending_bytes >= streams.BLOCK_BYTES
                ready = len(pending) if full else len(pending) // size * size
                for start in range(0, ready, size):
                    part = pending[start : min(start + size, ready)]
                    yield self._frame(part, columns, row)
                    row += len(part)
                if ready:
                    del pending[:ready]
                    pending_bytes = 0
        if pending:
            yield self._frame(pending, columns, row)

    def place(self, row: int) -> str:
        """See :class:`~dien.data.readers.reader.Reader`."""
        index = -1
        with self._open() as raw:
            for number, line in enumerate(raw, 1):
                index += not line.isspace()
                if index == row:
                    return f"{self._unit} {number}"
        return f"row {row + 1}"

    @cached_property
    def _is_array(self) -> bool:
        with (
            open_text(self.file.path, self._dialect, errors="replace") as raw,
            suppress(UnicodeError, *DAMAGED),
        ):
            return raw.read(_FIRST_BYTES).removeprefix(streams.BYTE_ORDER_MARK).lstrip()[:1] == b"["
        return False

    @property
    def _unit(self) -> str:
        """What an object is, for errors."""
        return "element" if self._is_array else "line"

    def _open(self, observe: Callable[[memoryview], None] | None = None) -> BinaryIO:
        """Open the objects, one a line."""
        raw = open_text(self.file.path, self._dialect, observe)
        if not self._is_array:
            return raw
        with raw:
            try:
                text = raw.read(LARGEST_ARRAY + 1)
            except UnicodeError as error:
                self._damaged(first_bad_line(self.file.path, self._dialect.encoding)[0], error, "line")
            except DAMAGED as error:
                self._truncated(0, error)
        if len(text) > LARGEST_ARRAY:
            raise DataError(
                f"{self.file.path}: a JSON array of more than {LARGEST_ARRAY >> 20} MiB; expected a smaller "
                f"one, or one object a line; {_BY_LINES}"
            )
        try:
            objects = msgspec.json.decode(text.removeprefix(streams.BYTE_ORDER_MARK), type=list[msgspec.Raw])
            return io.BytesIO(b"\n".join(msgspec.json.format(bytes(one), indent=-1) for one in objects))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise DataError(
                f"{self.file.path}: {one_line(error)}; expected an array of objects, or one object a line; "
                f"mend it, or {_BY_LINES}"
            ) from error

    def _blocks(self, raw: BinaryIO) -> Iterator[bytes]:
        """Blocks of whole lines."""
        rest, lines = b"", 0
        while True:
            try:
                block = raw.read(_BLOCK)
            except UnicodeError as error:
                self._damaged(first_bad_line(self.file.path, self._dialect.encoding)[0], error)
            except DAMAGED as error:
                self._truncated(lines, error)
            if not lines and not rest:
                block = block.removeprefix(streams.BYTE_ORDER_MARK)
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
                except msgspec.ValidationError as error:
                    self._wrong_value(number, line, error)
                except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                    self._damaged(number, error)
        return values

    def _line_type(self, columns: Sequence[str]) -> type[msgspec.Struct]:
        """Make the struct that a line is decoded as; column ``i`` is its attribute ``f{i}``."""
        fields: list[Any] = []
        for name in columns:
            if any(character in '\\"' or character < " " for character in name):
                raise DataError(
                    f"{self.file.path}: column {name!r}: a key with quotes, backslashes or control "
                    "characters cannot be read; rename it"
                )
        for i, name in enumerate(columns):
            typed = self._types.get(name)
            default = msgspec.NODEFAULT if typed is not None and typed.required else msgspec.UNSET
            kind = Any if typed is None else typed.type | msgspec.UnsetType
            fields.append((f"f{i}", kind, msgspec.field(name=name, default=default)))
        for j, key in enumerate(self._objects(columns)):
            fields.append((f"o{j}", Any, msgspec.field(name=key, default=msgspec.UNSET)))
        return msgspec.defstruct("_Line", fields, gc=False, kw_only=True)

    def _frame(self, objects: list[Any], columns: Sequence[str], row: int) -> pl.DataFrame:
        """Make typed columns of decoded lines; ``row`` is the index of the first in the file."""
        series = []
        others = self._objects(columns)
        wholes: dict[str, list[Any]] = {}  # what stands at keys before a dot
        for i, name in enumerate(columns):
            values = [getattr(one, f"f{i}") for one in objects]
            at = {}
            for key in self._keys_before(name, columns):
                if key not in wholes:
                    field = f"f{columns.index(key)}" if key in columns else f"o{others.index(key)}"
                    wholes[key] = [getattr(one, field) for one in objects]
                at[key] = wholes[key]
            if at:
                inside = self._taken(name, values, at, row)
                values = self._converted(name, values, inside, row) if name in self._types else inside
            if name not in self._seen and any(value is not msgspec.UNSET for value in values):
                self._seen.add(name)
            series.append(self._column(name, values, row))
        self.kept = added(self._told, {**self._nulls.counts, **self._inside.counts})
        return pl.DataFrame(series)

    def _objects(self, columns: Sequence[str]) -> list[str]:
        """Name the keys whose objects are read for a value inside, those that are columns left out."""
        keys = dict.fromkeys(key for name in columns for key in self._keys_before(name, columns))
        return [key for key in keys if key not in columns]

    def _keys_before(self, name: str, columns: Sequence[str]) -> list[str]:
        """Name the keys that may hold a value of a name with dots; what holds a typed value has none."""
        return [key for key in keys_before(name) if not (name in self._types and key in columns)]

    def _values_of(self, key: str) -> Iterator[Any]:
        """Give the values of a key of all lines, as far as they can be read."""
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        with self._open() as raw, suppress(ValueError, RecursionError, *DAMAGED):
            for line in raw:
                if not line.isspace():
                    yield decode(line.removeprefix(streams.BYTE_ORDER_MARK)).get(key)

    def _converted(self, name: str, own: list[Any], inside: list[Any], row: int) -> list[Any]:
        """Check what was found inside objects, as the decoder did with the keys of lines."""
        values = []
        try:
            for value, found in zip(own, inside, strict=True):
                typed = found is value or found is msgspec.UNSET
                values.append(found if typed else msgspec.convert(found, self._types[name].type))
        except msgspec.ValidationError as error:
            raise DataError(
                f"{self.file.path}: {self.place(row + len(values))}: column {name!r}: found "
                f"{shown(inside[len(values)])}; expected {self._types[name].expected}"
            ) from error
        return values

    def _taken(self, name: str, own: list[Any], at: Mapping[str, list[Any]], row: int) -> list[Any]:
        """Take values inside objects; ``row`` is the index of the first in the file."""
        try:
            return self._inside.take(name, own, at)
        except NotInsideError as error:
            place = self.place(row + error.index)
            raise DataError(
                f"{self.file.path}: {place}: column {name!r}: {error}; write every line alike"
            ) from error

    def _column(self, name: str, values: list[Any], row: int) -> pl.Series:
        """Make a typed column of JSON values; ``row`` is the index of its first in the file."""
        values = [None if value is msgspec.UNSET else value for value in values]
        try:
            if name in self._types:
                return column_of(name, values, checked=True)
            values = self._nulls.out_of_values(values)
            made = column_of(name, values, self._before.get(name, ()))
            self._before[name] = telling([*self._before.get(name, ()), *values])
            return made
        except BadValueError as error:
            said: object = error
            if name in self._types:
                said = f"found {shown(values[error.index])}; expected {self._types[name].expected}"
            place = self.place(row + error.index)
            raise DataError(f"{self.file.path}: {place}: column {name!r}: {said}") from error

    def _wrong_value(self, number: int, line: bytes, error: msgspec.ValidationError) -> NoReturn:
        """Raise for a line that is JSON and not what its keys must hold."""
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            found = msgspec.json.decode(line, type=dict[str, Any])
            for name, typed in self._types.items():
                if name not in found and typed.required:
                    raise DataError(
                        f"{self.file.path}: {self._unit} {number}: no key {name!r}; found {listed(found)}; "
                        f"expected {typed.expected}"
                    ) from error
                try:
                    msgspec.convert(found.get(name), typed.type if name in found else Any)
                except msgspec.ValidationError:
                    raise DataError(
                        f"{self.file.path}: {self._unit} {number}: column {name!r}: found "
                        f"{shown(found[name])}; expected {typed.expected}"
                    ) from error
        self._damaged(number, error)

    def _damaged(self, number: int, error: Exception, unit: str = "") -> NoReturn:
        unit = unit or self._unit
        of_line = "" if unit == "element" else self._not_json(number)
        raise DataError(
            f"{self.file.path}: {unit} {number}: {one_line(error)}; expected one JSON object in "
            f"{self._dialect.encoding.upper()} a{'n' if unit == 'element' else ''} {unit}; "
            f"{of_line}mend or remove the {unit}"
        ) from error

    def _not_json(self, number: int) -> str:
        """Say what Python writes into a line of JSON that is none; empty of another line."""
        with self._open() as raw, suppress(UnicodeError, *DAMAGED):
            line = next(islice(raw, number - 1, None), b"")
            if found := re.search(rb"[:\[,]\s*-?(NaN|Infinity)\b", line):
                return f"{found[1].decode()} is not JSON, write null for it; "
        return ""

    def _truncated(self, line: int, error: Exception) -> NoReturn:
        raise DataError(
            f"{self.file.path}: the compressed file is truncated or damaged after line {line} ({error}); "
            "expected a whole file, write it again"
        ) from error


def _holds_columns(found: Mapping[str, Any]) -> bool:
    """Whether an object is a table as pandas writes one: columns of values by the number of their row."""
    numbered = [
        bool(one) and isinstance(one, dict) and [*one] == [str(k) for k in range(len(one))]
        for one in found.values()
    ]
    return len(found) > 1 and all(numbered)


def _names(key: str, value: Any) -> Iterator[str]:
    """Name the values inside the value of a key of a line."""
    if are_parameters(value):
        return (f"{key}.{entry['key']}" for entry in value)
    return leaves_of_value(key, value)
