"""Training and evaluation: the loop, row-wise Adam, streamed metrics, checkpoints to go on from."""

from dien.training.evaluate import (
    base_rate,
    evaluate,
    evaluate_model,
    evaluate_slices,
    evaluation_batches,
    popularity_baseline,
    truth_share,
)
from dien.training.fit import FitResult, fit
from dien.training.metrics import Metrics
from dien.training.optimiser import RowAdam, clip_gradients

__all__ = [
    "FitResult",
    "Metrics",
    "RowAdam",
    "base_rate",
    "clip_gradients",
    "evaluate",
    "evaluate_model",
    "evaluate_slices",
    "evaluation_batches",
    "fit",
    "popularity_baseline",
    "truth_share",
]
