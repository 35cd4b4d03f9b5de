"""The report on a comparison of models: Markdown, and one HTML file with learning curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dien.files import write_text
from dien.reports.charts import Curve, Interval, intervals, legend, line_chart
from dien.reports.comparison_csv import differences_csv, models_csv, runs_csv
from dien.reports.comparison_notes import best_is_tested, notes
from dien.reports.parts import Bullets, Cell, Chart, Part, Row, Table, section
from dien.reports.reliability import reliability
from dien.reports.rendering import report
from dien.training.comparison import Comparison, Curves, Difference, DoneRun, Spread
from dien.training.metrics import METRICS, OF_CONVERSIONS


def write_reports(comparison: Comparison, curves: Curves, folder: Path) -> None:
    """Write ``table.md``, ``table.csv``, ``runs.csv``, ``pairs.csv`` and ``report.html`` into a folder.

    Raises:
        RunError: one cannot be written.
    """
    write_text(folder / "table.md", markdown(comparison))
    write_text(folder / "table.csv", models_csv(comparison))
    write_text(folder / "runs.csv", runs_csv(comparison, curves))
    write_text(folder / "pairs.csv", differences_csv(comparison))
    write_text(
        folder / "report.html", report(f"Comparison: {folder.resolve().name}", _parts(comparison, curves))
    )


def markdown(comparison: Comparison, details: bool = True) -> str:
    """Write the table in Markdown.

    Args:
        comparison: what was found.
        details: whether tables follow of the replicates, of the gains, each model over the one before it, and
            of any two.
    """
    text = _in_markdown(*_table(comparison))
    for title, head, rows in _of_conversions(comparison):
        text += f"\n{title}:\n\n" + _in_markdown(head, rows)
    text += "\n" + "".join(f"- {note}\n" for note in notes(comparison))
    if not details:
        return text
    text += "\nTest AUC of each replicate:\n\n" + _in_markdown(*_replicates(comparison))
    if comparison.differences:
        text += "\nDifferences in AUC, step by step:\n\n" + _in_markdown(*_steps(comparison))
        text += "\nDifferences in AUC, any two models, p not adjusted:\n\n"
        text += _in_markdown(*_differences(comparison))
    return text


def _parts(comparison: Comparison, curves: Curves) -> Iterator[Part]:
    yield Table(*_table(comparison))
    yield Bullets(list(notes(comparison)))
    for title, head, rows in _of_conversions(comparison):
        yield from section("Conversions", f"{title}.")
        yield Table(head, rows)
    auc = [
        Interval(found.model, found.auc.mean, found.auc.low, found.auc.high)
        for found in comparison.table
        if found.auc
    ]
    over = [
        Interval(found.model, found.over_best.mean, found.over_best.low, found.over_best.high)
        for found in comparison.table
        if found.over_best
    ]
    yield from section("Confidence", "Means with their 95 % intervals.")
    less = f"test AUC less that of {comparison.best}, paired"
    yield from _those_that_are(intervals("test AUC", auc), intervals(less, over, zero=True))
    yield from reliability(comparison)
    yield from section("Replicates", "Test AUC of each run.")
    yield Table(*_replicates(comparison))
    if comparison.differences:
        yield from section("Step by step", "What each model gains in test AUC over the one named before it.")
        yield Table(*_steps(comparison), names=2)
        yield from section(
            "Any two models",
            "Differences in test AUC over the replicates that both models have; p is not adjusted for the "
            "number of differences.",
        )
        yield Table(*_differences(comparison), names=2)
    yield from _learning(comparison.models, curves)
    yield from section("Settings", "Every key; a dash where a model has none of that name.")
    yield Table(["key", *comparison.models], list(_settings(comparison)))


def _learning(models: Sequence[str], curves: Curves) -> Iterator[Part]:
    """Draw the learning curves: what the paper shows as Figure 2, for every model."""
    hue = {model: k for k, model in enumerate(models)}

    def losses(model: str, *names: str) -> Curve:
        """Take of each record the first loss that it has."""
        lines = [
            [
                (epochs, float(next(record[name] for name in names if name in record)))
                for record, epochs in _in_epochs(records)
                if any(name in record for name in names)
            ]
            for records in curves[model]
        ]
        return Curve(model, lines, hue[model])

    def validation(model: str) -> Curve:
        lines = [
            [
                (float(record["epoch"]), float(record["valid_auc"]))
                for record in records
                if record["kind"] == "epoch" and "valid_auc" in record
            ]
            for records in curves[model]
        ]
        return Curve(model, lines, hue[model])

    yield from section(
        "Learning curves",
        "A thin line for each run, bold their mean as far as all of them went. An epoch is the same rows for "
        "every model, in more or fewer steps where batch sizes differ; a run that did not come to the end of "
        "its first has no curve. The target loss is the whole loss of a model without an auxiliary one.",
    )
    target = [losses(model, "target_loss", "loss") for model in models]
    yield legend(target)
    of = {"AUC on the validation split": list(map(validation, models)), "target loss in training": target}
    kinds = {"loss": "whole loss", "auxiliary_loss": "auxiliary loss"}
    alone = {f"{model}: {said}": [losses(model, name)] for model in models for name, said in kinds.items()}
    for charts in (of, alone):
        drawn = (line_chart(title, shown, "epoch", len(models)) for title, shown in charts.items())
        yield Row(_those_that_are(*drawn))


def _those_that_are(*charts: Chart | None) -> list[Chart]:
    """Leave out charts that have nothing to draw."""
    return [chart for chart in charts if chart is not None]


def _in_epochs(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Give each record of steps with the epochs done by then; all epochs have equally many steps."""
    for ended in records:
        if ended["kind"] == "epoch":
            steps = ended["step"] // ended["epoch"]
            yield from ((record, record["step"] / steps) for record in records if record["kind"] == "steps")
            return


def _table(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    tested = best_is_tested(comparison)
    head = ["model", "AUC", f"RelaImpr over {comparison.base}"]
    if tested:
        head += [f"AUC less that of {comparison.best}", "p"]
    head += [name for metric, name in METRICS.items() if metric != "auc"]
    head += ["parameters", "training rows/s", "scoring rows/s", "runs"]
    rows: list[list[Cell]] = []
    for found in comparison.table:
        gain = found.relative_improvement
        row: list[Cell] = [
            found.model,
            _mean_std(found.auc),
            None if gain is None else f"{100 * gain + 0.0:+.2f} %",
        ]
        if tested:
            row += _tested(found.over_best)
        row += [_mean_std(getattr(found, metric)) for metric in METRICS if metric != "auc"]
        row.append(found.parameters)
        for rate in (found.training_rows_per_second, found.scoring_rows_per_second):
            row.append(None if rate is None else round(rate))
        rows.append([*row, found.runs])
    return head, rows


def _of_conversions(comparison: Comparison) -> Iterator[tuple[str, list[str], list[list[Cell]]]]:
    """Set the metrics of the second label, where there are any, in tables of their own with their titles."""
    for part, what in OF_CONVERSIONS.items():
        rows: list[list[Cell]] = []
        for found in comparison.table:
            figures = getattr(found, part) or dict.fromkeys(METRICS)
            rows.append([found.model, *(_mean_std(figures[metric]) for metric in METRICS)])
        if any(getattr(found, part) for found in comparison.table):
            yield f"Test metrics of {what}", ["model", *METRICS.values()], rows


def _replicates(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    """Set the test AUC of each run: a row for each model, a column for each replicate."""
    aucs: dict[tuple[str, int], dict[str, float | None]] = {}
    for run in comparison.runs:
        replicate = aucs.setdefault((run.data, run.seed), {})
        replicate[run.model] = run.test.auc if isinstance(run, DoneRun) else None
    several = len(comparison.data) > 1
    head = [f"{Path(data).name}, seed {seed}" if several else f"seed {seed}" for data, seed in aucs]
    return ["model", *head], [
        [model, *(_decimals(of.get(model)) for of in aucs.values())] for model in comparison.models
    ]


def _differences(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    return ["model", "against", "difference", "p", "independent replicates"], [
        [found.model, found.over, *_tested(found), found.count] for found in comparison.differences
    ]


def _steps(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    """Set the differences of models named one after the other, as rungs of the paper's Table 4 are."""
    steps = set(zip(comparison.models[1:], comparison.models, strict=False))
    adjusted = f"p, Holm over {len(steps)} step{'s' if len(steps) > 1 else ''}"
    return ["model", "against", "difference", "p", adjusted, "independent replicates"], [
        [found.model, found.over, *_tested(found), _p(found.p_holm), found.count]
        for found in comparison.differences
        if (found.model, found.over) in steps
    ]


def _settings(comparison: Comparison) -> Iterator[list[Cell]]:
    """List each key with its value for every model."""
    of = [
        {f"{part}.{key}": value for part, keys in settings.items() for key, value in keys.items()}
        for settings in (comparison.settings[model] for model in comparison.models)
    ]
    for key in dict.fromkeys(key for settings in of for key in settings):
        if key not in ("model.name", "training.seed"):
            yield [key, *(str(settings[key]) if key in settings else None for settings in of)]


def _tested(difference: Difference | None) -> list[Cell]:
    """Write a difference with its interval, and its p value."""
    if difference is None:
        return [None, None]
    text = f"{difference.mean:+.4f}"
    if difference.low is not None:
        text += f" ({difference.low:+.4f} to {difference.high:+.4f})"
    return [text, _p(difference.p)]


def _p(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def _decimals(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _mean_std(spread: Spread | None) -> str | None:
    if spread is None:
        return None
    return f"{spread.mean:.4f}" + ("" if spread.std is None else f" ± {spread.std:.4f}")


def _in_markdown(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [[_plain(cell) for cell in row] for row in rows]
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in [list(head), rule, *lines])


def _plain(cell: Cell) -> str:
    if cell is None:
        return "-"
    text = f"{cell:,}" if isinstance(cell, int) else str(cell)
    return text.replace("|", "\\|")
