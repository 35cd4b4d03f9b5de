"""Text that writes a time: patterns whose groups are its parts, and what they come to."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

import polars as pl

_OFFSET = r"[+-][0-9]{2}(?::?[0-9]{2})?"
ZONE = rf"[Zz]|(?:UTC|GMT)(?:{_OFFSET})?|{_OFFSET}"
_DAYS_TO_1970 = date(1970, 1, 1).toordinal()
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_WEEKDAY = r"(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"
_HOUR = r"(?P<H>[01]?[0-9]|2[0-3])"
_REST = r"(?::(?P<M>[0-5]?[0-9])(?::(?P<S>[0-5]?[0-9])(?:[.,][0-9]+)?)?)?"
_HALF = r"(?: *(?P<p>[AaPp])\.?[Mm]\.?)?"
_END = rf"(?: *(?P<z>{ZONE}))?(?: \([^)]*\))?"
_TIME = rf"(?:(?:[Tt]|,? +){_HOUR}{_REST}{_HALF}{_END})?"
_YEAR = r"(?P<Y>[0-9]{4})"
_DAY = r"(?P<d>3[01]|[12][0-9]|0?[1-9])"

# Written so that at each character there is one way on: such patterns are matched at twice the speed.
_ISO = (
    r"^(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})(?:[Tt ](?P<H>[01][0-9]|2[0-3])"
    rf"(?::(?P<M>[0-5][0-9])(?::(?P<S>[0-5][0-9])(?:[.,][0-9]+)?)?)? *(?P<z>{ZONE})?)?$"
)
SPELLINGS = (
    _ISO,  # first, as it is the usual one
    rf"^{_YEAR}[-/](?P<m>1[0-2]|0?[1-9])[-/]{_DAY}{_TIME}$",  # 2019/10/1 8:03:00
    rf"^{_YEAR}\.(?P<m>[0-9]{{2}})\.(?P<d>[0-9]{{2}}){_TIME}$",  # 2019.10.01; 2019.1.1 may be a version
    r"^(?P<Y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})[Tt ](?P<H>[01][0-9]|2[0-3]):?(?P<M>[0-5][0-9])"
    rf"(?::?(?P<S>[0-5][0-9])(?:[.,][0-9]+)?)?{_END}$",  # 20191001T080300Z
    # ctime, Twitter
    rf"^{_WEEKDAY}(?P<b>{MONTH}) +{_DAY} +{_HOUR}{_REST}{_HALF}(?: +(?P<z>{ZONE}))? +{_YEAR}$",
    # Apache: 10/Oct/2018:13:55:36 -0700
    rf"^{_WEEKDAY}{_DAY}[ /-](?P<b>{MONTH})\.?[ /-]{_YEAR}(?::{_HOUR}{_REST}{_END})?$",
    rf"^{_WEEKDAY}{_DAY}[ /-](?P<b>{MONTH})\.?,?[ /-]{_YEAR}{_TIME}$",  # RFC 2822
    rf"^{_WEEKDAY}(?P<b>{MONTH})\.? +{_DAY},? +{_YEAR}{_TIME}$",  # October 10, 2018 8:19 PM
)
"""Patterns of text that can be read in one way alone: the year first, or the month by its English name.

Groups: ``Y`` year (``y`` of two digits), ``m`` month (``b`` by name), ``d`` day, ``H`` hour, ``M`` minute,
``S`` second, ``p`` the first letter of AM or PM, ``z`` the zone.
"""


class Civil(NamedTuple):
    """Times as calendars and clocks have them; null where the text is none.

    Attributes:
        local: ``[n]`` seconds from 1970 on, by the clock of their place.
        ahead: ``[n]`` seconds that this clock is ahead of UTC; null where the text does not say it.
    """

    local: pl.Series
    ahead: pl.Series


def civil(text: pl.Series, pattern: str) -> Civil:
    """Read text ``[n]`` by a pattern."""
    parts = text.str.extract_groups(pattern).struct.unnest()
    if "y" in parts.columns:  # as C has it: 69 is 1969, 68 is 2068
        short = pl.col("y").cast(pl.Int32)
        parts = parts.with_columns(Y=short + pl.when(short < 69).then(2000).otherwise(1900))
    month = pl.col("m").cast(pl.Int32) if "m" in parts.columns else _number_of_month(pl.col("b"))
    found = parts.select(
        Y=pl.col("Y").cast(pl.Int32),
        m=month,
        d=pl.col("d").cast(pl.Int32),
        rest=_hour(parts) * 3600 + _part(parts, "M", 0) * 60 + _part(parts, "S", 0),
        ahead=_ahead(pl.col("z")) if "z" in parts.columns else pl.lit(None, pl.Int64),
    )
    seconds = _days().cast(pl.Int64) * 86_400 + pl.col("rest")
    made = found.select(local=pl.when(_there_is()).then(seconds), ahead="ahead")
    return Civil(made["local"], made["ahead"])


def certain(text: pl.Series, first: str) -> tuple[Civil, str]:
    """Read text ``[n]`` by all :data:`SPELLINGS`.

    Args:
        text: to read.
        first: the one to begin with, as it read the last text.

    Returns:
        What was read, and the spelling that read most of the rest.
    """
    found = civil(text, first)
    begun = first
    for spelling in SPELLINGS:
        missing = found.local.is_null()
        if not missing.any():
            break
        if spelling == begun:
            continue
        rest = civil(text.filter(missing), spelling)
        if rest.local.null_count() < len(rest.local):
            first, rows = spelling, missing.arg_true()
            found = Civil(*(one.scatter(rows, new) for one, new in zip(found, rest, strict=True)))
    return found, first


def civil_of(text: str, pattern: str) -> tuple[int, int | None] | None:
    """Do the same as :func:`civil` for one text, without Polars, whose threads a forked process lacks."""
    match = re.match(pattern, text)
    if match is None:
        return None
    parts = match.groupdict()
    if "y" in parts:
        parts["Y"] = int(parts["y"]) + (2000 if int(parts["y"]) < 69 else 1900)
    month = int(parts["m"]) if "m" in parts else _MONTHS.index(parts["b"][:3].lower()) + 1
    hour, half = int(parts.get("H") or 0), parts.get("p")
    if half is not None and not 1 <= hour <= 12:
        return None
    if half is not None:
        hour = hour % 12 + (12 if half in "pP" else 0)
    clock = hour * 3600 + int(parts.get("M") or 0) * 60 + int(parts.get("S") or 0)
    try:
        days = date(int(parts["Y"]), month, int(parts["d"])).toordinal() - _DAYS_TO_1970
    except ValueError:  # the 30th of February
        return None
    zone = parts.get("z")
    digits = re.sub("[A-Za-z:]", "", zone or "").ljust(5, "0")
    ahead = int(digits[1:3]) * 3600 + int(digits[3:5]) * 60 if digits[0] in "+-" else 0
    return days * 86_400 + clock, None if zone is None else -ahead if digits[0] == "-" else ahead


def _there_is() -> pl.Expr:
    """Tell whether there is a day ``d`` of month ``m`` in the year ``Y``."""
    year, month, day = pl.col("Y"), pl.col("m"), pl.col("d")
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    february = pl.when(leap).then(29).otherwise(28)
    last = pl.when(month == 2).then(february).otherwise(30 + (month + month // 8) % 2)
    return month.is_between(1, 12) & (day >= 1) & (day <= last)


def _days() -> pl.Expr:
    """Count the days from 1970 to day ``d`` of month ``m`` of the year ``Y``; years begin in March here."""
    year, month = pl.col("Y") - (pl.col("m") <= 2).cast(pl.Int32), (pl.col("m") + 9) % 12
    before = 365 * year + year // 4 - year // 100 + year // 400
    return before + (153 * month + 2) // 5 + pl.col("d") - 719_469


def _part(parts: pl.DataFrame, name: str, without: int) -> pl.Expr:
    if name not in parts.columns:
        return pl.lit(without, pl.Int64)
    return pl.col(name).cast(pl.Int64).fill_null(without)


def _hour(parts: pl.DataFrame) -> pl.Expr:
    """Give the hour of the day, 0 to 23; null where AM or PM does not go with it."""
    hour = _part(parts, "H", 0)
    if "p" not in parts.columns:
        return hour
    after_noon = pl.col("p").is_in(["p", "P"]).cast(pl.Int64) * 12
    of_twelve = pl.when(hour.is_between(1, 12)).then(hour % 12 + after_noon)
    return pl.when(pl.col("p").is_null()).then(hour).otherwise(of_twelve)


def _number_of_month(name: pl.Expr) -> pl.Expr:
    short = name.str.slice(0, 3).str.to_lowercase()
    return short.replace_strict(list(_MONTHS), list(range(1, 13)), default=None, return_dtype=pl.Int32)


def _ahead(zone: pl.Expr) -> pl.Expr:
    """Seconds that a zone is ahead of UTC: of ``Z``, ``UTC``, ``+02``, ``+0200``, ``GMT+02:00``."""
    digits = zone.str.replace_all("[A-Za-z:]", "")  # a sign and two or four digits, or nothing
    minutes = pl.when(digits.str.len_bytes() > 3).then(digits.str.slice(3, 2)).cast(pl.Int64).fill_null(0)
    hours = pl.when(digits != "").then(digits.str.slice(1, 2)).cast(pl.Int64).fill_null(0)
    sign = pl.when(digits.str.starts_with("-")).then(-1).otherwise(1)
    return pl.when(zone.is_not_null()).then(sign * (hours * 3600 + minutes * 60))
