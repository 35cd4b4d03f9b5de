"""Deep Interest Evolution Network for click-through-rate prediction."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dien.data.dataset import Dataset
    from dien.models import DIEN, DIENConfig
    from dien.serving import Scorer
    from dien.training import evaluate, fit

__all__ = ["DIEN", "DIENConfig", "Dataset", "Scorer", "evaluate", "fit"]

# Loaded at first use: torch takes seconds, and `dien --help` needs neither.
_HOME = {
    "DIEN": "dien.models",
    "DIENConfig": "dien.models",
    "Dataset": "dien.data.dataset",
    "Scorer": "dien.serving",
    "evaluate": "dien.training",
    "fit": "dien.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dien' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
