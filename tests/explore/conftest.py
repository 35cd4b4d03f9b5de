"""Runs of a small log, and an explorer of them, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.explore.explorer import Explorer
from dien.training import fit
from tests.explore.explored import explored_log, served


@pytest.fixture(scope="session")
def explored_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """DIEN and DIN, trained for one epoch."""
    folder = tmp_path_factory.mktemp("explored")
    write(temporal(explored_log(), seed=0), folder / "data")
    dataset = Dataset.open(folder / "data")
    chosen = ["training.epochs=1", "model.hidden_size=6", "model.embedding_size=6", "model.max_history=20"]
    runs = []
    for model in ("dien", "din"):
        config = load_config(model=model, overrides=chosen if model == "dien" else chosen[:1] + chosen[2:])
        fit(dataset, config, folder / model, show_progress=False)
        runs.append(folder / model)
    return runs


@pytest.fixture(scope="session")
def explorer(explored_runs: list[Path]) -> Explorer:
    """Both runs, side by side."""
    return Explorer(explored_runs)


@pytest.fixture(scope="session")
def address(explorer: Explorer) -> Iterator[str]:
    """Where both runs are served."""
    with served(explorer) as url:
        yield url
