"""The keys of a schema that say how times are written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from dien.data.features.definition import Text
from dien.data.sources.table.times import TimeParser, known_format
from dien.data.times import known_zone

TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
TimeFormat = Annotated[Text, AfterValidator(known_format)]
TimeZone = Annotated[Text, AfterValidator(known_zone)]


def check_times(part: Any) -> None:
    """Check that the keys of interactions or behaviours go together.

    Raises:
        ValueError: two exclude each other.
    """
    if part.time_format is not None and part.time_unit is not None:
        raise ValueError("time_format and time_unit exclude each other; leave time_unit out")


def parser_of(roles: Any, own: Any = None) -> TimeParser:
    """Make the parser of the times of the interactions, or of a log of behaviours of its own.

    Args:
        roles: the keys of the interactions.
        own: those of the behaviours: where they name no column of times, what they do not say is as in the
            interactions. None for the interactions.
    """
    if own is None:
        unit, format, zone, key = roles.time_unit, roles.time_format, roles.time_zone, "interactions"
    else:
        unit, format, zone, key = own.time_unit, own.time_format, own.time_zone, "behaviours"
        if own.time is None:
            if unit is None and format is None:
                unit, format = roles.time_unit, roles.time_format
            zone = zone or roles.time_zone
    return TimeParser(unit, format=format, zone=zone, key=key)
