"""Expected and observed clicks by tenths: a table of all runs, a line for each."""

from dataclasses import replace

from msgspec import structs

from dien.reports.reliability import reliability
from dien.reports.rendering import report
from dien.training.probabilities import Decile
from tests.reports.comparisons import comparison, run
from tests.reports.pages import Page


def tenths(model: str, seed: int, *found: tuple[float, float]):  # type: ignore[no-untyped-def]
    """A run whose tenths have these mean scores and shares of clicks."""
    one = run(model, seed, 0.7)
    deciles = [Decile(10, mean, rate, mean / rate if rate else None) for mean, rate in found]
    return structs.replace(one, test=replace(one.test, deciles=deciles))


def test_a_comparison_of_an_earlier_version_has_no_such_section() -> None:
    assert list(reliability(comparison(["din"], [run("din", 0, 0.7)]))) == []


def test_the_table_has_expected_over_observed_clicks_of_the_runs_with_every_tenth() -> None:
    runs = [
        tenths("din", 0, (0.1, 0.2), (0.5, 0.4)),
        tenths("din", 1, (0.3, 0.2), (0.5, 0.6)),
        tenths("din", 2, (0.9, 0.1)),
        tenths("dien", 0, (0.2, 0.0), (0.6, 0.8)),
    ]
    parts = list(reliability(comparison(["din", "dien", "pnn"], runs)))
    (chart, table) = parts[-1].parts
    assert Page(report("t", [table])).rows == [
        ["model", "1", "2"],
        ["din", "1.000", "1.000"],
        ["dien", "\u2013", "0.750"],
        ["pnn", "\u2013", "\u2013"],
    ]
    lines = [len(curve["lines"]) for curve in chart.data["curves"]]
    assert lines == [3, 1, 1]  # of two models, and as many as expected
