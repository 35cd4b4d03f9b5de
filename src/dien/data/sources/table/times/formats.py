"""``time_format``: how text writes a time, in the directives of C and Python, as ``%d.%m.%Y %H:%M``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import polars as pl

from dien.data.sources.table.times.spellings import MONTH, ZONE, civil

_DIRECTIVES = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>1[0-2]|0?[1-9])",
    "b": rf"(?P<b>{MONTH})",
    "B": rf"(?P<b>{MONTH})",
    "d": r"(?P<d>3[01]|[12][0-9]|0?[1-9])",
    "a": "[A-Za-z]+",
    "A": "[A-Za-z]+",
    "H": r"(?P<H>2[0-3]|[01]?[0-9])",
    "I": r"(?P<H>1[0-2]|0?[1-9])",
    "M": r"(?P<M>[0-5]?[0-9])",
    "S": r"(?P<S>[0-5]?[0-9])",
    "f": r"[0-9]{1,9}",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "z": rf"(?P<z>{ZONE})",
    "%": "%",
}
"""Patterns by directive; their groups are those of :mod:`spellings`."""
_TWO_DIGITS = "mdHIMS"
"""Digits with others at their side are two: 2024111 is refused rather than read as one of two days."""
_TOLD_BY = 10_000  # rows


@lru_cache(64)
def pattern_of(format: str) -> str:
    """Make the pattern of a format.

    Raises:
        ValueError: a directive is unknown, twice there or lacks another one, or the format makes no date.
    """
    pieces = re.findall(r"%.?|[^%]+", format, re.DOTALL)
    names = [piece[1:] for piece in pieces if piece[0] == "%"]
    if unknown := [name for name in names if name not in _DIRECTIVES]:
        expected = ", ".join(f"%{name}" for name in _DIRECTIVES)
        mend = "; write the offset as %z: a name as CET is not certain" if unknown[0] == "Z" else ""
        raise ValueError(f"%{unknown[0]} cannot be read; expected {expected}{mend}")
    for group in ("Y", "y"), ("m", "b", "B"), ("d",), ("H", "I"), ("M",), ("S",), ("p",), ("z",), ("f",):
        if sum(name in group for name in names) > 1:
            raise ValueError(f"expected one of {' and '.join('%' + name for name in group)}, once")
    for needed in "Yy", "mbB", "d":
        if not set(needed) & set(names):
            raise ValueError(
                f'expected a date: no {" or ".join("%" + n for n in needed)}; as "%d.%m.%Y %H:%M"'
            )
    for name, needs in (("I", "p"), ("p", "I"), ("M", "HI"), ("S", "M"), ("f", "S")):
        if name in names and not set(needs) & set(names):
            raise ValueError(f"%{name} goes with {' or '.join('%' + other for other in needs)}; add it")
    return "^" + "".join(_pieces(pieces)) + "$"


def _pieces(pieces: list[str]) -> Iterator[str]:
    """Make the patterns of directives and of what is between them."""
    digits = [piece[0] == "%" and piece[1:] in "YyfmdHIMS" for piece in pieces]
    for index, piece in enumerate(pieces):
        if piece[0] == "%":
            beside = any(digits[max(0, index - 1) : index] + digits[index + 1 : index + 2])
            pattern = _DIRECTIVES[piece[1:]]
            yield (
                pattern.replace("0?", "0").replace("[01]?", "[01]").replace("[0-5]?", "[0-5]")
                if (beside and piece[1:] in _TWO_DIGITS)
                else pattern
            )
        else:
            yield re.sub(r"\s+", " +", re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", piece))


def known_format(format: str) -> str:
    """Check a format of a schema; it may lack the year, which ``time_year`` says then.

    Raises:
        ValueError: as :func:`pattern_of`.
    """
    pattern_of(format if has_year(format) else dated(format))
    return format


def has_year(format: str) -> bool:
    """Whether a format has a year."""
    return bool({"%Y", "%y"} & set(re.findall(r"%.?", format)))


def dated(format: str) -> str:
    """Put the year before a format that has none: right before digits alone, as in ``%Y%m%d``."""
    return f"%Y{'' if width_of(format) is not None else ' '}{format}"


def undated(format: str) -> str:
    """Take off what :func:`dated` has put before a format."""
    return format.removeprefix("%Y").removeprefix(" ")


def year_before(format: str, year: int) -> str:
    """Write a year as :func:`dated` has put it before a format."""
    return f"{year}{format.removeprefix('%Y').removesuffix(undated(format))}"


@lru_cache(64)
def width_of(format: str) -> int | None:
    """Count the digits of a format that has nothing else; None of others."""
    pieces = re.findall(r"%.?|[^%]+", format)
    digits = [4 if piece == "%Y" else 2 for piece in pieces if piece[0] == "%" and piece[1:] in "YymdHIMS"]
    return sum(digits) if len(digits) == len(pieces) else None


def suggested(text: pl.Series, value: str) -> list[str]:
    """List the formats that read a value and the first rows of its column; empty where none is known.

    Args:
        text: the column ``[n]``.
        value: that nothing reads for certain, as 01/02/2024.
    """
    split = re.match(r"^(\d{1,4})([-/. ])(\d{1,2})\2(\d{1,4})(\D.*)?$", value)
    if split is None:
        return []
    first, between, _, last, rest = split.groups()
    orders: tuple[str, ...] = ("%Y %m %d",) if len(first) == 4 else ("%d %m %Y", "%m %d %Y")
    if len(first) <= 2 and len(last) == 2:
        orders = "%d %m %y", "%m %d %y", "%y %m %d"
    clocks: tuple[str, ...] = (
        ("",) if rest is None else ("%H", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
    )
    clocks += tuple(f"{clock} %z" for clock in clocks if clock)
    gap = re.match(r"\W*", rest or "").group()  # type: ignore[union-attr]  # of nothing, too
    rows = text.drop_nulls().head(_TOLD_BY)
    found = []
    for order, clock in product(orders, clocks):
        format = order.replace(" ", between) + (gap + clock if clock else "")
        if not civil(rows, pattern_of(format)).local.null_count():
            found.append(format)
    return found


def advice(formats: list[str], key: str) -> str:
    """Say which format to write into the schema."""
    if len(formats) == 1:
        return f'set {key}.time_format: "{formats[0]}", the only order that fits the first rows'
    return f"set {key}.time_format to {' or '.join(map(_with_order, formats))}, whichever it is"


def _with_order(format: str) -> str:
    first = {"d": "day", "m": "month", "y": "year", "Y": "year"}[format[1]]
    return f'"{format}" ({first} first)'
