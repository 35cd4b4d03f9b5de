"""Two small DATA for the tests of batches: with sampled negatives, and with real ones."""

import numpy as np
import polars as pl
import pytest

from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare import temporal
from tests.data.datasets import stored
from tests.data.logs import random_log


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    """Baskets of different sizes, with context, so that impressions differ in their candidates."""
    log = random_log(users=20, items=30, events=900)
    device = pl.Series("device", ["phone", "desk", None])[np.arange(900) // 7 % 3]
    log = Log(log.events.with_columns(device), log.items, log.users, log.sources)
    return stored(temporal(log, warmup=0, negatives=2), tmp_path_factory.mktemp("batches") / "DATA")


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Dataset:
    log = random_log(users=20, items=30, events=900, labelled=True)
    return stored(temporal(log, warmup=1), tmp_path_factory.mktemp("batches") / "DATA")
