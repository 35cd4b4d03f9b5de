"""Charts as SVG within a page: curves of training, and means with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]
MOST_POINTS = 200
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _LABEL = 380, 200, 52, 24, 14


@dataclass(frozen=True)
class Curve:
    """One curve, with the lines it is the mean of.

    Attributes:
        name: what the legend calls it, as a model.
        lines: the points ``(x, y)`` of each replicate, as each seed.
        hue: its colour, in degrees of the colour circle.
    """

    name: str
    lines: Sequence[Points]
    hue: int = 212


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval.

    Attributes:
        name: what it is of, as a model.
        mean: where the dot is.
        low: lower end of the interval; None where there is none.
        high: upper end, likewise.
    """

    name: str
    mean: float
    low: float | None
    high: float | None


def hues(count: int) -> list[int]:
    """Choose ``count`` colours that differ, the first a blue."""
    return [round(212 + 360 * k / max(count, 1)) % 360 for k in range(count)]


def line_chart(title: str, curves: Sequence[Curve], across: str) -> str:
    """Draw curves: thin for each replicate, bold for their mean as far as all of them go.

    Args:
        title: of the chart.
        curves: what to draw; points that are not finite, as the loss of a run that diverged, are left out.
        across: what x counts, as ``epoch``; the label of the axis.

    Returns:
        The chart as HTML, empty where there is nothing to draw.
    """
    finite = [(curve, [[p for p in line if math.isfinite(p[1])] for line in curve.lines]) for curve in curves]
    longest = max((len(line) for _, lines in finite for line in lines), default=0)
    stride = -(-longest // MOST_POINTS) or 1  # the same for all lines: their mean is taken point by point
    shown = [(curve, [_thinned(line, stride) for line in lines if line]) for curve, lines in finite]
    shown = [(curve, lines) for curve, lines in shown if lines]
    points = [point for _, lines in shown for line in lines for point in line]
    if not points:
        return ""
    x_scale = _Scale([x for x, _ in points], _LEFT, _WIDTH - 10)
    y_scale = _Scale([y for _, y in points], _HEIGHT - _BOTTOM, 10)
    drawn = []
    for mark in y_scale.marks:
        y = y_scale(mark)
        drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{_number(mark)}</text>')
    drawn += [
        f'<text x="{x_scale(mark):.1f}" y="{_HEIGHT - 8}">{_number(mark)}</text>' for mark in x_scale.marks
    ]
    drawn.append(f'<text class="end" x="{_WIDTH - 10}" y="{_HEIGHT + _LABEL - 8}">{escape(across)}</text>')
    for curve, lines in shown:
        paths = [(line, "one") for line in lines if len(lines) > 1] + [(_mean(lines), "mean")]
        for line, kind in paths:
            at = " ".join(f"{x_scale(x):.1f},{y_scale(y):.1f}" for x, y in line)
            drawn.append(
                f'<polyline class="{kind}" stroke="{_colour(curve)}" points="{at}">'
                f"<title>{escape(curve.name)}</title></polyline>"
            )
            if len(line) == 1:  # a line of one point is invisible
                x, y = line[0]
                drawn.append(
                    f'<circle fill="{_colour(curve)}" cx="{x_scale(x):.1f}" '
                    f'cy="{y_scale(y):.1f}" r="3"><title>{escape(curve.name)}</title></circle>'
                )
    return _figure(f"{title}, by {across}", _WIDTH, _HEIGHT + _LABEL, drawn)


def legend(curves: Sequence[Curve]) -> str:
    """Make a legend: the colour and the name of each curve."""
    names = "".join(
        f'<span><svg width="12" height="12"><circle fill="{_colour(curve)}" cx="6" cy="6" r="5"/></svg> '
        f"{escape(curve.name)}</span>"
        for curve in curves
    )
    return f'<div class="row">{names}</div>'


def intervals(title: str, figures: Sequence[Interval], zero: bool = False) -> str:
    """Draw means under each other, each with its confidence interval.

    Args:
        title: of the chart.
        figures: what to draw.
        zero: whether the scale includes 0.

    Returns:
        The chart as HTML, empty where there is nothing to draw.
    """
    if not figures:
        return ""
    left, width, step = 150, 620, 24
    ends = [v for f in figures for v in (f.mean, f.low, f.high) if v is not None]
    scale = _Scale([*ends, 0.0] if zero else ends, left, width - 20)
    height = step * len(figures) + 26
    drawn = []
    for mark in scale.marks:
        x = scale(mark)
        drawn.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 24}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{height - 8}">{_number(mark)}</text>')
    for row, figure in enumerate(figures):
        y = row * step + step / 2
        drawn.append(f'<text class="end" x="{left - 12}" y="{y + 4}">{escape(figure.name)}</text>')
        text = f"{figure.mean:.4f}"
        if figure.low is not None and figure.high is not None:
            text += f" ({figure.low:.4f} to {figure.high:.4f})"
            drawn.append(
                f'<line class="whisker" x1="{scale(figure.low):.1f}" x2="{scale(figure.high):.1f}" '
                f'y1="{y}" y2="{y}"/>'
            )
        drawn.append(
            f'<circle class="dot" cx="{scale(figure.mean):.1f}" cy="{y}" r="4">'
            f"<title>{escape(text)}</title></circle>"
        )
    return _figure(title, width, height, drawn)


class _Scale:
    """Maps values to pixels, with round marks."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        if low == high:
            low, high = low - (abs(low) or 1) / 100, high + (abs(high) or 1) / 100
        self._low, self._high, self._start, self._end = low, high, start, end
        rough = (high - low) / 6
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
        if all(value == int(value) for value in values):  # epochs and steps have no halves
            step = max(step, 1.0)
        first, last = math.ceil(low / step), math.floor(high / step)
        self.marks = [k * step for k in range(first, last + 1)]

    def __call__(self, value: float) -> float:
        fraction = (value - self._low) / (self._high - self._low)
        return self._start + fraction * (self._end - self._start)


def _thinned(line: Points, stride: int) -> list[tuple[float, float]]:
    """Replace each ``stride`` neighbouring points of a line by their mean."""
    return [_centre(line[k : k + stride]) for k in range(0, len(line), stride)]


def _mean(lines: Sequence[Points]) -> list[tuple[float, float]]:
    return [_centre(points) for points in zip(*lines, strict=False)]


def _centre(points: Points) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _figure(title: str, width: int, height: int, drawn: Sequence[str]) -> str:
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg role="img" aria-label="{escape(title)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">' + "".join(drawn) + "</svg></figure>"
    )


def _colour(curve: Curve) -> str:
    return f"hsl({curve.hue} 60% 52%)"


def _number(value: float) -> str:
    """Shorten the label of a mark."""
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{round(value, 6) + 0.0:g}"
