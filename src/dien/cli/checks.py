"""What a value on the command line may be; it is checked before any work begins."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from math import inf, isfinite
from pathlib import Path
from typing import NamedTuple, NoReturn

import typer

from dien.data.readers.text_format import is_encoding, is_separator

LARGEST = 2**63 - 1  # of a seed: what torch and numpy both take


class Names(tuple[str, ...]):
    """Names that were given in one text: of a list Typer would take several."""


class Threshold(NamedTuple):
    """A limit on a column: so much or more is clicked, less is not."""

    column: str
    limit: float


@dataclass(frozen=True)
class Moment:
    """A point in time of a log.

    Attributes:
        text: as it was given.
        value: the share of the behaviours that came before it, in (0, 1), or a date (UTC where it names no
            zone).
    """

    text: str
    value: float | datetime


VALID_FROM = Moment("0.8 (the default)", 0.8)
TEST_FROM = Moment("0.9 (the default)", 0.9)


def refuse(found: object, expected: str) -> NoReturn:
    """Refuse a value; the command line puts the option's name before the message.

    Raises:
        BadParameter: always.
    """
    raise typer.BadParameter(f"found {str(found)!r}, expected {expected}")


def whole(least: int, most: int = LARGEST, what: str = "a whole number") -> Callable[[object], int]:
    """Make the check of a whole number from ``least`` to ``most``."""
    expected = f"{what}, {least} or more" + (f", at most {most:,}" if most < LARGEST else "")

    def check(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            refuse(value, expected)
        return number if least <= number <= most else refuse(value, expected)

    return check


count = whole(1, 2**31 - 1)
at_once = whole(1, 1024)
sampled = whole(1, 10_000)
seed = whole(0)


def positive(most: float = inf) -> Callable[[object], float]:
    """Make the check of a number above 0."""
    expected = "a number above 0" + (f", at most {most:,}" if isfinite(most) else "")

    def check(value: object) -> float:
        number = _number(str(value))
        return number if number is not None and 0 < number <= most else refuse(value, expected)

    return check


def not_negative(value: object) -> float:
    """Check a number, 0 or more."""
    number = _number(str(value))
    return number if number is not None and number >= 0 else refuse(value, "a number, 0 or more")


def share(value: object) -> float:
    """Check a number above 0 and below 1."""
    number = _number(str(value))
    return number if number is not None and 0 < number < 1 else refuse(value, "a number above 0 and below 1")


def fraction(value: object) -> float:
    """Check a number from 0 to 1."""
    number = _number(str(value))
    return number if number is not None and 0 <= number <= 1 else refuse(value, "a number from 0 to 1")


def text(value: object) -> str:
    """Check that a text is not empty."""
    return str(value) if str(value).strip() else refuse(value, "a name")


def path(value: object) -> Path:
    """Check that a path is not empty, which would mean the folder that one is in, and that it is UTF-8."""
    given = str(value)
    try:
        given.encode()
    except UnicodeEncodeError:
        refuse(value, "a path in UTF-8, as the libraries that read and write files take it; rename it")
    return Path(given) if given and "\0" not in given else refuse(value, "a path")


def names(value: object) -> Names:
    """Check names with commas between them."""
    found = Names(name.strip() for name in str(value).split(","))
    return found if all(found) else refuse(value, "names with commas between, as sum-pooling,din,dien")


def separator(value: object) -> str:
    """Check what is between columns; backslash t is a tab, and backslash x01 the character of this number."""
    given = str(value).replace("\\t", "\t")
    given = re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), given)
    return given if is_separator(given) else refuse(value, "one character or more, no quote and no line end")


def encoding(value: object) -> str:
    """Check that Python knows an encoding."""
    given = str(value)
    return given if is_encoding(given) else refuse(value, "an encoding, as latin-1, gbk or utf-16")


def moment(value: object) -> Moment:
    """Check a share of the behaviours or a date."""
    given = str(value)
    share = _number(given)
    if share is not None and 0 < share < 1:
        return Moment(given, share)
    try:
        if share is not None:  # Python 3.11 and later would read 20171001 as a date
            raise ValueError
        return Moment(given, datetime.fromisoformat(given.replace("Z", "+00:00")))
    except ValueError:
        refuse(value, "a share above 0 and below 1, as 0.8, or a date, as 2017-10-01")


def threshold(value: object) -> Threshold:
    """Check a column and a number, as ``rating=4``."""
    column, _, number = str(value).rpartition("=")
    limit = _number(number)
    if not column or limit is None:
        refuse(value, "a column and a number, as rating=4")
    return Threshold(column, limit)


def expect_order(valid_from: Moment | None, test_from: Moment | None, gap: int | None = None) -> None:
    """Refuse a validation that does not begin before the test; of a share and a date the log has to tell.

    Args:
        valid_from: where validation begins, None for the default.
        test_from: where the test begins, None for the default.
        gap: seconds before both that are in no split.

    Raises:
        BadParameter: it begins later, or within the gap.
    """
    first, second = valid_from or VALID_FROM, test_from or TEST_FROM
    valid, test = first.value, second.value
    if isinstance(valid, datetime) and isinstance(test, datetime):
        between = _seconds(test) - _seconds(valid)
        late = between < (gap or 0) or between == 0
    else:
        late = isinstance(valid, float) and isinstance(test, float) and valid >= test
    if late:
        by = f" by the {gap} seconds of --gap" if gap else ""
        raise typer.BadParameter(
            f"--valid-from {first.text} is not before --test-from {second.text}{by}; set them further apart"
        )


def _number(text: str) -> float | None:
    """Read a finite number; None where the text is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _seconds(date: datetime) -> float:
    return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
