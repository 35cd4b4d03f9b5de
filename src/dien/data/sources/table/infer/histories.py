"""Rows that hold the history of their user: its items, and what the row says of each of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.infer.head import HeadColumn
from dien.data.sources.table.infer.names import letters, of_a_history
from dien.data.sources.table.infer.roles import Found
from dien.data.sources.table.lists import lists_of

_SEPARATORS = (None, "^", "|", ";", ",", " ")
_ALIKE = 0.3  # of the entries of a history, that are items of the log


def find_history(columns: Sequence[HeadColumn], item: Found) -> Found:
    """Find the column of histories: named so, with entries that are items of the log.

    Args:
        columns: that have no role.
        item: the column of items, or of pages.
    """
    items = None if item.column is None else _entries(_lists(item.column, item.options.get("separator")))
    if items is None:
        return Found(None, "")
    if "clicked" in item.options:
        items = items.str.replace(r"-[^-]*$", "").unique()
    for column in columns:
        separator = separator_of(column) if of_a_history(column.name) else ""
        entries = None if separator == "" else _entries(_lists(column, separator))
        if entries is not None and len(entries) and entries.is_in(items.to_list()).mean() >= _ALIKE:  # type: ignore[operator]
            options = {} if separator is None else {"separator": separator}
            return Found(column, "named so, and its entries are items of the log", options)
    return Found(None, "")


def beside(history: Found, columns: Sequence[HeadColumn], attributes: Sequence[str]) -> dict[str, str]:
    """Find the columns that hold an attribute of each item of a history.

    Args:
        history: the column of histories.
        columns: that have no role.
        attributes: features of items that are read from the interactions.

    Returns:
        Columns by attribute: named as it after what says history, and as long in every row.
    """
    if history.column is None:
        return {}
    separator = history.options.get("separator")
    lengths = _lengths(_lists(history.column, separator))
    found: dict[str, str] = {}
    for column in columns:
        if not of_a_history(column.name) or column is history.column:
            continue
        own = _lengths(_lists(column, separator))
        named = [one for one in attributes if letters(column.name).endswith(letters(one))]
        if named and own is not None and lengths is not None and own.equals(lengths, check_names=False):
            found.setdefault(named[0], column.name)
    return found


def separator_of(column: HeadColumn) -> str | None:
    """Tell what stands between the entries of text; None of lists, "" where rows hold one value."""
    if column.lists:
        return None
    known = column.values.drop_nulls()
    if known.dtype != pl.String:
        return ""
    for separator in _SEPARATORS:
        lists = _lists(column, separator)
        lengths = _lengths(lists)
        if lengths is not None and (lengths > 1).sum() > 0.5 * len(known):
            return separator
    return ""


def _lists(column: HeadColumn, separator: str | None) -> pl.Series | None:
    """Read a column as lists of text; None where it holds none. One value a row is a list of it."""
    try:
        if not column.lists and column.values.dtype != pl.String:
            return _one_each(column)
        made: pl.Series = lists_of(column.values, separator, "").cast(pl.List(pl.String))
    except BadValueError:
        return None if separator is not None or column.lists else _one_each(column)
    except pl.exceptions.PolarsError:
        return None
    return made


def _one_each(column: HeadColumn) -> pl.Series:
    lists: pl.Series = column.values.cast(pl.String).reshape((-1, 1)).arr.to_list()
    return lists


def _entries(lists: pl.Series | None) -> pl.Series | None:
    return None if lists is None else lists.explode().drop_nulls().str.strip_chars().unique()


def _lengths(lists: pl.Series | None) -> pl.Series | None:
    return None if lists is None else lists.list.len()
