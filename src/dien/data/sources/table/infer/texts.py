"""How the files of a table are written: what is said of it, what they tell, and the lines of a draft."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from dien.data.readers.csv_text import CsvReader
from dien.data.readers.files import find
from dien.data.readers.messages import listed
from dien.data.readers.nulls import KNOWN
from dien.data.readers.reader import open_table
from dien.data.sources.table.infer.head import HeadColumn, head_of
from dien.data.sources.table.infer.words import in_comment
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.table_text import TableText
from dien.errors import DataError

_NUMBERS = {
    ",": r"^\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s*$",
    ".": r"^\s*[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?\s*$",
}
"""Numbers by what begins their fraction."""
_TABLES = ("interactions", "items", "users")


def texts_of(spec: TableSpec, source: str) -> dict[str, TableText]:
    """Take from a schema how the files of each table are written.

    Args:
        spec: the schema.
        source: where it comes from, for errors.

    Raises:
        DataError: it says something else, too.
    """
    keys = TableText.model_fields.keys()
    given = {part: getattr(spec, part).model_fields_set for part in spec.model_fields_set}
    for part, said in given.items():
        if other := sorted(said - keys if part in _TABLES else said):
            raise DataError(
                f"{source}: {part}.{other[0]}: a draft takes only how the files of {', '.join(_TABLES)} are "
                f"written ({', '.join(keys)}); leave the rest out"
            )
    return {
        part: TableText(**{key: getattr(getattr(spec, part), key) for key in said})
        for part, said in given.items()
    }


def head_and_text(table: str, paths: Sequence[Path], said: TableText) -> tuple[list[HeadColumn], list[str]]:
    """Read the first rows of a table, and give the lines that say how its files are written.

    Args:
        table: its name.
        paths: files, folders and globs.
        said: how they are written, as far as it is said.

    Raises:
        DataError: as :func:`~dien.data.sources.table.infer.head.head_of`; where the schema can say more, with
            the file to write.
    """
    try:
        return _head_and_text(paths, said)
    except DataError as error:
        if "in the schema" not in str(error):
            raise
        raise DataError(
            f"{error}; here write it into a file, as {table}: {{KEY: VALUE}}, and give the file as --schema"
        ) from error


def _head_and_text(paths: Sequence[Path], said: TableText) -> tuple[list[HeadColumn], list[str]]:
    columns, lines = head_of(paths, said.text()), _text_lines(paths, said)
    marked = [column for column in columns if column.markers and column.values.dtype.is_numeric()]
    marks = {mark for column in marked for mark in column.markers}
    if said.nulls is None and marks:  # again, as prepare reads them with these marks
        nulls = tuple(sorted(marks | set(KNOWN)))
        columns = head_of(paths, said.model_copy(update={"nulls": nulls}).text())
        beside = in_comment(listed(column.name for column in marked), 150)
        said = said.model_copy(update={"nulls": nulls})
        lines.append(f"  nulls: {json.dumps(nulls)}  # what stands beside numbers in {beside}")
    commas = {column.name: sign for column in columns if (sign := _decimal(column.values)) is not None}
    if said.decimal is None and commas:
        named, signs = in_comment(listed(commas), 150), set(commas.values())
        of_lists = signs == {","} and _commas_between(paths, said)  # few write numbers so between commas
        if of_lists and not all(_like_prices(one.values) for one in columns if one.name in commas):
            lines.append(f'  # decimal: ","  # if {named} holds numbers as 10,5, and no lists')
        elif len(signs) == 1 and signs <= {",", "."}:
            columns = head_of(paths, said.model_copy(update={"decimal": signs.pop()}).text())
            lines.append(f'  decimal: "{next(iter(commas.values()))}"  # as in {named}')
        else:
            lines.append(
                f'  # decimal: "," or ".": say which, if {named} shall be numbers; 1,234 may be both'
            )
    return columns, lines


def _decimal(values: pl.Series) -> str | None:
    """Tell what begins a fraction where a column holds numbers with commas; ? where it can be either."""
    known = values.drop_nulls()
    if known.dtype != pl.String or not known.str.contains(",", literal=True).any():
        return None
    ways = [sign for sign, pattern in _NUMBERS.items() if known.str.contains(pattern).all()]
    return ways[0] if len(ways) == 1 else "?" if ways else None


def _like_prices(values: pl.Series) -> bool:
    """Whether all numbers have as many digits after the comma, two or more, as 10,50: no list of ids."""
    digits = values.drop_nulls().str.extract(r",(\d{2,})\s*$").str.len_bytes()
    return digits.n_unique() == 1 and not digits.null_count()


def _text_lines(paths: Sequence[Path], said: TableText) -> list[str]:
    """Say how the files of a table are written: what was given, and what their first lines tell."""
    given = said.model_dump(exclude_none=True, mode="json")
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}  # as given" for key, value in given.items()]
    told = dict.fromkeys(what for file in find(paths, said.text()) for what in open_table(file).told())
    return lines + [f"  # {what}: told by the first lines of the files" for what in told]


def _commas_between(paths: Sequence[Path], said: TableText) -> bool:
    """Whether a comma is between the columns of the files: then few write numbers with one."""
    readers = (open_table(file) for file in find(paths, said.text()))
    return any(isinstance(reader, CsvReader) and reader.dialect.separator == "," for reader in readers)
