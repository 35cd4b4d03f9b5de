"""What one feature of one behaviour adds to a logit, against batches changed by hand and against scoring."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dien.config import load_config
from dien.data.batch import Batch, Values
from dien.data.dataset import Dataset
from dien.data.features import Categorical, Vector
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.explain.unknown_features import unknown_features
from dien.explain.variants import read
from dien.packed import Packed
from dien.run import Run
from dien.serving import CheckedRequest, Request, Scorer
from dien.training import fit
from tests.explain.scorers import scorer_of
from tests.serving.conftest import log_of

FEATURES = {
    "item": "the id",
    "category": "a category of the item",
    "tags": "a list of the item",
    "price": "a number of the item",
    "look": "a vector of the item",
    "action": "a category of the behaviour",
    "dwell": "a number of the behaviour",
    "labels": "a list of the behaviour",
    "place": "a hashed id of the behaviour",
    "time_since": "an interval of the behaviour",
}
LENGTH = 7
ITEMS = [f"i{k}" for k in range(6)]


@pytest.fixture(scope="module")
def log() -> Log:
    """A log with a feature of every kind on items and behaviours."""
    drawn, rng = log_of(events=300, items=12, users=10, until=200_000), np.random.default_rng(2)
    places = [None if rng.random() < 0.2 else f"place{k}" for k in rng.integers(0, 40, 300)]
    looks = [None if k % 5 == 0 else rng.normal(size=3).tolist() for k in range(12)]
    return replace(
        drawn,
        events=drawn.events.with_columns(place=pl.Series(places, dtype=pl.String)),
        items=drawn.items.with_columns(look=pl.Series(looks, dtype=pl.List(pl.Float32))),
        features={
            **drawn.features,
            "place": Categorical(side="behaviour", buckets=16),
            "look": Vector(side="item"),
        },
    )


@pytest.fixture(scope="module")
def scorer(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    path: Path = tmp_path_factory.mktemp("kinds")
    write(temporal(log, warmup=1, negatives=1), path / "data")
    keys = ["training.epochs=1", "model.hidden_size=4"]
    fit(Dataset.open(path / "data"), load_config(overrides=keys), path / "run", show_progress=False)
    return Scorer(Run.open(path / "run"))


@pytest.fixture(scope="module")
def asked(log: Log) -> Request:
    """The newest behaviours of a user, with their raw values."""
    mine = log.events.filter(pl.col("user") == "u1").tail(LENGTH)
    assert mine.height == LENGTH
    times = mine["time"].to_list()
    return Request(
        user="u1",
        history=mine["item"].to_list(),
        candidates=ITEMS,
        behaviours=mine.select("action", "dwell", "labels", "place").to_dict(as_series=False),
        times=times,
        time=times[-1] + 500,
    )


def large(base: Scorer, name: str, **options: Any) -> Scorer:
    """A scorer of another model, with weights so large that each feature tells."""
    scorer = scorer_of(base, name, **options)
    with torch.no_grad():
        for parameter in scorer.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return scorer


def logits(scorer: Scorer, batch: Batch) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = scorer.model(batch).logits.double().numpy()
    return found


def changed(column: Values, step: int) -> Values:
    """The column with the value of one step unknown, rebuilt value by value."""
    if isinstance(column, Packed):
        lists = [
            column.values[begin:end].tolist()
            for begin, end in zip(column.offsets[:-1].tolist(), column.offsets[1:].tolist(), strict=True)
        ]
        lists[step] = []
        flat = [value for one in lists for value in one]
        ends = torch.tensor([0, *np.cumsum([len(one) for one in lists]).tolist()])
        return Packed(torch.tensor(flat, dtype=column.values.dtype), ends)
    rows = column.tolist()
    missing: Any = float("nan") if column.is_floating_point() else 0
    rows[step] = [missing] * column.shape[1] if column.ndim == 2 else missing
    return torch.tensor(rows, dtype=column.dtype)


def by_hand(scorer: Scorer, request: CheckedRequest, name: str) -> np.ndarray:
    (one,) = read(scorer, request)
    batch = one.reading.batch
    found = np.zeros((len(request.candidates), len(request.history)))
    for step, place in enumerate(one.reading.read.tolist()):
        other = replace(batch, history={**batch.history, name: changed(batch.history[name], step)})
        found[:, place] = logits(scorer, batch) - logits(scorer, other)
    return found


@pytest.mark.parametrize("model", ["dien", "din", "sum-pooling"])
def test_every_kind_of_feature_is_what_the_model_says_of_a_batch_in_which_it_is_unknown(
    model: str, scorer: Scorer, asked: Request
) -> None:
    of_model = large(scorer, model)
    request = of_model.check(asked)
    found = unknown_features(of_model, request)
    assert found.keys() == FEATURES.keys()
    for name, values in found.items():
        assert values.shape == (len(ITEMS), LENGTH)
        np.testing.assert_allclose(values, by_hand(of_model, request, name), rtol=1e-4, atol=1e-5)
        assert np.abs(values).max() > 1e-3, name


def without_value(asked: Request, name: str, place: int) -> dict[str, Any]:
    """The arguments of scoring, with one raw value of one behaviour in place of which there is None."""
    given: dict[str, Any] = {
        key: getattr(asked, key)
        for key in ("user", "history", "candidates", "context", "behaviours", "times", "time")
    }
    if name == "time_since":
        return {**given, "times": [None if k == place else t for k, t in enumerate(asked.times or ())]}
    own: Mapping[str, Any] = asked.behaviours or {}
    values = [None if k == place else value for k, value in enumerate(own[name])]
    return {**given, "behaviours": {**own, name: values}}


@pytest.mark.parametrize("name", ["action", "dwell", "labels", "place", "time_since"])
@pytest.mark.parametrize("model", ["dien", "sum-pooling"])
def test_a_feature_of_a_behaviour_is_what_scoring_says_of_the_request_without_its_value(
    model: str, name: str, scorer: Scorer, asked: Request
) -> None:
    of_model = large(scorer, model, matches=False)  # matches are not counted anew for a feature
    of_model.calibration = None

    def log_odds(place: int | None) -> np.ndarray:
        scores = of_model.score(**without_value(asked, name, -1 if place is None else place))
        return np.log(scores) - np.log1p(-scores)

    expected = np.stack([log_odds(None) - log_odds(place) for place in range(LENGTH)], 1)
    found = unknown_features(of_model, of_model.check(asked))[name]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found).max() > 1e-3


def test_what_a_behaviour_does_not_have_adds_nothing(scorer: Scorer, asked: Request) -> None:
    of_model = large(scorer, "dien")
    found = unknown_features(of_model, of_model.check(asked))
    own: Mapping[str, Any] = asked.behaviours or {}
    lacking = [(name, k) for name in own for k, value in enumerate(own[name]) if not value]
    assert lacking
    for name, place in lacking:
        np.testing.assert_allclose(found[name][:, place], 0, atol=1e-5)
