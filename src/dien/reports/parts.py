"""The parts that a report is made of: headings, tables, charts. Templates escape every text in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Cell = str | int | float | None | tuple[str, str]
"""A number, None (a dash), a text, or a text with its CSS class: ``some`` and ``much`` are coloured."""


@dataclass(frozen=True)
class Heading:
    """The heading of a section.

    Attributes:
        text: what it says.
    """

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph.

    Attributes:
        text: what it says.
    """

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Bullets:
    """A bulleted list.

    Attributes:
        texts: what each bullet says.
    """

    kind: ClassVar[str] = "bullets"
    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: names of the columns.
        rows: the cells of each row.
        names: number of columns, from the left, that hold names; the others hold numbers, aligned right.
    """

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    names: int = 1


@dataclass(frozen=True)
class Chart:
    """A chart, drawn in the page by ``static/report.js``.

    Attributes:
        drawing: kind of the chart: a key of ``KINDS`` in ``frontend/src/entries/report.js``.
        title: stands above it.
        data: what that kind's module takes, its ``title`` left out; NaN and infinities become null.
        description: what a screen reader says of it.
        table: the same numbers, for who cannot see the chart; None where it has none of its own.
    """

    kind: ClassVar[str] = "chart"
    drawing: str
    title: str
    data: Mapping[str, Any]
    description: str
    table: Table | None


@dataclass(frozen=True)
class Row:
    """Parts side by side where there is room.

    Attributes:
        parts: from the left.
    """

    kind: ClassVar[str] = "row"
    parts: Sequence[Part]


Part = Heading | Paragraph | Bullets | Table | Chart | Row


def section(text: str, *notes: str) -> Iterable[Part]:
    """Make the heading of a section, with paragraphs under it."""
    yield Heading(text)
    for note in notes:
        yield Paragraph(note)


def has_charts(parts: Iterable[Part]) -> bool:
    """Say whether any part is a chart."""
    return any(
        isinstance(part, Chart) or (isinstance(part, Row) and has_charts(part.parts)) for part in parts
    )


def percent(fraction: float | None) -> str | None:
    """Write a fraction as a percentage."""
    return None if fraction is None else f"{fraction:.1%}".replace("%", " %")


def decimals(number: float | None) -> str | None:
    """Write a number with three decimals."""
    return None if number is None else f"{number:,.3f}"
