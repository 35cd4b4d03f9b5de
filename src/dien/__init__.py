"""Deep Interest Evolution Network for click-through-rate prediction: what one uses from Python.

From a log to scores: :func:`prepare`, :func:`fit`, :func:`evaluate`, :class:`Scorer`. The page "From Python"
(docs/from-python.md) walks through them, and through a training loop and a model of one's own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dien import forks as forks  # a forked process may use what is below
from dien.room import expect_room

if TYPE_CHECKING:
    from dien.config import RunConfig, TrainConfig, load_config
    from dien.data.batch import Batch
    from dien.data.batches import Batches
    from dien.data.dataset import Dataset
    from dien.data.features import Schema
    from dien.data.sources.table import TableSpec, prepare
    from dien.errors import ConfigError, DataError, DienError, RunError
    from dien.models import (
        DIEN,
        DIENConfig,
        Inputs,
        Model,
        ModelConfig,
        Prediction,
        build,
        model_config,
        register,
    )
    from dien.run import Run
    from dien.serving import Request, Scorer
    from dien.training import (
        FitResult,
        Metrics,
        RowAdam,
        clip_gradients,
        evaluate,
        evaluate_model,
        evaluation_batches,
        fit,
    )
    from dien.training.compare import compare

__all__ = [
    "DIEN",
    "Batch",
    "Batches",
    "ConfigError",
    "DIENConfig",
    "DataError",
    "Dataset",
    "DienError",
    "FitResult",
    "Inputs",
    "Metrics",
    "Model",
    "ModelConfig",
    "Prediction",
    "Request",
    "RowAdam",
    "Run",
    "RunConfig",
    "RunError",
    "Schema",
    "Scorer",
    "TableSpec",
    "TrainConfig",
    "__version__",
    "build",
    "clip_gradients",
    "compare",
    "evaluate",
    "evaluate_model",
    "evaluation_batches",
    "fit",
    "load_config",
    "model_config",
    "prepare",
    "register",
]

# Loaded at first use: torch takes seconds, and `dien --help` needs neither.
_HOME = {
    "Batch": "dien.data.batch",
    "Batches": "dien.data.batches",
    "ConfigError": "dien.errors",
    "DIEN": "dien.models",
    "DIENConfig": "dien.models",
    "DataError": "dien.errors",
    "Dataset": "dien.data.dataset",
    "DienError": "dien.errors",
    "FitResult": "dien.training",
    "Inputs": "dien.models",
    "Metrics": "dien.training",
    "Model": "dien.models",
    "ModelConfig": "dien.models",
    "Prediction": "dien.models",
    "Request": "dien.serving",
    "RowAdam": "dien.training",
    "Run": "dien.run",
    "RunConfig": "dien.config",
    "RunError": "dien.errors",
    "Schema": "dien.data.features",
    "Scorer": "dien.serving",
    "TableSpec": "dien.data.sources.table",
    "TrainConfig": "dien.config",
    "build": "dien.models",
    "clip_gradients": "dien.training",
    "compare": "dien.training.compare",
    "evaluate": "dien.training",
    "evaluate_model": "dien.training",
    "evaluation_batches": "dien.training",
    "fit": "dien.training",
    "load_config": "dien.config",
    "model_config": "dien.models",
    "prepare": "dien.data.sources.table",
    "register": "dien.models",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("dien")
    if name not in _HOME:
        raise AttributeError(f"module 'dien' has no attribute {name!r}")
    expect_room()
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
