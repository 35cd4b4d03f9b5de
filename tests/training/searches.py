"""A search of a few small runs."""

import json
from pathlib import Path
from typing import Any

from dien.config import RunConfig
from dien.training.compare import compared_configs
from dien.training.space import search_space
from dien.training.tune import tune
from dien.training.tuning import TUNE

SETTINGS = ["model.max_history=5", "training.epochs=2", "training.checkpoint_steps=3"]


def tune_small(data: Path, out: Path, settings: list[str] = SETTINGS, **options: Any) -> dict[str, Any]:
    config = compared_configs(["din"], settings=settings)["din"]
    options = {"trials": 3, "seeds": 2, "show_progress": False, **options}
    return tune(data, "din", config, search_space("din", None, settings), out, **options).to_dict()


def content(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / TUNE).read_text())
    return loaded


def without_seed(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": 0})})
