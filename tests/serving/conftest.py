"""A log with every kind of feature on every side, and a run trained on it."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.features import Categorical, Multi, Numeric
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.run import Run
from dien.serving import Scorer
from dien.training import fit


@pytest.fixture(scope="session")
def rich_log() -> Log:
    """30 users, 25 items, 600 clicks at times that all differ; every feature has missing values."""
    return log_of(events=600, items=25, users=30, until=200_000)


def log_of(events: int, items: int, users: int, until: int) -> Log:
    """Draw clicks at times below ``until`` that all differ; every feature has missing values."""
    rng = np.random.default_rng(1)

    def some(values: list, share: float = 0.2) -> list:
        return [None if rng.random() < share else value for value in values]

    def ids(prefix: str, n: int, rows: int) -> list[str | None]:
        return some([f"{prefix}{k}" for k in rng.integers(0, n, rows)])

    def lists(prefix: str, rows: int) -> list[list[str] | None]:
        return some([[f"{prefix}{k}" for k in rng.integers(0, 5, rng.integers(0, 4))] for _ in range(rows)])

    text, texts = pl.String, pl.List(pl.String)
    return Log(
        events=pl.DataFrame(
            {
                "user": [f"u{u}" for u in rng.integers(0, users, events)],
                "item": [f"i{i}" for i in rng.integers(0, items, events)],
                "time": np.sort(rng.choice(until, events, replace=False)),
                "action": pl.Series(ids("action", 3, events), dtype=text),
                "dwell": some(rng.lognormal(3, 1, events).tolist()),
                "labels": pl.Series(lists("label", events), dtype=texts),
                "hour": pl.Series(ids("", 24, events), dtype=text),
                "zone": pl.Series(ids("zone", 99, events), dtype=text),
                "position": some(rng.normal(size=events).tolist()),
                "age_of_page": some(rng.normal(size=events).tolist()),
                "wanted": pl.Series(lists("tag", events), dtype=texts),
            }
        ),
        items=pl.DataFrame(
            {
                "item": [f"i{i}" for i in range(items)],
                "category": pl.Series(ids("c", 4, items), dtype=text),
                "tags": pl.Series(lists("tag", items), dtype=texts),
                "price": some(rng.lognormal(2, 1, items).tolist()),
            }
        ),
        users=pl.DataFrame(
            {"user": [f"u{u}" for u in range(users)], "age": some(rng.normal(40, 9, users).tolist())}
        ),
        sources=(),
        features={
            "action": Categorical(side="behaviour"),
            "dwell": Numeric(side="behaviour", scale="log"),
            "labels": Multi(side="behaviour", pooling="max"),
            "time_since": Numeric(side="behaviour", edges=(100.0, 1000.0, 10_000.0)),
            "zone": Categorical(buckets=16),
            "age_of_page": Numeric(quantiles=4),
            "wanted": Multi(shares="tags", pooling="sum"),
        },
    )


@pytest.fixture(scope="session")
def rich_data(rich_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path: Path = tmp_path_factory.mktemp("rich") / "data"
    write(temporal(rich_log, warmup=1, negatives=2), path)
    return Dataset.open(path)


@pytest.fixture(scope="session")
def rich_run(rich_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("rich") / "run"
    keys = ["training.epochs=1", "model.max_history=6", "model.hidden_size=6"]
    # So that scores hang on every input, after so few steps, too.
    keys += ["training.batch_size=64", "training.id_dropout=0", "model.match_dropout=0"]
    config = load_config(overrides=keys)
    fit(rich_data, config, path, show_progress=False)
    return Run.open(path)


@pytest.fixture(scope="session")
def rich_scorer(rich_run: Run) -> Scorer:
    return Scorer(rich_run)


@pytest.fixture(scope="session")
def rich_requests(rich_log: Log, rich_data: Dataset) -> list[dict[str, Any]]:
    """The test split as requests in raw values, taken from the log."""
    data, events = rich_data, rich_log.events
    split, found = data.splits["test"], []
    for i in range(len(split)):
        user, time = data.user_ids.decode(split.user[i : i + 1])[0], int(split.time[i])
        mine = events.filter(pl.col("user") == user)
        past, now = mine.filter(pl.col("time") < time), mine.filter(pl.col("time") == time)
        shown = split.item[split.offsets[i] : split.offsets[i + 1]]
        found.append(
            {
                "user": user,
                "history": past["item"].to_list(),
                "candidates": data.item_ids.decode(shown).to_list(),
                "context": now.select("hour", "zone", "position", "age_of_page", "wanted").to_dicts()[0],
                "behaviours": past.select("action", "dwell", "labels").to_dict(as_series=False),
                "times": past["time"].to_list(),
                "time": time,
            }
        )
    return found
