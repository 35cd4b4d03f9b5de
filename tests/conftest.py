"""A small dataset folder and run folder, made once for every test that needs some."""

import os
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.models import models, registry
from dien.run import Run
from dien.training import fit

# Tests run side by side: threads that wait for each other would only wait. So with the processes they start,
# which have to come to the same bits.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# A sync takes 10 ms on a slow disk, and there are thousands; no test outlives the machine. What is synced,
# and when, is proved by tests that listen: in tests/test_files.py,
# tests/data/test_writer.py and tests/training/test_log.py.
os.fsync = lambda handle: None

# Each run draws the same examples: a commit fails by what it changes, not by luck. New ones are drawn by
# `pytest --hypothesis-profile explore`. How long one takes depends on what else the machine does, and proves
# nothing.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", untimed, derandomize=True, database=None)
settings.register_profile("explore", untimed, derandomize=False, print_blob=True)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Draw no constants of whatever source files are loaded by then, unless new examples are wanted."""
    if not config.getoption("--hypothesis-profile"):
        assert hasattr(providers, "_get_local_constants"), "Hypothesis has another name for this by now"
        providers._get_local_constants = lambda: providers._local_constants  # none


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Have a test that sets the number of threads leave the next one its own."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def _models_as_before() -> Iterator[None]:
    """Have the models that a test registers be gone after it."""
    models()
    before = dict(registry._models)
    yield
    registry._models.clear()
    registry._models.update(before)


@pytest.fixture(scope="session")
def small_log() -> Log:
    """60 users, 40 items, 1,500 purchases, with features of items, users and context."""
    rng = np.random.default_rng(0)
    events = 1500
    user, item = rng.integers(0, 60, events), rng.integers(0, 40, events) ** 2 // 40
    return Log(
        events=pl.DataFrame(
            {
                "user": pl.Series([f"u{u}" for u in user]),
                "item": pl.Series([str(i) for i in item]),
                "time": np.sort(rng.integers(1_000_000, 2_000_000, events)),
                "hour": pl.Series([str(h) for h in rng.integers(0, 24, events)]),
            }
        ),
        items=pl.DataFrame(
            {"item": [str(i) for i in range(40)], "category": [f"c{i % 5}" for i in range(40)]}
        ),
        users=pl.DataFrame(
            {"user": [f"u{u}" for u in range(60)], "age": [None if u % 3 else str(u % 4) for u in range(60)]}
        ),
        sources=(),
    )


@pytest.fixture(scope="session")
def small_data(small_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("small") / "data"
    write(temporal(small_log, seed=0), path)
    return Dataset.open(path)


@pytest.fixture(scope="session")
def small_run(small_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """DIEN trained for one epoch on the small data."""
    path = tmp_path_factory.mktemp("small") / "run"
    config = load_config(overrides=["training.epochs=1", "model.max_history=12", "model.hidden_size=10"])
    fit(small_data, config, path, show_progress=False)
    return Run.open(path)
