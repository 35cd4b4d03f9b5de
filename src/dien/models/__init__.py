"""The models, a file each: its configuration, module, losses, search space and registration.

Adding a model is adding a file: ``registry`` finds it. A model of your own stands in a file of your own and
registers itself by the same :func:`register`, once the file is imported. The command line imports the modules
that installed packages name as entry points of the group ``dien.models``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dien.models.config import Activation, ModelConfig, Widths
from dien.models.registry import build, model_config, models, register
from dien.models.space import MATCHED, POOLED, SHARED, Choice, LogUniform, Space

if TYPE_CHECKING:
    from dien.models.dien import DIEN, DIENConfig
    from dien.models.inputs import Inputs
    from dien.models.model import Losses, Model, Prediction, cross_entropy

__all__ = [
    "DIEN",
    "MATCHED",
    "POOLED",
    "SHARED",
    "Activation",
    "Choice",
    "DIENConfig",
    "Inputs",
    "LogUniform",
    "Losses",
    "Model",
    "ModelConfig",
    "Prediction",
    "Space",
    "Widths",
    "build",
    "cross_entropy",
    "model_config",
    "models",
    "register",
]

# Loaded at first use: they need torch, which takes seconds.
_HOME = {
    "DIEN": "dien",
    "DIENConfig": "dien",
    "Inputs": "inputs",
    "Losses": "model",
    "Model": "model",
    "Prediction": "model",
    "cross_entropy": "model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dien.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"dien.models.{_HOME[name]}"), name)
