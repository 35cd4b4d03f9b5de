"""The parts of an HTML page: headings, tables, histograms; light or dark as the reader's screen is.

A page is one file that loads nothing else. Every text is escaped here: callers pass names as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from dien.data.inspection.distribution import Distribution

Cell = str | int | float | None | tuple[str, str]
"""A number, None (a dash), a text, or a text with its CSS class: ``some`` and ``much`` are coloured."""

_STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --dim: #5d6878; --page: #fbfbfa; --line: #e0e2e6;
  --bar: #3f74b5; --some: #fbe7b2; --much: #f7c6bd; --on: #2b1d05; }
@media (prefers-color-scheme: dark) { :root { --text: #dfe4ea; --dim: #95a0ae; --page: #15181d;
  --line: #2f353d; --bar: #76a7e3; --some: #6a5313; --much: #7c2f25; --on: #fff3e0; } }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 68rem; color: var(--text);
  background: var(--page); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.6rem 0 .4rem; font-size: 1.15rem; }
p { margin: .3rem 0 .8rem; max-width: 48rem; color: var(--dim); overflow-wrap: anywhere; }
ul { margin: .4rem 0; padding-left: 1.2rem; max-width: 52rem; }
li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .8rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th { color: var(--dim); font-weight: 600; vertical-align: bottom; }
.left { text-align: left; max-width: 24rem; white-space: normal; overflow-wrap: break-word; }
th:first-child, td:first-child { padding-left: 0; }
.some { background: var(--some); color: var(--on); }
.much { background: var(--much); color: var(--on); font-weight: 600; }
.row { display: flex; flex-wrap: wrap; gap: 1.2rem 2rem; }
figure { margin: .6rem 0; }
figcaption { font-size: .85rem; color: var(--dim); }
svg { display: block; }
svg rect { fill: var(--bar); }
svg line { stroke: var(--line); }
svg text { fill: var(--dim); font: 11px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  text-anchor: middle; }
svg text.start { text-anchor: start; }
svg text.end { text-anchor: end; }
svg polyline { fill: none; stroke-width: 2; }
svg polyline.one { stroke-width: 1; opacity: .35; }
svg .whisker { stroke: var(--bar); stroke-width: 2; }
svg .dot { fill: var(--bar); }
.row span svg { display: inline-block; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """Make a page of parts, which are HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def heading(text: str, *notes: str) -> str:
    """Make the heading of a section, with paragraphs under it."""
    return f"<h2>{escape(text)}</h2>" + "".join(paragraph(note) for note in notes)


def paragraph(text: str) -> str:
    """Make a paragraph."""
    return f"<p>{escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Make a bulleted list."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], names: int = 1) -> str:
    """Make a table.

    Args:
        head: names of the columns.
        rows: the cells of each row.
        names: number of columns, from the left, that hold names; the others hold numbers, aligned right.
    """
    left = [' class="left"' if k < names else "" for k in range(len(head))]
    top = "".join(f"<th{how}>{escape(text)}</th>" for text, how in zip(head, left, strict=True))
    body = "".join(
        "<tr>" + "".join(_cell(cell, how) for cell, how in zip(row, left, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def percent(fraction: float | None) -> str | None:
    """Write a fraction as a percentage."""
    return None if fraction is None else f"{fraction:.1%}".replace("%", " %")


def decimals(number: float | None) -> str | None:
    """Write a number with three decimals."""
    return None if number is None else f"{number:,.3f}"


def histogram(title: str, numbers: Distribution) -> str:
    """Draw a distribution, a bar for each bin."""
    width, height, step = 44, 110, 34
    total = max(width, step * len(numbers.counts))
    most = max(numbers.counts, default=1)
    drawn = []
    for k, (edge, count) in enumerate(zip(numbers.edges, numbers.counts, strict=True)):
        tall = height * count / most
        tall = max(tall, 1.0) if count else 0.0  # a bin that is not empty is visible
        bin_name = f"{edge:,}" if edge < 2 else f"{edge:,} to {2 * edge - 1:,}"
        drawn.append(
            f'<rect x="{k * step + 2}" y="{height - tall:.1f}" width="{step - 4}" height="{tall:.1f}">'
            f"<title>{bin_name}: {count:,} ({count / numbers.count:.1%})</title></rect>"
            f'<text x="{k * step + step / 2:.0f}" y="{height + 15}">{_short(edge)}</text>'
        )
    note = f"{numbers.count:,}, mean {numbers.mean:,.1f}" if numbers.mean is not None else "none"
    return (
        f"<figure><figcaption>{escape(title)} ({note})</figcaption>"
        f'<svg role="img" aria-label="{escape(title)}" width="{total}" height="{height + 20}" '
        f'viewBox="0 0 {total} {height + 20}"><line x1="0" x2="{total}" y1="{height}" y2="{height}"/>'
        + "".join(drawn)
        + "</svg></figure>"
    )


def side_by_side(figures: Iterable[str]) -> str:
    """Put figures side by side where there is room."""
    return '<div class="row">' + "".join(figures) + "</div>"


def _cell(cell: Cell, how: str) -> str:
    if isinstance(cell, tuple):
        text, mark = cell
        return f'<td class="{escape(mark)}">{escape(text)}</td>'
    if cell is None:
        text = "&ndash;"
    elif isinstance(cell, str):
        text = escape(cell)
    else:
        text = f"{cell:,}" if isinstance(cell, int) else f"{cell:,.3f}"
    return f"<td{how}>{text}</td>"


def _short(edge: int) -> str:
    """Shorten the label of a bin: 1,024 is 1k."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if edge >= size:
            return f"{edge // size}{letter}"
    return str(edge)
