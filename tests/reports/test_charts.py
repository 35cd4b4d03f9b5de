import math
import re

import pytest

from dien.reports.charts import MOST_POINTS, Curve, Interval, hues, intervals, legend, line_chart

NAME = '<b>&"'


def lines_of(chart: str, kind: str) -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]
        for points in re.findall(rf'<polyline class="{kind}"[^>]* points="([^"]*)"', chart)
    ]


def test_every_replicate_is_drawn_and_their_mean_as_far_as_all_go() -> None:
    curve = Curve("a", [[(1, 0.0), (2, 1.0), (3, 1.0)], [(1, 1.0), (2, 1.0)]])
    chart = line_chart("t", [curve], "step")
    one, other = lines_of(chart, "one")
    (mean,) = lines_of(chart, "mean")
    assert (len(one), len(other), len(mean)) == (3, 2, 2)
    assert mean[0][1] == pytest.approx((one[0][1] + other[0][1]) / 2)
    assert one[0][1] > other[0][1]  # SVG counts from above
    assert mean[1] == one[1] == other[1]


def test_a_long_curve_is_thinned_to_means_and_stays_within_the_chart() -> None:
    chart = line_chart("t", [Curve("a", [[(k, math.sin(k)) for k in range(10 * MOST_POINTS)]])], "step")
    (mean,) = lines_of(chart, "mean")
    assert len(mean) == MOST_POINTS
    assert all(0 <= x <= 380 and 0 <= y <= 200 for x, y in mean)


def test_points_that_are_not_finite_and_empty_curves_are_left_out() -> None:
    assert line_chart("t", [Curve("a", [[(1, math.nan), (2, math.inf)], []])], "step") == ""
    chart = line_chart("t", [Curve("a", [[(1, math.nan), (2, 0.5)]]), Curve("b", [])], "epoch")
    assert "nan" not in chart
    assert ">epoch</text>" in chart
    assert chart.count("<circle") == 1  # a single point is seen


def test_an_interval_spans_its_ends_and_zero_is_on_the_scale_where_asked_for() -> None:
    chart = intervals("t", [Interval("a", 0.2, 0.1, 0.4), Interval("b", 0.3, None, None)], zero=True)
    ((low, high),) = [
        (float(low), float(high))
        for low, high in re.findall(r'class="whisker" x1="([\d.]+)" x2="([\d.]+)"', chart)
    ]
    a, b = (float(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', chart))
    assert (a - low) / (high - a) == pytest.approx(0.5, abs=0.01)
    assert low < a < b < high
    assert ">0</text>" in chart
    assert intervals("t", []) == ""


def test_names_are_escaped_in_every_chart() -> None:
    curve = Curve(NAME, [[(1, 1.0), (2, 2.0)]])
    for chart in (
        line_chart(NAME, [curve], "step"),
        legend([curve]),
        intervals(NAME, [Interval(NAME, 1, 0, 2)]),
    ):
        assert NAME not in chart
        assert "&lt;b&gt;&amp;" in chart


def test_every_curve_has_a_colour_of_its_own() -> None:
    assert len(set(hues(11))) == 11
