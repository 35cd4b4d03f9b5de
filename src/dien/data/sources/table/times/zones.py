"""Times that name no zone: of the clock of one place."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl


def second_of(local: int, zone: str) -> int | None:
    """Do the same as :func:`to_utc` for one time, without Polars; None where there is no such second."""
    clock = datetime(1970, 1, 1) + timedelta(seconds=local)  # of the zone
    place = ZoneInfo(zone)
    try:
        second = int(clock.replace(tzinfo=place).timestamp())
        again = datetime.fromtimestamp(second, place).replace(tzinfo=None)
    except (ValueError, OverflowError):  # 9999-12-31, which stands for no end, is of the year 10000 elsewhere
        return None
    return second if again == clock else None


def to_utc(local: pl.Series, zone: str) -> tuple[pl.Series, int]:
    """Convert times of a zone's clock to those of UTC.

    Args:
        local: ``[n]`` seconds from 1970 on, by the zone's clock.
        zone: as Europe/Berlin.

    Returns:
        ``[n]`` seconds since 1970, null where the clock was put forward over the time. Of a time that came
        twice, when it was put back, the first is taken; and how many these are.
    """
    clock = pl.from_epoch(local, "s")
    first = clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    second = clock.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return first.dt.epoch("s"), int((first != second).sum() or 0)
