"""The keys of a schema that say how the files of a table are written."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from dien.data.features.definition import Text
from dien.data.log_form import LogText
from dien.data.readers.text_format import TextFormat, is_encoding, is_separator
from dien.data.sources.table.strict import Strict


class TableText(Strict):
    r"""How the files of a table are written; what is None is told by their names and first lines.

    Attributes:
        format: of all files, whatever their names.
        columns: names of the columns of files without a header, in their order.
        separator: between the columns of text: one or more characters.
        encoding: of text, as latin-1 or gbk.
        quote: none where quotes are text, escaped where ``\"`` stands for a quote inside of quotes.
        nulls: what marks a missing value, beside an empty field; in place of those that are known in text
            with columns (:data:`~dien.data.readers.nulls.KNOWN`).
        decimal: a comma where numbers of text have one before their fraction, as 10,5 or 1.234,5; a point
            where they have commas between thousands, as 1,234.5.
    """

    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    columns: tuple[Text, ...] | None = None
    separator: Text | None = None
    encoding: Text | None = None
    quote: Literal["none", "escaped"] | None = None
    nulls: tuple[Text, ...] | None = None
    decimal: Literal[",", "."] | None = None

    @field_validator("nulls", mode="before")
    @classmethod
    def _as_text(cls, nulls: Any) -> Any:
        """Take what YAML makes of marks: an unquoted NULL is none of its texts, and -1 a number."""
        if not isinstance(nulls, list | tuple):
            return nulls
        marks: list[Any] = []
        for mark in nulls:
            whole = isinstance(mark, int) and not isinstance(mark, bool)
            marks += ("NULL", "null", "Null") if mark is None else [str(mark) if whole else mark]
        return marks

    @field_validator("columns")
    @classmethod
    def _distinct(cls, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if columns is not None and (not columns or len(set(columns)) < len(columns)):
            raise ValueError("expected a name for each column, no two alike")
        return columns

    @field_validator("separator")
    @classmethod
    def _separates(cls, separator: str | None) -> str | None:
        if separator is not None and not is_separator(separator):
            raise ValueError("expected characters that are no quotes and no line ends")
        return separator

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        if encoding is not None and not is_encoding(encoding):
            raise ValueError("expected an encoding that Python knows, as latin-1, gbk or utf-16")
        return encoding

    def kept(self) -> LogText:
        """Give what a dataset folder keeps of it."""
        return LogText(**self.model_dump(include=set(TableText.model_fields), exclude_none=True))

    def text(self) -> TextFormat:
        """Give what the readers of files are told."""
        return self.kept().said
