"""How the files of one's own log are written: what a file that is cut from it, as pairs to score, follows."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from dien.data.readers.text_format import TextFormat


class LogText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a schema says of the text of a log; the keys are those of the schema (docs/data.md).

    Attributes:
        format: of all files, whatever their names.
        columns: names of the columns of files without a header.
        separator: between the columns.
        encoding: of the text.
        quote: none where quotes are text, escaped where a backslash stands before a quote inside of quotes.
        nulls: what marks a missing value.
        decimal: what stands before the fraction of a number.
    """

    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    columns: tuple[str, ...] | None = None
    separator: str | None = None
    encoding: str | None = None
    quote: Literal["none", "escaped"] | None = None
    nulls: tuple[str, ...] | None = None
    decimal: Literal[",", "."] | None = None

    def __post_init__(self) -> None:
        _ = self.said  # which checks the separator and the encoding

    @property
    def said(self) -> TextFormat:
        """What the readers of files are told."""
        return TextFormat(
            format=self.format,
            columns=self.columns,
            separator=self.separator,
            encoding=self.encoding,
            quoted=None if self.quote is None else self.quote != "none",
            escaped=self.quote == "escaped",
            nulls=self.nulls,
            decimal=self.decimal,
        )


class LogForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the interactions of a log are written.

    Attributes:
        columns: of ``user``, ``item`` and ``time``, and of each feature that is read from the interactions;
            a time may be joined of several.
        clock: unit of the second of two columns of the time, where it counts from the start of the day.
        separators: between the values of text, of each feature that has several.
        text: what the schema says of the files.
    """

    columns: dict[str, Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]]
    clock: Annotated[str, msgspec.Meta(pattern="^(s|ms|us|ns)$")] | None = None
    separators: dict[str, Annotated[str, msgspec.Meta(min_length=1)]] = {}
    text: LogText = LogText()
