"""How far the scores of compared models are probabilities: expected and observed clicks by tenths of them."""

from __future__ import annotations

from collections.abc import Iterator

from dien.reports.charts import Curve, legend, line_chart
from dien.reports.parts import Cell, Part, Row, Table, section
from dien.training.comparison import Comparison, DoneRun


def reliability(comparison: Comparison) -> Iterator[Part]:
    """Set expected over observed clicks of each tenth of the test rows beside a plot; nothing without any."""
    of_runs = {
        model: [
            run.test.deciles
            for run in comparison.runs
            if isinstance(run, DoneRun) and run.model == model and run.test.deciles
        ]
        for model in comparison.models
    }
    most = max((len(tenths) for runs in of_runs.values() for tenths in runs), default=0)
    if not most:
        return
    yield from section(
        "Probabilities",
        "Test rows by tenths of their score, from the lowest up. The table has expected over observed "
        "clicks, of all runs together that have every tenth: 1 is right. In the plot, which has a line for "
        "each run and bold their mean, the share that was clicked rises with the mean score; it is as high "
        "as that where scores are probabilities.",
    )
    rows: list[list[Cell]] = []
    for model, runs in of_runs.items():
        row: list[Cell] = [model]
        for tenth in range(most):
            whole = [tenths[tenth] for tenths in runs if len(tenths) == most]
            expected = sum(one.mean_score * one.rows for one in whole)
            observed = sum(one.click_rate * one.rows for one in whole)
            row.append(expected / observed if observed else None)
        rows.append(row)
    curves = [
        Curve(model, [[(one.mean_score, one.click_rate) for one in tenths] for tenths in runs], hue)
        for hue, (model, runs) in enumerate(of_runs.items())
    ]
    scores = [x for curve in curves for line in curve.lines for x, _ in line]
    right = [(min(scores), min(scores)), (max(scores), max(scores))]
    curves.append(Curve("as many as expected", [right], None))
    yield legend(curves)
    plot = line_chart("share clicked", curves, "mean score of a tenth", len(of_runs))
    tenths_table = Table(["model", *map(str, range(1, most + 1))], rows)
    yield Row([part for part in (plot, tenths_table) if part])
