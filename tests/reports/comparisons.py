"""Parts of a comparison."""

from dataclasses import replace
from typing import Any

from msgspec import structs

from dien.training.comparison import (
    ComparedRun,
    Comparison,
    Difference,
    DoneRun,
    ModelDifference,
    ModelSummary,
    Spread,
)
from dien.training.metrics import METRICS, OF_CONVERSIONS, Metrics
from dien.training.summary import summarise

SPREAD = Spread(mean=0.75, std=0.0123, low=0.7, high=0.8, count=3)
OVER = Difference(mean=-0.05, low=-0.08, high=-0.02, p=0.00004, count=3)


def summary(model: str, **figures: Any) -> ModelSummary:
    usual = {
        "runs": 3,
        **dict.fromkeys(METRICS, SPREAD),
        "relative_improvement": 0.0321,
        "over_best": None,
        "parameters": 12345,
        "training_rows_per_second": 1234.5,
        "scoring_rows_per_second": None,
    }
    return ModelSummary(model, **{**usual, **figures})


def run(model: str, seed: int, auc: float | None, **figures: Any) -> DoneRun:
    usual = {
        "data": "/data/beauty",
        "run": "runs/x",
        "epochs": 2,
        "best_epoch": 1,
        "stopped": "epochs",
        "valid_auc": 0.7,
        "test": Metrics(auc, 0.5, 0.5, 0.5, 0.5, rows=10, positives=5, users=2),
        "parameters": 10,
        "training_rows_per_second": 100.0 + seed,
        "scoring_rows_per_second": None,
    }
    return DoneRun(model, seed=seed, **{**usual, **figures})


def difference(
    model: str, over: str, p: float | None = OVER.p, p_holm: float | None = None
) -> ModelDifference:
    found = {name: getattr(OVER, name) for name in ("mean", "low", "high", "count")}
    return ModelDifference(**found, p=p, model=model, over=over, p_holm=p_holm)


def comparison(models: list[str], runs: list[ComparedRun], **figures: Any) -> Comparison:
    usual = {
        "data": ["/data/beauty"],
        "seeds": 2,
        "settings": {},
        "drawn": ["negatives"],
        "base": models[0],
        "best": models[-1],
        "table": [summary(model) for model in models],
        "differences": [],
        "untested": None,
    }
    return Comparison(format=1, models=models, runs=runs, **{**usual, **figures})


def with_conversions(of: Comparison, model: str, seed: int) -> Comparison:
    """Let one run have metrics of conversions: 0.11 to 0.15 of that of a click, 0.21 to 0.25 of both."""

    def metrics(first: float) -> Metrics:
        return Metrics(*(first + k / 100 for k in range(1, 6)), rows=10, positives=5, users=2)

    parts = dict(zip(OF_CONVERSIONS, (0.1, 0.2), strict=True))
    runs = [
        structs.replace(
            one, test=replace(one.test, **{part: metrics(first) for part, first in parts.items()})
        )
        if (one.model, one.seed) == (model, seed) and isinstance(one, DoneRun)
        else one
        for one in of.runs
    ]
    found = summarise(of.models, runs).table
    both = {one.model: {part: getattr(one, part) for part in OF_CONVERSIONS} for one in found}
    return structs.replace(of, runs=runs, table=[structs.replace(one, **both[one.model]) for one in of.table])
