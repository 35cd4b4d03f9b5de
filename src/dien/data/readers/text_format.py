"""How the text of a file is written: what is said of it, and what is found out."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal

Format = Literal["parquet", "csv", "jsonl", "atomic"]

ONE_BYTE = "\x1f"
"""Stands in place of a separator of several bytes where a file is parsed: the unit separator of ASCII."""


@dataclass(frozen=True)
class TextFormat:
    """What is said of the files of a table; what is None is told by their names and their first lines.

    Attributes:
        format: of all files, whatever their names.
        columns: names of the columns of files without a header.
        separator: between the columns, one or more characters.
        encoding: of the text, as Python names it.
        quoted: whether quotes around a field keep separators and line ends in it; else they are text.
        escaped: whether a quote inside of quotes is written with a backslash.
        nulls: what marks a missing value, beside an empty field.
        decimal: what stands before the fraction of a number; the other one of comma and point may stand
            between its thousands then. None where numbers have a point and nothing between thousands.
    """

    format: Literal["parquet", "csv", "tsv", "jsonl"] | None = None
    columns: tuple[str, ...] | None = None
    separator: str | None = None
    encoding: str | None = None
    quoted: bool | None = None
    escaped: bool = False
    nulls: tuple[str, ...] | None = None
    decimal: Literal[".", ","] | None = None

    def __post_init__(self) -> None:
        if self.encoding is not None and not is_encoding(self.encoding):
            raise ValueError(f"encoding {self.encoding!r}; expected one of Python, as latin-1, gbk or utf-16")
        if self.separator is not None and not is_separator(self.separator):
            raise ValueError(f"separator {self.separator!r}; expected characters but quotes and line ends")

    def keys_of_text(self) -> list[str]:
        """Name the keys that are said and that only text with columns has."""
        keys = {"columns": self.columns, "separator": self.separator, "quote": self.quoted}
        return [key for key, value in keys.items() if value is not None]


NOTHING_SAID = TextFormat()


@dataclass(frozen=True)
class Dialect:
    """How a text file is read.

    Attributes:
        separator: between the columns, one or more characters.
        encoding: of the text.
        quoted: whether quotes around a field keep separators and line ends in it.
        escaped: whether a quote inside of quotes is written with a backslash instead of a second quote.
        told: what of this neither the file's name nor the schema says, in words.
    """

    separator: str = ","
    encoding: str = "utf-8"
    quoted: bool = True
    escaped: bool = False
    told: tuple[str, ...] = ()

    @property
    def delimiter(self) -> str:
        """The one character between the columns once the bytes are converted."""
        return self.separator if len(self.separator.encode()) == 1 else ONE_BYTE


def is_separator(text: str) -> bool:
    """Whether it can stand between columns: one or more characters, no quote and no line end."""
    return bool(text) and not set(text) & set('\r\n"')


def is_encoding(name: str) -> bool:
    """Whether Python can read text of this encoding, block by block."""
    try:
        if not codecs.lookup(name)._is_text_encoding:
            return False
        codecs.getincrementaldecoder(name)("replace").decode(b"a")
    except (LookupError, ValueError):  # a NUL in the name is a ValueError, and so is what idna raises
        return False
    return True
