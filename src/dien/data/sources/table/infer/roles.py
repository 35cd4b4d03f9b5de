"""Which column is the user, the item, the time, the label: by its name, or by its values."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from dien.data.readers.messages import BadValueError, listed, no_column
from dien.data.sources.table.infer.head import HeadColumn, accepts
from dien.data.sources.table.infer.names import (
    ROLES,
    is_id,
    letters,
    of_a_title,
)
from dien.data.sources.table.infer.words import contents
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.times.compact_dates import formats_of
from dien.data.sources.table.times.formats import suggested
from dien.data.sources.table.values import ids, labels
from dien.errors import DataError

EVENTS = 12
"""At most so many kinds of events."""
_FEW = 20  # so few values are no users and no items
_MANY = 20  # rows of each value
_EMPTY = 0.1  # of the rows, that name no user
_CLOCK = r"^\d{1,2}:\d{2}(:\d{2})?$"
_MILLISECONDS = ("timeframe", "milliseconds", "millisecond", "timeofdayms", "msofday")  # as Diginetica's
_YEAR_1990 = 631_152_000  # seconds since 1970
_EXPECTED = {
    "time": "times",
    "label": "only 0 and 1 (for a rating, set label and threshold in the draft; for words, "
    "label: {column: name, is: [yes]})",
}
REQUIRED = ("user", "item", "time")


@dataclass(frozen=True)
class Found:
    """The column of a role, and how it was found.

    Attributes:
        column: None where none was.
        why: how it was found, or why those of its name were not taken.
        options: keys of the role, where it needs more than the name of its column.
        clock: the column of the time of the day, where ``column`` has days alone.
        clock_unit: of that column, where it counts from the start of the day.
        format: the ``time_format`` that its times need.
        clicks: the values that are clicks, where the column of the label holds kinds of events.
        threshold: so many clicks are one, where it counts them.
    """

    column: HeadColumn | None
    why: str
    options: Mapping[str, str] = field(default_factory=dict)
    clock: HeadColumn | None = None
    clock_unit: str | None = None
    format: str | None = None
    clicks: tuple[str, ...] = ()
    threshold: int | None = None


def named(role: str, name: str, columns: Sequence[HeadColumn], path: Path) -> Found:
    """Find the column that was named for a role.

    Raises:
        DataError: it is not there, or cannot have the role.
    """
    column = next((column for column in columns if column.name == name), None)
    if column is None:
        raise no_column(path, name, (column.name for column in columns), f"mend --{role}")
    format = _format_of(column) if role == "time" and not fits(role, column) else None
    if not fits(role, column) and format is None:
        raise DataError(
            f"{path}: column {name!r} cannot be the {role}: expected "
            f"{_EXPECTED.get(role, 'text or integers')}, found {contents(column)}: "
            f"{_refusal(role, column)}; mend --{role}"
        )
    return Found(column, "as named", format=format)


def find_role(role: str, columns: Sequence[HeadColumn], table: Sequence[HeadColumn] | None) -> Found:
    """Find the column of a role.

    Args:
        role: a key of the schema's ``interactions``.
        columns: those that no other role has.
        table: columns of the table of items or users, where the role is its key.
    """
    fitting = [column for column in columns if fits(role, column)]
    if role == "time":  # small numbers only where there is nothing better
        fitting = [c for c in fitting if are_moments(c)] or fitting
    if role in ("item", "time"):  # a column that most rows lack only where there is nothing better
        fitting = [c for c in fitting if 2 * c.known >= c.values.len()] or fitting
    if role in ("user", "item"):
        fitting = [c for c in fitting if not _all_alike(role, c)]
    by_name = {letters(column.name): column for column in reversed(fitting)}
    keys = {other.name for other in table or () if other.distinct == other.values.len()}
    for name in ROLES.get(role, ()):
        if name in by_name and by_name[name].name in keys:
            return Found(by_name[name], f"by its name, which is the key of the {role}s, too")
    named_so = [by_name[name] for name in ROLES.get(role, ()) if name in by_name]
    if named_so:
        return _best_of(role, named_so)
    if role == "time" and (found := _of_a_format(columns, ROLES["time"])):
        return found
    if role == "time":
        moments = [column for column in fitting if are_moments(column) and not is_id(column.name)]
        if moments:
            finest = max(moments, key=lambda column: column.distinct)
            return Found(finest, "by its values alone, which look like times: check it")
        if found := _of_a_format(columns, None):
            return found
    if role in REQUIRED and role != "time":
        for column in fitting:
            if column.name in keys:
                return Found(column, f"the table of {role}s has it as its key, too")
        for column in fitting:
            if role in letters(column.name) and (is_id(column.name) or column.distinct > _FEW):
                return Found(column, f"its name holds the word {role}: check it")
    return Found(None, _why_not(role, columns))


def _best_of(role: str, named_so: Sequence[HeadColumn]) -> Found:
    """Take the first column that is named as a role, unless another one serves better, and say why."""
    first, *others = named_so
    if role == "user" and (empty := first.values.null_count()) > _EMPTY * first.values.len():
        for other in others:
            if other.values.null_count() <= _EMPTY * other.values.len():
                return Found(other, f"by its name; {first.name} is empty in {empty} of the rows")
    if role == "time":
        for other in others:
            if _same_moments(first, other):
                return Found(other, f"by its name; {first.name} says the same on a clock without a zone")
    if role in ("user", "item") and first.distinct <= _FEW and first.known >= _MANY * first.distinct:
        return Found(first, "by its name, though it has few values: check it")
    return Found(first, "by its name")


def _all_alike(role: str, column: HeadColumn) -> str:
    """Say that a column tells no users or items apart; empty where it does, and of few rows."""
    if column.known < _MANY:
        return ""
    if column.distinct < 2:
        return "has one value alone"
    counts = column.values.drop_nulls().value_counts(sort=True)
    value, most = counts.row(0)
    if role == "user" and column.known >= _FEW * _MANY and 2 * most > column.known:
        return f"has {value} in {most:,} of {column.known:,} rows: it may mark a missing one"
    return ""


def _same_moments(clock: HeadColumn, numbers: HeadColumn) -> bool:
    """Whether a column of text or typed times names no zone, and another one counts the same from 1970."""
    if not clock.times or not numbers.values.dtype.is_numeric() or clock.known != numbers.known:
        return False
    times = TimeParser(None, quiet=True)
    ahead = times.parse(clock.values.drop_nulls()) - _seconds(numbers)
    zones = (ahead / 900).round()  # quarters of an hour; two where clocks are put back
    near = bool((ahead - zones * 900).abs().max() <= 1 and zones.abs().max() <= 56)
    return times.without_zone and near and zones.n_unique() <= 2


def with_clock(found: Found, columns: Sequence[HeadColumn]) -> Found:
    """Add the column of the time of the day to one of days alone, where there is one."""
    days = found.column
    if days is None or not days.times or (_seconds(days) % 86_400 != 0).any():
        return found
    for column in columns:
        text = column.values.drop_nulls()
        if letters(column.name) in _MILLISECONDS and len(text) == len(days.values) and _of_a_day(text):
            why = f"{found.why}, and the milliseconds from its start"
            return replace(found, why=why, clock=column, clock_unit="ms")
        if text.dtype != pl.String or len(text) != len(days.values) or not text.str.contains(_CLOCK).all():
            continue
        joined = pl.select(pl.concat_str([days.values.cast(pl.String), text], separator=" ")).to_series()
        if accepts(TimeParser(None, quiet=True).parse, joined):
            return replace(found, why=f"{found.why}, and the time of the day", clock=column)
    return found


def _of_a_day(values: pl.Series) -> bool:
    """Whether values are whole numbers, as milliseconds of a day are."""
    return bool(values.dtype.is_integer() and values.is_between(0, 86_400_000 - 1).all())


def candidates(role: str, columns: Sequence[HeadColumn]) -> list[str]:
    """Name the columns that could have a role, for people to choose from."""
    fitting = [column for column in columns if fits(role, column) and column.distinct > 1]
    if role == "time":
        fitting = [column for column in fitting if are_moments(column)]
        fitting += [column for column in columns if 'time_format: "%' in (_refusal(role, column) or "")]
    return [column.name for column in fitting]


def fits(role: str, column: HeadColumn) -> bool:
    """Whether a column holds what a role needs, as its parser says."""
    return _refusal(role, column) is None


def _refusal(role: str, column: HeadColumn) -> str | None:
    """Say why a column cannot have a role; None where it can."""
    values = column.values.drop_nulls()
    if column.lists or column.problem or not column.known:
        return column.problem or f"holds {'lists' if column.lists else 'nothing'}"
    try:
        match role:
            case "user" | "item" | "impression":
                if column.times or values.dtype == pl.Boolean:
                    return f"holds {'times' if column.times else 'booleans'}"
                numbers = values.dtype.is_float() and (values != values.floor()).any()
                if numbers and not (is_id(column.name) and _is_text(column)):  # GA4 writes 1234.5678
                    return "holds floats"
                column.parse(ids)
            case "time":
                if not column.times and values.dtype == pl.Boolean:
                    return "holds booleans"
                if are_days_of_a_year(column):
                    return (
                        f"holds months and days, as {values[0]}: write time: {column.name} with "
                        'time_format: "%m%d" and the year, as time_year: 2014'
                    )
                _seconds(column)
            case "label":
                column.parse(labels)
            case "clicked":
                return "is no list of a page"
            case _:
                known = values.dtype == pl.String and values.is_in(["train", "valid", "test"]).any()
                return None if known else "holds none of train, valid, test"
    except (BadValueError, DataError, pl.exceptions.PolarsError) as error:
        return str(error)
    return None


def _is_text(column: HeadColumn) -> bool:
    """Whether a column stands in its files as text."""
    return all(part.dtype in (pl.String, pl.Null) for _, part in column.parts)


def find_key(side: str, name: str | None, table: Sequence[HeadColumn]) -> Found:
    """Find the key of a table of items or users; the interactions name it ``name``."""
    for column in table:
        if column.name == name:
            return Found(column, "named as in the interactions")
    found = find_role(side, table, None)
    if found.column is not None:
        return found
    for column in table:
        if fits(side, column) and column.distinct == column.values.len():
            return Found(column, "the first whose values are all different: check it")
    return found


def title_of(table: Sequence[HeadColumn]) -> HeadColumn | None:
    """Find the column of a table of items that says what people call each; None where none seems to."""
    titles = [
        one for one in table if of_a_title(one.name) and not one.lists and one.values.dtype == pl.String
    ]
    return max(titles, key=lambda one: one.distinct, default=None)


def _of_a_format(columns: Sequence[HeadColumn], names: Sequence[str] | None) -> Found | None:
    """Find a column of times that one ``time_format`` alone reads; without names, by its values."""
    why = "by its name" if names is not None else "by its values alone, which look like times: check it"
    for column in columns:
        if letters(column.name) in names if names is not None else not is_id(column.name):
            format = _format_of(column)
            if format is not None and are_moments(column, format):
                return Found(column, why, format=format)
    return None


def _format_of(column: HeadColumn) -> str | None:
    """Give the only format that reads what could be read in several ways; None of others."""
    values = column.values.drop_nulls()
    if column.times or values.is_empty():
        return None
    found: list[str] = []
    if values.dtype == pl.String:
        found = suggested(values, values[0])
    elif values.dtype.is_integer() and not fits("time", column):
        found = formats_of(values.cast(pl.Int64, strict=False))
    if len(found) != 1 or not accepts(TimeParser(None, format=found[0], quiet=True).parse, values):
        return None
    return found[0]


def are_moments(column: HeadColumn, format: str | None = None) -> bool:
    """Whether nearly all values are moments from 1990 to tomorrow: no ids, no birthdays."""
    share = _seconds(column, format).is_between(_YEAR_1990, time.time() + 86_400).mean()
    return isinstance(share, float) and share > 0.99


def are_days_of_a_year(column: HeadColumn) -> bool:
    """Whether all values write a month and a day, as 0829, and no year."""
    text = column.values.drop_nulls().cast(pl.String)
    if (
        column.times
        or column.lists
        or column.distinct < _FEW / 2
        or not text.str.contains(r"^\d{3,4}$").all()
    ):
        return False
    return accepts(TimeParser(None, format="%m%d", year=2000, quiet=True).parse, text)


def _seconds(column: HeadColumn, format: str | None = None) -> pl.Series:
    """Read a column as times."""
    return TimeParser(None, format=format, quiet=True).parse(column.values.drop_nulls())


def _why_not(role: str, columns: Sequence[HeadColumn]) -> str:
    """Say why the columns that are named as a role are not taken."""
    alike = (column for column in columns if letters(column.name) in ROLES.get(role, ()))
    whys = ((column, _refusal(role, column) or _all_alike(role, column)) for column in alike)
    return "; ".join(f"{listed([column.name])} {why}" for column, why in whys)
