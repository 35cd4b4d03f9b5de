"""The keys of a schema that say how times are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from dien.data.features import TIME_SINCE
from dien.data.features.definition import Text
from dien.data.sources.table.strict import Strict
from dien.data.sources.table.times import TimeParser, has_year, known_format
from dien.data.times import UNITS, known_zone
from dien.errors import DataError

TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
TimeFormat = Annotated[Text, AfterValidator(known_format)]
TimeYear = Annotated[int, Field(ge=1970, le=2099)]
TimeZone = Annotated[Text, AfterValidator(known_zone)]


class Order(Strict):
    """The time of a log that has none: its rows stand in order."""

    order: Literal["file"]


def _as_time(given: Any) -> Any:
    if isinstance(given, Mapping):
        if dict(given) != {"order": "file"}:
            raise ValueError("expected a column, several as [date, hour], or {order: file}")
        return Order(order="file")
    if isinstance(given, list | tuple):
        if not given or not all(isinstance(column, str) and column for column in given):
            raise ValueError("expected columns that are joined, as [date, hour]")
        return tuple(given)
    if not isinstance(given, str | Order) or not given:
        raise ValueError("expected a column, several as [date, hour], or {order: file}")
    return given


TimeColumns = Annotated[Text | tuple[Text, ...] | Order, BeforeValidator(_as_time)]


def columns_of(time: str | tuple[str, ...] | Order) -> tuple[str, ...]:
    """List the columns that hold the time; none where there is an order alone."""
    if isinstance(time, Order):
        return ()
    return (time,) if isinstance(time, str) else time


def check_times(part: Any) -> None:
    """Check that the keys of interactions or behaviours go together.

    Raises:
        ValueError: two exclude each other.
    """
    if part.time_format is not None and part.time_unit is not None:
        raise ValueError("time_format and time_unit exclude each other; leave time_unit out")
    if not isinstance(part.time, str | Order | None) and part.time_unit in UNITS and len(part.time) > 2:
        raise ValueError(
            "time_unit of several columns is of the second of two, which counts from the start of the day; "
            "name two, as time: [date, timeframe], or leave time_unit out"
        )
    yearless = part.time_format is not None and not has_year(part.time_format)
    if yearless and part.time_year is None:
        raise ValueError(
            f'time_format {part.time_format!r} has no year (%Y or %y); add it, as "%d.%m.%Y %H:%M", or set '
            "time_year, as 2014, where all times are of one year"
        )
    if part.time_year is not None and not yearless:
        raise ValueError('time_year is of a time_format that has no year, as "%m%d"; leave time_year out')
    for key in "time_unit", "time_format", "time_zone":
        if isinstance(part.time, Order) and getattr(part, key) is not None:
            raise ValueError(f"{key} is of times, and time is {{order: file}}; leave {key} out")


def parser_of(roles: Any, own: Any = None) -> TimeParser:
    """Make the parser of the times of the interactions, or of a log of behaviours of its own.

    Args:
        roles: the keys of the interactions.
        own: those of the behaviours: where they name no column of times, what they do not say is as in the
            interactions. None for the interactions.

    Raises:
        DataError: two keys exclude each other.
    """
    try:
        check_times(roles)
    except ValueError as error:  # an option of the command line may have changed it
        raise DataError(f"interactions: {error}") from None
    if own is None:
        return times_of(roles, "interactions")
    if own.time is not None:
        return times_of(own, "behaviours")
    said = own if own.time_unit is not None or own.time_format is not None else roles
    return TimeParser(
        said.time_unit,
        format=said.time_format,
        year=said.time_year,
        zone=own.time_zone or roles.time_zone,
        columns=columns_of(roles.time),
        key="behaviours",
    )


def times_of(part: Any, key: str) -> TimeParser:
    """Make the parser of the times of a table that says all of them itself.

    Args:
        part: its keys.
        key: its name in the schema.
    """
    return TimeParser(
        part.time_unit,
        format=part.time_format,
        year=part.time_year,
        zone=part.time_zone,
        columns=columns_of(part.time),
        key=key,
    )


def expect_clock(spec: Any, behaviours: bool) -> None:
    """Refuse what needs times, where the interactions have an order alone.

    Args:
        spec: the schema.
        behaviours: whether there is a log of behaviours of its own.

    Raises:
        DataError: naming it.
    """
    history = spec.interactions.history
    for table in "items", "users":
        if getattr(spec, table).time is None:
            continue
        if isinstance(spec.interactions.time, Order):
            raise DataError(
                f"{table}.time says from when on a row holds, and interactions.time is {{order: file}}, "
                f"which tells no time; name a column of times there, or leave {table}.time out"
            )
        if history is not None and history.time is None and table == "items":
            raise DataError(
                "items.time says from when on a row holds, and what stands in histories has no time; name "
                "its column (interactions.history.time), or leave items.time out"
            )
    if not isinstance(spec.interactions.time, Order):
        return
    only = "interactions.time is {order: file}"
    if behaviours:
        raise DataError(
            f"{only}: a log of behaviours of its own has another order; give both times, or leave "
            "--behaviours out"
        )
    for side, name, feature in spec.features.named():
        if name == TIME_SINCE or feature.timed is not None:
            raise DataError(f"features.{side}.{name}: needs times, and {only}; take it out of the schema")
