"""Runs of any configuration whose weights were drawn and not trained: scores hang on all of them."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from dien.calibration import Calibration, Platt, to_texts
from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.features import Categorical, Vector
from dien.data.log import CONVERSION, Log
from dien.data.prepare import temporal
from dien.data.times import FromTime
from dien.data.writer import write
from dien.models import build
from dien.run import RESULT, WEIGHTS, Run
from dien.tensors import with_checksum

Make = Callable[..., Run]


def drawn_run(path: Path, data: Dataset, *keys: str, model: str | None = None) -> Run:
    """Make a run whose weights are drawn, so that each of them matters."""
    small = ("model.max_history=6", "model.match_history=9")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys that have no effect without matches
        config = load_config(overrides=[*small, *keys], model=model)
    Run.create(path, config, data)
    torch.manual_seed(0)
    drawn = build(config.model.serving(), data.schema)
    with torch.no_grad():
        for name, parameter in drawn.named_parameters():
            matrix = parameter.ndim == 2 and "inputs." not in name
            parameter.normal_(std=parameter.shape[1] ** -0.5 if matrix else 0.4)
    weights = drawn.state_dict()
    for name, values in weights.items():
        if "running" in name:  # of Dice and batch normalisation
            values.uniform_(0.5, 2.0)
    texts = to_texts(Calibration(Platt(0.8, -0.3), 0.3, Platt(1.2, 0.1)))
    save_file(weights, path / WEIGHTS, with_checksum(weights, texts))
    (path / RESULT).write_text("{}")
    return Run.open(path)


@pytest.fixture
def make_run(tmp_path: Path, full_data: Dataset) -> Make:
    return lambda *keys, **kind: drawn_run(tmp_path / "run", full_data, *keys, **kind)


@pytest.fixture(scope="session")
def full_data(rich_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The rich log with vectors, the weekday and conversions."""
    rng = np.random.default_rng(2)

    def vectors(rows: int, size: int) -> pl.Series:
        many = [None if rng.random() < 0.2 else rng.normal(size=size).tolist() for _ in range(rows)]
        return pl.Series(many, dtype=pl.List(pl.Float32))

    events, items = rich_log.events, rich_log.items
    weekday = FromTime(what="weekday", zone="Asia/Tokyo")
    log = Log(
        events=events.with_columns(
            weekday.of(events["time"]).alias("weekday"),
            screen=vectors(len(events), 3),
            gaze=vectors(len(events), 2),
            **{CONVERSION: pl.Series(rng.integers(0, 2, len(events)), dtype=pl.Int8)},
        ),
        items=items.with_columns(image=vectors(len(items), 4), text=vectors(len(items), 5)),
        users=rich_log.users,
        sources=(),
        features={
            **rich_log.features,
            "weekday": Categorical(from_time=weekday.what, zone=weekday.zone, side="context"),
            "gaze": Vector(side="behaviour"),
            "text": Vector(frozen=True),
        },
    )
    path: Path = tmp_path_factory.mktemp("full") / "data"
    write(temporal(log, warmup=1, negatives=2), path)
    return Dataset.open(path)
