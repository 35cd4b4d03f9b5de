"""Lists written as text: ``[4, 0]`` of JSON, ``['a', 'b']`` of Python."""

from __future__ import annotations

import ast
import json
from typing import Any

import polars as pl

from dien.data.readers.messages import refuse

_LITERAL = r"^\s*\[[\s\S]*\]\s*$"


def in_brackets(text: pl.Series) -> pl.Series:
    """Mark the text ``[n]`` that stands in square brackets: a list, if it is one."""
    return text.str.contains(_LITERAL).fill_null(False)


def with_literals(text: pl.Series, lists: pl.Series, expected: str, *, fractions: bool = False) -> pl.Series:
    """Put lists that are written as text in place of what was made of that text otherwise.

    Args:
        text: the column ``[n]`` of String.
        lists: what else was made of it: ``[n]`` lists of String.
        expected: what must be there, for errors.
        fractions: whether numbers may have one.

    Returns:
        Lists ``[n]``. Text in brackets that is no list of Python or JSON stays as it was made.

    Raises:
        BadValueError: a list holds something else than text, whole numbers, booleans and nothing, or
            numbers with a fraction where they may stand.
    """
    written = in_brackets(text)
    if not written.any():
        return lists
    found: dict[str, list[str | None]] = {}
    wrong: list[str] = []
    for cell in text.filter(written).unique():
        values = _list_in(cell)
        if values is None:
            continue
        entries = [_entry(value, fractions) for value in values]
        if any(entry is None and value is not None for entry, value in zip(entries, values, strict=True)):
            wrong.append(cell)
        found[cell] = entries
    if wrong:
        refuse(text, text.is_in(wrong).fill_null(False), expected)
    if not found:
        return lists
    made = pl.DataFrame(
        {"text": list(found), "list": list(found.values())}, {"text": pl.String, "list": pl.List(pl.String)}
    )
    table = pl.DataFrame({"text": text, "split": lists}).join(
        made, on="text", how="left", maintain_order="left"
    )
    return table.select(pl.coalesce("list", "split").alias(text.name)).to_series()


def _list_in(cell: str) -> list[Any] | None:
    """Read a list of JSON or Python; None where it is none."""
    for read in (json.loads, ast.literal_eval):
        try:
            values = read(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # the other one may do
            continue
        return values if isinstance(values, list) else None
    return None


def _entry(value: object, fractions: bool) -> str | None:
    """Write a value of a list as a column of such values has it; None where it may not stand in one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    if isinstance(value, float) and fractions:
        return repr(value)
    return value if isinstance(value, str) else None
