"""What kind of feature a column makes, told by its values."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.infer.head import HeadColumn, accepts
from dien.data.sources.table.infer.names import letters, of_a_time
from dien.data.sources.table.infer.roles import are_days_of_a_year, are_moments
from dien.data.sources.table.infer.words import in_comment
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.times import TimeParser
from dien.data.times import UNITS
from dien.errors import DataError

_FEW = 20  # integers with so few values are categories
_SEPARATORS = ("|", ";", ", ", ",", "^")
_NO_LISTS = "only lists of text, or of as many numbers in each row, are a feature"
_LIST = r"^\s*\[[\s\S]*\]\s*$"


def kind_of(column: HeadColumn) -> tuple[dict[str, str], str]:
    """Options of a feature, without ``kind`` where it should be left out; and why."""
    values = column.values.drop_nulls()
    if column.problem:
        return {}, in_comment(column.problem, 120)
    if column.distinct < 2:
        return {}, "it has fewer than two values"
    if column.lists:
        inner = values.dtype.inner  # type: ignore[attr-defined]  # of lists
        ids = inner.is_integer() or isinstance(inner, pl.String | pl.Categorical | pl.Enum)
        if inner.is_float() and values.list.len().n_unique() == 1:
            return {"kind": "vector"}, f"lists of {len(values[0])} numbers each"
        return ({"kind": "multi"}, "lists") if ids else ({}, _NO_LISTS)
    if column.times or (of_a_time(column.name) and _are_times(column)):
        return {}, "times are no feature"
    if values.dtype.is_float() and not bool((values == values.floor()).all() and column.distinct <= _FEW):
        return _numeric(values)
    if values.dtype.is_integer() and column.distinct > _FEW:
        if re.search(r"(id|code|zip|key)$", letters(column.name)):
            return {"kind": "categorical"}, "whole numbers, but its name says they name something"
        return _numeric(values)
    if values.dtype == pl.String:
        if values.str.contains(_LIST).all():
            return {"kind": "multi"}, "lists, written as text"
        for separator in _SEPARATORS:
            pieces = values.str.split(separator)
            if (pieces.list.len() > 1).mean() >= 0.1 and pieces.explode().n_unique() <= column.distinct:  # type: ignore[operator]
                return {
                    "kind": "multi",
                    "separator": separator,
                }, f"text with {separator!r} between few values"
        if column.distinct > 0.8 * len(values) and len(values) > _FEW:
            return {}, "text of which few values come twice: there is nothing to learn of one"
    return {"kind": "categorical"}, "few values" if column.distinct <= _FEW else "text"


def refusal(side: str, name: str, options: Mapping[str, str | bool], column: HeadColumn) -> str:
    """Try a feature on the rows that were read, by what prepare parses it with; empty where it takes all."""
    try:
        spec = TableSpec.of({"features": {side: {name: options}}}, "draft")
        definition = next(feature for _, _, feature in spec.features.named())
        parse = definition.parser(pl.Float32())
        for _, part in column.parts:
            parse(part)
    except (BadValueError, DataError, pl.exceptions.PolarsError) as error:
        return f"prepare refuses it: {in_comment(str(error), 120)}"
    return ""


def _are_times(column: HeadColumn) -> bool:
    """Whether a column holds moments, dates as 20240131, days as 0829, or text with a year in each value."""
    known = column.values.drop_nulls()
    if are_days_of_a_year(column):
        return True
    if known.dtype == pl.String:
        return bool(known.str.contains(r"\b(19|20)\d\d\b").all())
    times = TimeParser(None, quiet=True)
    if not known.dtype.is_numeric() or not accepts(times.parse, known):
        return False
    return are_moments(column) or times.form not in (*UNITS, "iso", None)


def _numeric(values: pl.Series) -> tuple[dict[str, str], str]:
    low, middle, high = (float(found or 0) for found in (values.min(), values.median(), values.max()))  # type: ignore[arg-type]
    if low >= 0 and high > 100 * middle > 0:
        return {"kind": "numeric", "scale": "log"}, "numbers, a few far above the others"
    return {"kind": "numeric"}, "numbers"
