"""A fifth kind of feature, defined here alone: a place, of two numbers. Nothing else is told about it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from torch import Tensor, nn

from dien.config import load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.features import KINDS, Definition, Schema
from dien.data.features.encoders import Encoder
from dien.data.inspection import inspect_data
from dien.data.log import Log
from dien.data.prepare import impressions
from dien.data.prepare.append import append
from dien.data.prepare.splits import ByTime
from dien.data.readers.messages import refuse
from dien.data.sources.table import TableSpec, read
from dien.data.writer import write
from dien.layers.embedding import NUMBERS
from dien.run import Run
from dien.serving.files import score_file
from dien.serving.scorer import Scorer
from dien.training import fit
from tests.data.logs import random_log

PLACES = {"item": "home", "user": "town", "behaviour": "seen", "context": "here"}
"""A feature of each side."""


@dataclass(frozen=True)
class Centred:
    """Two numbers less their means; NaN where a place is missing."""

    type: ClassVar[str] = "centred"
    means: tuple[float, float]

    @property
    def size(self) -> int:
        return 2

    def encode(self, values: pl.Series) -> NDArray[np.float32]:
        rows = [(np.nan, np.nan) if value is None else tuple(value) for value in values.to_list()]
        return (np.array(rows, np.float64).reshape(-1, 2) - self.means).astype(np.float32)


class Place(Definition):
    """Two numbers a row."""

    centre: bool = True

    kind: ClassVar[str] = "place"
    dtype: ClassVar[pl.DataType] = pl.List(pl.Float64())
    one_value: ClassVar[bool] = False
    encoders: ClassVar[tuple[type[Encoder], ...]] = (Centred,)

    def parse(self, values: pl.Series, precision: pl.DataType) -> pl.Series:
        pairs = values.list.len().fill_null(2) == 2
        refuse(values, ~pairs, "two numbers; mend it or drop the row")
        return values.cast(pl.List(pl.Float64))

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        return dtype == pl.Array(pl.Float64, 2) or dtype == pl.List(pl.Float64)

    def fit(self, values: pl.Series, counts: NDArray[np.integer]) -> Encoder:
        seen = Centred((0.0, 0.0)).encode(values)[counts > 0]
        return Centred((float(np.nanmean(seen[:, 0])), float(np.nanmean(seen[:, 1]))))

    @classmethod
    def open(cls, file: Any, rows: int, size: int) -> NDArray[np.float32]:
        return file("", np.float32, rows, size)

    @classmethod
    def fits(cls, column: Any, size: int) -> bool:
        return not np.isinf(column).any()

    @classmethod
    def known(cls, column: Any) -> NDArray[np.bool_]:
        return ~np.isnan(column).any(1)


class PlaceEmbedding(nn.Module):
    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, width)

    def forward(self, places: Tensor) -> Tensor:
        return self.linear(places.nan_to_num())


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "place", Place)
    monkeypatch.setitem(NUMBERS, "place", lambda feature, width: PlaceEmbedding(feature.size, width))


def places(rows: int, seed: int) -> pl.Series:
    rng = np.random.default_rng(seed)
    values = [None if k % 5 == 0 else rng.normal(size=2).tolist() for k in range(rows)]
    return pl.Series(values, dtype=pl.Array(pl.Float64, 2))


@pytest.fixture
def log() -> Log:
    log = random_log(users=30, items=20, events=900)
    return replace(
        log,
        items=log.items.with_columns(places(log.items.height, 1).alias("home")),
        users=log.users.with_columns(places(log.users.height, 2).alias("town")),
        events=log.events.with_columns(
            places(log.events.height, 3).alias("seen"), places(log.events.height, 4).alias("here")
        ),
        features={name: Place.model_validate({"side": side}) for side, name in PLACES.items()},
    )


@pytest.fixture
def data(log: Log, tmp_path: Path) -> Dataset:
    write(impressions(log, ByTime(0.6, 0.8), scratch=tmp_path), tmp_path / "data")
    return Dataset.open(tmp_path / "data")


def test_a_new_kind_is_prepared_stored_and_inspected(data: Dataset, log: Log) -> None:
    kinds = {feature.name: (feature.side, feature.kind, feature.size) for feature in data.schema.features}
    assert {name: kinds[name] for name in PLACES.values()} == {
        name: (side, "place", 2) for side, name in PLACES.items()
    }
    assert Schema.from_json(data.schema.to_json()) == data.schema
    encoder = next(feature.encoder for feature in data.schema.features if feature.name == "home")
    assert np.array_equal(data.items["home"][1:], encoder.encode(log.items["home"]), equal_nan=True)
    found = {(one.feature, one.split): one.unknown for one in inspect_data(data).coverage}
    assert 0 < found["here", "train"] < 0.4
    assert found["seen", "test"] > 0


def test_a_new_kind_that_does_not_fit_its_file_is_refused(data: Dataset) -> None:
    file = data.path / "items/home.npy"
    np.save(file, np.load(file)[:, :1])
    with pytest.raises(ValueError, match=r"home\.npy: float32 \[\d+, 1\], expected float32 \[\d+, 2\]"):
        Dataset.open(data.path)


def test_a_new_kind_is_appended_to(data: Dataset, log: Log) -> None:
    later = log.events.with_columns(pl.col("time") + 10**6)
    ids = {
        side: dict(zip(getattr(log, f"{side}s")[side], range(1, 99), strict=False))
        for side in ("user", "item")
    }
    later = later.with_columns(
        pl.col(side).replace_strict(ids[side], return_dtype=pl.Int32) for side in ("user", "item")
    )
    both = append(data, replace(log, events=later), ByTime(0.5, 0.7))
    assert both.behaviours.features["seen"].shape == (len(both.behaviours.item), 2)
    assert both.splits["train"].context["here"].shape == (len(both.splits["train"]), 2)
    assert np.array_equal(both.items["home"], data.items["home"], equal_nan=True)


def test_a_model_learns_from_a_new_kind_and_scores_requests_with_it(data: Dataset, tmp_path: Path) -> None:
    batch = Batches(data, "train", batch_size=64, max_history=5).batch(0, 0)
    assert batch.target["home"].shape == (len(batch), 2)
    assert batch.history["seen"].shape == (len(batch.history["item"]), 2)
    config = load_config(overrides=["training.epochs=1", "model.max_history=5", "model.hidden_size=6"])
    fit(data, config, tmp_path / "run", show_progress=False)
    scorer = Scorer(Run.open(tmp_path / "run"))
    request = {
        "user": data.user_ids.values[1],
        "history": data.item_ids.values[1:3].to_list(),
        "candidates": data.item_ids.values[1:6].to_list(),
        "behaviours": {"seen": [[0.5, 1.0], None]},
    }
    here, there = (scorer.score(**request, context={"here": place}) for place in ([0.0, 0.0], [9.0, -9.0]))
    assert not np.array_equal(here, there)
    lines = [{**request, **request["behaviours"], "here": [9.0, -9.0]}, {**request, "seen": None}]
    (tmp_path / "requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    score_file(scorer, tmp_path / "requests.jsonl", tmp_path / "scores.parquet")
    assert pl.read_parquet(tmp_path / "scores.parquet")["scores"][0].to_list() == pytest.approx(
        there, abs=1e-6
    )
    with pytest.raises(ValueError, match=r"here: 3\.0, expected a list of finite numbers"):
        scorer.score(**request, context={"here": 3.0})
    weights = scorer.model.state_dict()
    assert weights["inputs.item.numbers.0.linear.weight"].shape[1] == 2


def test_a_new_kind_is_read_from_tables_and_a_wrong_value_is_named(log: Log, tmp_path: Path) -> None:
    lists = pl.List(pl.Float32)
    log.events.with_columns(pl.col("seen", "here").cast(lists)).write_parquet(tmp_path / "log.parquet")
    items = log.items.with_columns(pl.col("home").cast(lists))
    items.write_parquet(tmp_path / "items.parquet")
    features = {side: {PLACES[side]: {"kind": "place"}} for side in ("item", "behaviour", "context")}
    spec = TableSpec.of({"features": features}, "schema.yaml")
    paths = [tmp_path / "log.parquet"], [tmp_path / "items.parquet"], None
    prepared = impressions(read(*paths, spec), ByTime(0.6, 0.8))
    assert {f.name: f.side for f in prepared.schema.features if f.kind == "place"} == {
        PLACES[side]: side for side in features
    }
    too_short = pl.when(pl.int_range(pl.len()) == 3).then(pl.col("home").list.head(1))
    items.with_columns(too_short.otherwise("home").alias("home")).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(ValueError, match=r"items\.parquet: row 4: column 'home': .*expected two numbers"):
        read(*paths, spec)


def test_a_schema_file_defines_a_new_kind_with_options_of_its_own() -> None:
    def spec(**options: Any) -> TableSpec:
        return TableSpec.of({"features": {"item": {"home": {"kind": "place", **options}}}}, "schema.yaml")

    assert spec(centre=False).definitions()["home"] == Place(side="item", centre=False)
    with pytest.raises(ValueError, match="buckets is not for a place feature"):
        spec(buckets=5)
    with pytest.raises(ValueError, match="centre is not for a numeric feature"):
        TableSpec.of({"features": {"item": {"home": {"kind": "numeric", "centre": True}}}}, "schema.yaml")
    with pytest.raises(
        ValueError, match=r"home\.shares: shares the table of 'at', which is place and has none"
    ):
        TableSpec.of(
            {"features": {"item": {"at": {"kind": "place"}, "home": {"shares": "at"}}}}, "schema.yaml"
        )
