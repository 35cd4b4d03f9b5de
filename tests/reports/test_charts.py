import math

import pytest

from dien.data.inspection.distribution import Distribution
from dien.reports.charts import MOST_POINTS, Curve, Interval, histogram, intervals, legend, line_chart
from dien.reports.rendering import report
from tests.reports.pages import NAME, Page


def test_every_replicate_is_drawn_and_their_mean_as_far_as_all_go() -> None:
    curve = Curve("a", [[(1, 0.0), (2, 1.0), (3, 1.0)], [(1, 1.0), (2, 1.0)]])
    chart = line_chart("t", [curve], "step")
    assert chart is not None
    (drawn,) = chart.data["curves"]
    assert [len(line) for line in drawn["lines"]] == [3, 2]
    assert drawn["mean"] == [(1, 0.5), (2, 1.0)]
    assert chart.table is not None
    assert chart.table.rows == [["1", "0.5"], ["2", "1"]]


def test_a_long_curve_is_thinned_to_means() -> None:
    line = [(k, math.sin(k)) for k in range(10 * MOST_POINTS)]
    chart = line_chart("t", [Curve("a", [line])], "step")
    assert chart is not None
    mean = chart.data["curves"][0]["mean"]
    assert len(mean) == MOST_POINTS
    assert mean[0] == (4.5, pytest.approx(sum(y for _, y in line[:10]) / 10))


def test_points_that_are_not_finite_and_empty_curves_are_left_out() -> None:
    assert line_chart("t", [Curve("a", [[(1, math.nan), (2, math.inf)], []])], "step") is None
    chart = line_chart("t", [Curve("a", [[(1, math.nan), (2, 0.5)]]), Curve("b", [])], "epoch")
    assert chart is not None
    assert [(curve["name"], curve["lines"]) for curve in chart.data["curves"]] == [("a", [[(2, 0.5)]])]


def test_an_interval_has_its_ends_in_the_chart_in_words_and_in_a_table() -> None:
    chart = intervals("t", [Interval("a", 0.2, 0.1, 0.4), Interval("b", 0.3, None, None)], zero=True)
    assert chart is not None
    assert chart.data["zero"]
    assert (chart.data["lows"], chart.data["highs"]) == ([0.1, None], [0.4, None])
    assert chart.description == "t: a 0.2000 (0.1000 to 0.4000); b 0.3000"
    assert chart.table is not None
    assert chart.table.rows == [["a", "0.2000", "0.1000", "0.4000"], ["b", "0.3000", None, None]]
    assert intervals("t", []) is None


def test_names_are_text_in_every_chart() -> None:
    curve = Curve(NAME, [[(1, 1.0), (2, 2.0)]])
    charts = [
        line_chart(NAME, [curve], NAME),
        legend([curve]),
        intervals(NAME, [Interval(NAME, 1, 0, 2)]),
        histogram(NAME, Distribution(3, 1.0, {}, (0, 1), (1, 2))),
    ]
    text = report(NAME, [chart for chart in charts if chart is not None])
    assert NAME not in text
    page = Page(text)
    assert [kind for kind, _ in page.charts] == ["lines", "legend", "intervals", "histogram"]
    assert page.charts[0][1]["curves"][0]["name"] == NAME
    assert len(page.scripts) == 1
    assert "b" not in {tag for tag, _ in page.tags}
