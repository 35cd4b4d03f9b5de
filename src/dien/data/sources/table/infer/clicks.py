"""Columns that tell what was clicked where none holds 0 and 1: kinds of events, other words, a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from dien.data.sources.table.infer.head import HeadColumn
from dien.data.sources.table.infer.names import ROLES, letters, of_a_count_of_clicks, of_a_kind_of_event
from dien.data.sources.table.infer.roles import EVENTS, Found

_SHOWN = (
    "impression", "impressions", "imp", "impr", "shown", "show", "display", "exposure", "exposed", "expose",
    "served", "曝光", "展示",
)  # fmt: skip
_CLICKED = ("click", "clicks", "clicked", "clk", "tap", "tapped", "点击")
_YES_AND_NO = (
    ("1", "-1"), ("yes", "no"), ("y", "n"), ("t", "f"), ("positive", "negative"), ("pos", "neg"),
    ("click", "noclick"), ("click", "nonclick"), ("click", "none"), ("clicked", "notclicked"),
)  # fmt: skip


def find_click(columns: Sequence[HeadColumn]) -> Found:
    """Find a column that tells what was shown from what was clicked: kinds of events, words, or a count."""
    for find in _of_events, _of_words, _of_a_count:
        for column in columns:
            if (found := find(column)) is not None:
                return found
    return Found(None, "")


def is_named_as_a_label(name: str) -> bool:
    """Whether a name is one of a label."""
    return letters(name) in ROLES["label"]


def _of_events(column: HeadColumn) -> Found | None:
    """Take kinds of events, told by the column's name or by all of its values."""
    if column.values.dtype != pl.String or column.distinct > EVENTS:
        return None
    plain = column.values.str.to_lowercase().str.strip_chars()
    shown, clicked = plain.is_in(_SHOWN), plain.is_in(_CLICKED)
    if not (shown.any() and clicked.any()):
        return None
    if not of_a_kind_of_event(column.name) and not (shown | clicked).drop_nulls().all():
        return None
    return _marked(column, clicked, "what was shown has rows of its own beside the clicks")


def _of_words(column: HeadColumn) -> Found | None:
    """Take a column that is named as a label and holds yes and no, in whatever words."""
    values = column.values
    if not is_named_as_a_label(column.name) or column.distinct != 2 or column.lists:
        return None
    if values.dtype != pl.String and not values.dtype.is_integer():
        return None
    plain = values.cast(pl.String).str.to_lowercase().str.replace_all(r"(\w)[\s_-]+", "${1}")
    for yes, no in _YES_AND_NO:
        if set(plain.drop_nulls()) == {yes, no}:
            return _marked(column, plain == yes, "by its name: check it")
    return None


def _of_a_count(column: HeadColumn) -> Found | None:
    """Take a count of clicks, of which one is a click."""
    values = column.values
    if not of_a_count_of_clicks(column.name) or not values.dtype.is_integer():
        return None
    if not ((values == 0).any() and (values >= 0).all() and (values > 1).any()):
        return None
    marked = values.clip(0, 1).cast(pl.Int8)
    return Found(
        replace(column, values=marked, distinct=2), "a count of clicks, by its name: check it", threshold=1
    )


def _marked(column: HeadColumn, clicked: pl.Series, why: str) -> Found:
    """Make a label of the marks ``[n]`` of clicks; null, as of a row without a kind of event, is none."""
    clicked = clicked.fill_null(False)
    named = column.values.filter(clicked).cast(pl.String).unique(maintain_order=True).to_list()
    return Found(replace(column, values=clicked.cast(pl.Int8), distinct=2), why, clicks=tuple(named))
