"""The report on a comparison of models: Markdown, CSV, and one HTML file with learning curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dien.explain.charts import Curve, Interval, hues, intervals, legend, line_chart
from dien.explain.page import Cell, beside, bullets, heading, page, table
from dien.run import write_text

Comparison = Mapping[str, Any]
"""The content of ``comparison.json``."""
Curves = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
"""For each model the records of its runs' ``metrics.jsonl``."""

_METRICS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "LogLoss",
    "calibration": "calibration",
    "calibration_error": "calibration error",
}


def write_reports(comparison: Comparison, curves: Curves, folder: Path) -> None:
    """Write ``table.md``, ``table.csv`` and ``report.html`` into a folder.

    Raises:
        RunError: one cannot be written.
    """
    write_text(folder / "table.md", markdown(comparison))
    write_text(folder / "table.csv", as_csv(comparison))
    write_text(
        folder / "report.html", page(f"Comparison: {folder.resolve().name}", _parts(comparison, curves))
    )


def markdown(comparison: Comparison, pairs: bool = True) -> str:
    """Write the table in Markdown.

    Args:
        comparison: what was found.
        pairs: whether tables of the gains, each model over the one before it, and of all pairs follow.
    """
    text = _in_markdown(*_table(comparison)) + "\n" + "".join(f"- {note}\n" for note in _notes(comparison))
    if pairs and comparison["differences"]:
        text += "\nDifferences in AUC, step by step:\n\n" + _in_markdown(*_pairs(_steps(comparison)))
        text += "\nDifferences in AUC, all pairs:\n\n" + _in_markdown(*_pairs(comparison["differences"]))
    return text


def as_csv(comparison: Comparison) -> str:
    """Write a line for each model, with every figure to the last digit."""
    lines: list[dict[str, Any]] = []
    for record in comparison["table"]:
        line: dict[str, Any] = {"model": record["model"], "runs": record["runs"]}
        for metric in _METRICS:
            line |= _flat(metric, record[metric], ("mean", "std", "low", "high"))
        line["relative_improvement"] = record["relative_improvement"]
        line |= _flat("over_best", record["over_best"], ("mean", "low", "high", "p"))
        for name in ("parameters", "training_rows_per_second", "scoring_rows_per_second"):
            line[name] = record[name]
        lines.append(line)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _parts(comparison: Comparison, curves: Curves) -> Iterator[str]:
    yield table(*_table(comparison))
    yield bullets(_notes(comparison))
    auc = [
        Interval(record["model"], found["mean"], found["low"], found["high"])
        for record in comparison["table"]
        if (found := record["auc"])
    ]
    over = [
        Interval(record["model"], found["mean"], found["low"], found["high"])
        for record in comparison["table"]
        if (found := record["over_best"])
    ]
    yield heading("Confidence", "Means with their 95 % intervals.")
    yield intervals("test AUC", auc)
    yield intervals(f"test AUC less that of {comparison['best']}, paired", over, zero=True)
    if comparison["differences"]:
        yield heading("Step by step", "What each model gains in test AUC over the one named before it.")
        yield table(*_pairs(_steps(comparison)), names=2)
        yield heading("All pairs", "Differences in test AUC over the replicates that both models have.")
        yield table(*_pairs(comparison["differences"]), names=2)
    yield from _learning(comparison["models"], curves)
    yield heading("Settings", "Every key; a dash where a model has none of that name.")
    yield table(["key", *comparison["models"]], _settings(comparison))


def _learning(models: Sequence[str], curves: Curves) -> Iterator[str]:
    """Draw the learning curves: what the paper shows as Figure 2, for every model."""
    hue = dict(zip(models, hues(len(models)), strict=True))

    def curve(model: str, kind: str, across: str, *names: str) -> Curve:
        """Take of each record the first figure that it has."""
        lines = [
            [
                (float(record[across]), float(next(record[name] for name in names if name in record)))
                for record in records
                if record["kind"] == kind and any(name in record for name in names)
            ]
            for records in curves[model]
        ]
        return Curve(model, lines, hue[model])

    yield heading(
        "Learning curves",
        "A thin line for each run, bold their mean as far as all of them went. The target loss is the whole "
        "loss of a model without an auxiliary one.",
    )
    target = [curve(model, "steps", "step", "target_loss", "loss") for model in models]
    valid = [curve(model, "epoch", "epoch", "valid_auc") for model in models]
    yield legend(target)
    yield beside(
        [
            line_chart("AUC on the validation split", valid, "epoch"),
            line_chart("target loss in training", target, "step"),
        ]
    )
    losses = {"loss": "whole loss", "auxiliary_loss": "auxiliary loss"}
    yield beside(
        line_chart(f"{model}: {said}", [curve(model, "steps", "step", name)], "step")
        for model in models
        for name, said in losses.items()
    )


def _notes(comparison: Comparison) -> Iterator[str]:
    """Say how the figures came about and how far they go."""
    data, seeds = comparison["data"], comparison["seeds"]
    names = ", ".join(Path(path).name for path in data)
    replicates = len(data) * seeds
    yield (
        f"{_count(replicates, 'replicate')}: {_count(seeds, 'training seed')} on {names}."
        if len(data) == 1
        else f"{_count(replicates, 'replicate')}: {_count(seeds, 'training seed')} on each of {names}."
    )
    unlike = dict(_unlike(comparison))
    other_batches = unlike.keys() & {"batch_size", "negatives"}
    alike = "impressions" if other_batches else "impressions and negatives, in the same order"
    yield (
        f"Within a replicate every model has the same {alike}; the epoch with the best validation AUC is "
        "tested."
    )
    for key, values in unlike.items():
        each = ", ".join(f"{model} {value}" for model, value in values.items())
        yield f"Not the same for every model: training.{key} ({each})."
    for run in comparison["runs"]:
        if run["status"] != "done":
            error = str(run.get("error", "not run to its end")).partition("\n")[0]
            yield f"{run['model']}, seed {run['seed']}: {run['status']}: {error}"
    spread = "± is the sample standard deviation over replicates."
    if len(data) > 1 and seeds > 1:
        spread += " Seeds on the same DATA share its split: intervals and tests take the mean of each DATA."
    elif len(data) == 1 and seeds > 1:
        spread += " One split of the data: intervals and tests speak of seeds, not of another split."
    yield spread
    yield f"RelaImpr is over {comparison['base']}: (AUC - 0.5) / (AUC of {comparison['base']} - 0.5) - 1."
    if comparison["untested"]:
        yield f"No test: {comparison['untested']}."
    elif _has_test(comparison):
        yield (
            f"The test is a paired t test, two-sided, against {comparison['best']}, whose mean test AUC "
            "turned out highest; in brackets the 95 % confidence interval. p values are not adjusted for the "
            "number of models."
        )
    yield (
        "Rows/s are candidates on one thread, medians over runs, several of which may have run side by side: "
        "they compare models, not machines."
    )


def _table(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    tested = _has_test(comparison)
    head = ["model", "AUC", f"RelaImpr over {comparison['base']}"]
    if tested:
        head += [f"AUC less that of {comparison['best']}", "p"]
    head += [name for metric, name in _METRICS.items() if metric != "auc"]
    head += ["parameters", "training rows/s", "scoring rows/s", "runs"]
    rows: list[list[Cell]] = []
    for record in comparison["table"]:
        gain = record["relative_improvement"]
        row: list[Cell] = [
            record["model"],
            _mean_std(record["auc"]),
            None if gain is None else f"{100 * gain + 0.0:+.2f} %",
        ]
        if tested:
            row += _tested(record["over_best"])
        row += [_mean_std(record[metric]) for metric in _METRICS if metric != "auc"]
        row.append(record["parameters"])
        row += [
            None if record[rate] is None else round(record[rate])
            for rate in ("training_rows_per_second", "scoring_rows_per_second")
        ]
        rows.append([*row, record["runs"]])
    return head, rows


def _has_test(comparison: Comparison) -> bool:
    """Whether any model could be tested against the best one."""
    return any((record["over_best"] or {}).get("p") is not None for record in comparison["table"])


def _pairs(differences: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Cell]]]:
    return ["model", "against", "difference", "p", "independent replicates"], [
        [pair["model"], pair["over"], *_tested(pair), pair["count"]] for pair in differences
    ]


def _steps(comparison: Comparison) -> list[Mapping[str, Any]]:
    """Differences of models that are named one after the other, as rungs of the paper's Table 4 are."""
    after = set(zip(comparison["models"][1:], comparison["models"], strict=False))
    return [pair for pair in comparison["differences"] if (pair["model"], pair["over"]) in after]


def _settings(comparison: Comparison) -> Iterator[list[Cell]]:
    """List each key with its value for every model."""
    of = [
        {f"{part}.{key}": value for part, keys in settings.items() for key, value in keys.items()}
        for settings in (comparison["settings"][model] for model in comparison["models"])
    ]
    for key in dict.fromkeys(key for settings in of for key in settings):
        if key not in ("model.name", "training.seed"):
            yield [key, *(str(settings[key]) if key in settings else None for settings in of)]


def _unlike(comparison: Comparison) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the keys of training that are not alike for all models."""
    training = {model: settings["training"] for model, settings in comparison["settings"].items()}
    for key in next(iter(training.values())):
        values = {model: of[key] for model, of in training.items()}
        if len(set(values.values())) > 1:
            yield key, values


def _tested(difference: Mapping[str, Any] | None) -> list[Cell]:
    """Write a difference with its interval, and its p value."""
    if difference is None:
        return [None, None]
    text = f"{difference['mean']:+.4f}"
    if difference["low"] is not None:
        text += f" ({difference['low']:+.4f} to {difference['high']:+.4f})"
    p = difference["p"]
    return [text, None if p is None else f"{p:.4f}" if p >= 0.0001 else "< 0.0001"]


def _mean_std(spread: Mapping[str, Any] | None) -> str | None:
    if spread is None:
        return None
    return f"{spread['mean']:.4f}" + ("" if spread["std"] is None else f" ± {spread['std']:.4f}")


def _flat(name: str, figure: Mapping[str, Any] | None, parts: Sequence[str]) -> dict[str, Any]:
    return {f"{name}_{part}": None if figure is None else figure[part] for part in parts}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _in_markdown(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [[_plain(cell) for cell in row] for row in rows]
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in [list(head), rule, *lines])


def _plain(cell: Cell) -> str:
    if cell is None:
        return "-"
    text = f"{cell:,}" if isinstance(cell, int) else str(cell)
    return text.replace("|", "\\|")
