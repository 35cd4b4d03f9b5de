"""A comparison as CSV: of models, of runs and of differences, every figure to the last digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from dien.training.comparison import Comparison, Curves, Difference, DoneRun, FailedRun, Spread
from dien.training.metrics import METRICS, OF_CONVERSIONS

_RATES = ("training_rows_per_second", "scoring_rows_per_second")


def models_csv(comparison: Comparison) -> str:
    """Write a line for each model; ``base`` and ``best`` name whom its gain and difference are over."""
    lines: list[dict[str, Any]] = []
    for found in comparison.table:
        line: dict[str, Any] = {"model": found.model, "runs": found.runs}
        of = {metric: getattr(found, metric) for metric in METRICS}
        for part in _parts(comparison):
            figures = getattr(found, part) or dict.fromkeys(METRICS)
            of |= {f"{part}_{metric}": figures[metric] for metric in METRICS}
        for metric, spread in of.items():
            line |= _flat(metric, spread, ("mean", "std", "low", "high"))
        line |= {"base": comparison.base, "relative_improvement": found.relative_improvement}
        line["best"] = comparison.best
        line |= _flat("over_best", found.over_best, ("mean", "low", "high", "p"))
        lines.append(line | {name: getattr(found, name) for name in ("parameters", *_RATES)})
    return _text(list(lines[0]), lines)


def runs_csv(comparison: Comparison, curves: Curves) -> str:
    """Write a line for each model and replicate; what a run that is not done has not come to is empty.

    Args:
        comparison: what was found.
        curves: where the validation metrics of the best epoch are from.
    """
    about = ("model", "data", "seed", "run", "status")
    result = ("epochs", "best_epoch", "stopped")
    names = [*METRICS, *(f"{part}_{metric}" for part in _parts(comparison) for metric in METRICS)]
    metrics = [f"{split}_{name}" for split in ("valid", "test") for name in names]
    speed = ("parameters", *_RATES)
    records_of = {model: iter(of) for model, of in curves.items()}
    lines = []
    for run in comparison.runs:
        line = {name: getattr(run, name) for name in about}
        records = next(records_of[run.model])
        if isinstance(run, FailedRun):
            line["error"] = run.error.partition("\n")[0]
        elif isinstance(run, DoneRun):
            line |= {name: getattr(run, name) for name in (*result, *speed)}
            for record in records:
                if record["kind"] == "epoch" and record["epoch"] == run.best_epoch:
                    line |= {f"valid_{name}": record.get(f"valid_{name}") for name in names}
            tested = run.test.flat()
            line |= {f"test_{name}": tested.get(name) for name in names}
        lines.append(line)
    return _text([*about, "error", *result, *metrics, *speed], lines)


def differences_csv(comparison: Comparison) -> str:
    """Write a line for any two models: the first's test AUC less the second's."""
    names = ["model", "over", "mean", "low", "high", "p", "p_holm", "count"]
    return _text(names, [structs.asdict(difference) for difference in comparison.differences])


def _parts(comparison: Comparison) -> list[str]:
    """Name the metrics of the second label that any model has."""
    return [part for part in OF_CONVERSIONS if any(getattr(found, part) for found in comparison.table)]


def _flat(name: str, figure: Spread | Difference | None, parts: Sequence[str]) -> dict[str, Any]:
    return {f"{name}_{part}": None if figure is None else getattr(figure, part) for part in parts}


def _text(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
