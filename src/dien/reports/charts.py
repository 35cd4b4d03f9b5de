"""Charts of reports: curves of training, means with their confidence intervals, histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dien.data.inspection.distribution import Distribution
from dien.reports.parts import Chart, Table, percent

Points = Sequence[tuple[float, float]]
MOST_POINTS = 200


@dataclass(frozen=True)
class Curve:
    """One curve, with the lines it is the mean of.

    Attributes:
        name: what the legend calls it, as a model.
        lines: the points ``(x, y)`` of each replicate, as each seed.
        hue: which of the page's colours it has; None for the dashed grey of what is compared with.
    """

    name: str
    lines: Sequence[Points]
    hue: int | None = 0


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


def line_chart(title: str, curves: Sequence[Curve], across: str, colours: int = 1) -> Chart | None:
    """Draw curves: thin for each replicate, bold for their mean as far as all of them go.

    Args:
        title: of the chart.
        curves: what to draw; points that are not finite, as the loss of a run that diverged, are left out.
        across: what x counts, as ``epoch``; the label of the axis.
        colours: how many colours the page has, so that a curve has the same one in each chart.

    Returns:
        The chart; None where there is nothing to draw.
    """
    finite = [(curve, [[p for p in line if math.isfinite(p[1])] for line in curve.lines]) for curve in curves]
    longest = max((len(line) for _, lines in finite for line in lines), default=0)
    stride = -(-longest // MOST_POINTS) or 1  # the same for all lines: their mean is taken point by point
    shown = [(curve, [_thinned(line, stride) for line in lines if line]) for curve, lines in finite]
    shown = [(curve, lines) for curve, lines in shown if lines]
    if not shown:
        return None
    means = [_mean(lines) for _, lines in shown]
    drawn = [
        {"name": curve.name, "hue": curve.hue, "lines": lines, "mean": mean}
        for (curve, lines), mean in zip(shown, means, strict=True)
    ]
    ends = "; ".join(
        f"{curve.name} from {mean[0][1]:.4g} to {mean[-1][1]:.4g}"
        for (curve, _), mean in zip(shown, means, strict=True)
    )
    return Chart(
        "lines",
        f"{title}, by {across}",
        {"across": across, "colours": colours, "curves": drawn},
        f"{title}, by {across}: {ends}",
        _means_table(across, [curve.name for curve, _ in shown], means),
    )


def legend(curves: Sequence[Curve]) -> Chart:
    """Make a legend: the colour, the dashes and the name of each curve."""
    names = [curve.name for curve in curves]
    data = {"names": names, "hues": [curve.hue for curve in curves], "colours": colours_of(curves)}
    return Chart("legend", "", data, "", None)


def colours_of(curves: Sequence[Curve]) -> int:
    """Count the colours that curves need."""
    return max((curve.hue + 1 for curve in curves if curve.hue is not None), default=1)


def intervals(title: str, figures: Sequence[Interval], zero: bool = False) -> Chart | None:
    """Draw means under each other, each with its confidence interval.

    Args:
        title: of the chart.
        figures: what to draw.
        zero: whether the scale includes 0.

    Returns:
        The chart; None where there is nothing to draw.
    """
    if not figures:
        return None
    data = {
        "zero": zero,
        "names": [figure.name for figure in figures],
        "means": [figure.mean for figure in figures],
        "lows": [figure.low for figure in figures],
        "highs": [figure.high for figure in figures],
    }
    ends = [[None if end is None else f"{end:.4f}" for end in (f.mean, f.low, f.high)] for f in figures]
    said = "; ".join(
        f"{figure.name} {mean}" + ("" if low is None or high is None else f" ({low} to {high})")
        for figure, (mean, low, high) in zip(figures, ends, strict=True)
    )
    table = Table(
        ["", "mean", "low", "high"], [[f.name, *found] for f, found in zip(figures, ends, strict=True)]
    )
    return Chart("intervals", title, data, f"{title}: {said}", table)


def histogram(title: str, numbers: Distribution) -> Chart:
    """Draw a distribution, a bar for each bin."""
    names = [f"{edge:,}" if edge < 2 else f"{edge:,} to {2 * edge - 1:,}" for edge in numbers.edges]
    note = "none" if numbers.mean is None else f"{numbers.count:,}, mean {numbers.mean:,.1f}"
    data = {"bins": [_short(edge) for edge in numbers.edges], "names": names, "counts": numbers.counts}
    most = max(range(len(names)), key=lambda k: numbers.counts[k], default=None)
    said = f"{title} ({note})"
    if most is not None:
        said += f"; most often {names[most]}: {percent(numbers.counts[most] / numbers.count)}"
    table = Table(
        [title, "count", "share"],
        [
            [name, count, percent(count / numbers.count)]
            for name, count in zip(names, numbers.counts, strict=True)
        ],
    )
    return Chart("histogram", f"{title} ({note})", data, said, table)


def _means_table(across: str, names: Sequence[str], means: Sequence[Points]) -> Table:
    """Set the mean of each curve beside each other, a row for each x that any of them has."""
    of = [dict(mean) for mean in means]
    return Table(
        [across, *names],
        [
            [f"{x:.4g}", *(f"{found[x]:.5g}" if x in found else None for found in of)]
            for x in sorted({x for found in of for x in found})
        ],
    )


def _thinned(line: Points, stride: int) -> list[tuple[float, float]]:
    """Replace each ``stride`` neighbouring points of a line by their mean."""
    return [_centre(line[k : k + stride]) for k in range(0, len(line), stride)]


def _mean(lines: Sequence[Points]) -> list[tuple[float, float]]:
    return [_centre(points) for points in zip(*lines, strict=False)]


def _centre(points: Points) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _short(edge: int) -> str:
    """Shorten the label of a bin: 1,024 is 1k."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if edge >= size:
            return f"{edge // size}{letter}"
    return str(edge)
