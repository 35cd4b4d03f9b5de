"""Parts of a comparison."""

from typing import Any

SPREAD = {"mean": 0.75, "std": 0.0123, "low": 0.7, "high": 0.8, "count": 3}
ONE = {"data": "/data/beauty", "run": "runs/x"}
OVER = {"mean": -0.05, "low": -0.08, "high": -0.02, "p": 0.00004, "p_holm": None, "count": 3}


def record(model: str, **figures: Any) -> dict[str, Any]:
    return {
        "model": model,
        "runs": 3,
        **dict.fromkeys(("auc", "gauc", "log_loss", "calibration", "calibration_error"), SPREAD),
        "relative_improvement": 0.0321,
        "over_best": None,
        "parameters": 12345,
        "training_rows_per_second": 1234.5,
        "scoring_rows_per_second": None,
        **figures,
    }


def run(model: str, seed: int, auc: float, **figures: Any) -> dict[str, Any]:
    return {**ONE, "model": model, "seed": seed, "status": "done", "test": {"auc": auc}, **figures}
