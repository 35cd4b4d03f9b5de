"""Parts of a comparison."""

from typing import Any

from dien.training.comparison import (
    ComparedRun,
    Comparison,
    Difference,
    DoneRun,
    ModelDifference,
    ModelSummary,
    Spread,
)
from dien.training.metrics import METRICS, Metrics

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
