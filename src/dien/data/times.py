"""How the times of a log are written: what a request to score follows, too."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

ORDER = "order"
"""The form of times that are the number of a row: the log has an order and no time."""

UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DIGITS = {"%Y": "yyyy", "%y": "yy", "%m": "mm", "%d": "dd", "%H": "HH", "%M": "MM", "%S": "SS", "%f": "fff"}
_HOURS = [str(hour) for hour in range(24)]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


class Times(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the times of a log are written.

    Attributes:
        form: a unit (``s``, ``ms``, ``us``, ``ns``) since 1970, ``iso`` for text that can be read in one way
            alone and for typed times, a format as ``%Y%m%d``, or :data:`ORDER`.
        zone: of times that name none, as Europe/Berlin; None where each is certain without.
        year: of times that name none: the log lacks the year that the format begins with. None where each
            time has its own.
    """

    form: str
    zone: str | None = None
    year: Annotated[int, msgspec.Meta(ge=1970, le=2099)] | None = None

    def __post_init__(self) -> None:
        if self.zone is not None:
            known_zone(self.zone)

    @property
    def ordered(self) -> bool:
        """Whether there is an order alone."""
        return self.form == ORDER

    @property
    def key(self) -> tuple[str | None, str | None, int | None]:
        """What a value cannot say by itself: a format of its own, the zone and the year."""
        return None if self.form in (*UNITS, "iso") else self.form, self.zone, self.year

    @property
    def text(self) -> str:
        """What is to be said of them."""
        unit = f"{in_words(self.form)} since 1970" if self.form in UNITS else in_words(self.form)
        unit += f" of {self.year} (interactions.time_year)" if self.year is not None else ""
        return unit + (f", {self.zone} where they name no zone (interactions.time_zone)" if self.zone else "")


class FromTime(msgspec.Struct, frozen=True, kw_only=True):
    """A feature of the context that follows from the time.

    Attributes:
        what: of the time.
        zone: of the clock that it is told by.
    """

    what: Literal["hour", "weekday"]
    zone: str

    def __post_init__(self) -> None:
        known_zone(self.zone)

    def of(self, time: pl.Series) -> pl.Series:
        """Tell the hour (0 to 23) or weekday (Mon to Sun) of times ``[n]`` in seconds; null of null."""
        clock = pl.from_epoch(time, "s").dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
        if self.what == "hour":
            return pl.Series(_HOURS).gather(clock.dt.hour())
        return pl.Series(_WEEKDAYS).gather(clock.dt.weekday() - 1)

    def of_second(self, second: int | None) -> str | None:
        """Tell that of one time; nothing here is done by Polars, whose threads a forked process lacks."""
        if second is None:
            return None
        clock = datetime.fromtimestamp(second, ZoneInfo(self.zone))
        return _HOURS[clock.hour] if self.what == "hour" else _WEEKDAYS[clock.weekday()]


def in_words(form: str) -> str:
    """Say how times are written, by the form of :class:`Times`."""
    if form in UNITS:
        return UNITS[form]
    if form in ("iso", ORDER):
        return {"iso": "text or typed times", ORDER: "the order of the rows"}[form]
    return f"dates as {compact(form)}" if compact(form).isalpha() else f'"{form}"'


def compact(format: str) -> str:
    """Write a format as people do: ``yyyymmdd``."""
    for directive, word in _DIGITS.items():
        format = format.replace(directive, word)
    return format


def known_zone(zone: str) -> str:
    """Check the name of a time zone.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # a folder of zones, as "America", is an OSError
        raise ValueError("expected a time zone as America/New_York or UTC") from None
    return zone
