"""Fills the templates of pages: each is one file that loads nothing, with its style and script within it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dien.reports.parts import Cell, Part, has_charts


def report(title: str, parts: Iterable[Part]) -> str:
    """Make the page of a report.

    Args:
        title: its title.
        parts: what it consists of.

    Returns:
        The page as HTML.
    """
    whole = list(parts)
    return fill("report.html.j2", title=title, parts=whole, scripted=has_charts(whole))


def fill(template: str, *, title: str, scripted: bool, **values: Any) -> str:
    """Fill a template that extends ``page.html.j2``.

    Args:
        template: name of its file in ``reports/templates``.
        title: of the page.
        scripted: whether the page draws charts.
        values: what the template names; one that it names and that is not here is an error.

    Returns:
        The page as HTML, every text in it escaped.
    """
    script = static("report.js") if scripted else None
    allowed = "'none'"
    if script is not None:  # the one script that runs, whatever the texts of the page hold
        allowed = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    return (
        _templates()
        .get_template(template)
        .render(title=title, style=static("style.css"), script=script, allowed=allowed, **values)
    )


def static(name: str) -> Markup:
    """Read a built file of the front end, to stand within a page.

    Args:
        name: of a file in ``reports/static``; none of them ends the element that it stands in.
    """
    return Markup((files("dien.reports") / "static" / name).read_text(encoding="utf-8"))


def in_script(data: Mapping[str, Any] | msgspec.Struct) -> Markup:
    """Write data as JSON that can stand in a ``<script>``: nothing in it ends that, or begins a comment."""
    return Markup(msgspec.json.encode(data).decode().replace("<", "\\u003c"))


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("dien.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"shown": _shown, "in_script": in_script}
    return templates


def _shown(cell: Cell) -> str:
    """Write the cell of a table."""
    if isinstance(cell, tuple):
        return cell[0]
    if cell is None:
        return "\u2013"
    return cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.3f}"
