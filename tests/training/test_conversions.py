"""Models that predict conversions beside clicks: what they learn, what is measured, and what is scored."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.config import RunConfig, load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.log import CONVERSION, Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.errors import ConfigError, RunError
from dien.models import build, models
from dien.models.model import log_probabilities
from dien.run import Run
from dien.serving import Scorer, score_file, score_pairs, score_split
from dien.training import evaluate, fit
from dien.training.metrics import MetricStream

SMALL = [
    "model.embedding_size=4",
    "training.batch_size=512",
    "training.epochs=1",
    "training.learning_rate=0.01",
]
ABLE = [name for name, found in models().items() if found.model.predicts_conversions]


def config_of(*overrides: str, model: str = "dien") -> RunConfig:
    return load_config(overrides=[*SMALL, *overrides], model=model)


@pytest.fixture(scope="module")
def data(small_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Clicks that led to a conversion or not by the item's category; of some it is not known."""
    path = tmp_path_factory.mktemp("conversions") / "data"
    made = [(int(item) % 5 < 2) if k % 10 else -1 for k, item in enumerate(small_log.events["item"])]
    events = small_log.events.with_columns(pl.Series(CONVERSION, list(map(int, made)), dtype=pl.Int8))
    write(temporal(replace(small_log, events=events), negatives=1), path)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("conversions") / "run"
    # It learns conversions in each epoch: which one is kept depends on the clicks, and these are drawn.
    keys = ["training.epochs=3", "training.batch_size=256", "training.learning_rate=0.03"]
    fit(data, config_of(*keys, model="din"), path, show_progress=False)
    return Run.open(path)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=2))
def test_the_probability_of_both_is_the_product(odds: list[float]) -> None:
    click, conversion = torch.tensor(odds, dtype=torch.float64)
    both = torch.sigmoid(click) * torch.sigmoid(conversion)
    together, not_together = log_probabilities(click, conversion)
    assert together.exp().item() == pytest.approx(both.item(), rel=1e-9)
    assert not_together.exp().item() == pytest.approx(1 - both.item(), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ABLE)
def test_a_second_head_adds_its_loss_and_changes_nothing_of_the_first(name: str, data: Dataset) -> None:
    schema, config = data.schema, config_of(model=name).model
    weightless = config.model_copy(update={"conversion_weight": 0.0})
    batch = Batches(
        data,
        "train",
        batch_size=64,
        max_history=9,
        auxiliary=config.needs_negatives,
        match_history=config.matched_history,
    ).batch(0, 0)
    assert batch.conversion is not None
    found = {}
    for key, one in (("both", config), ("alone", weightless)):
        torch.manual_seed(0)
        found[key] = build(one, schema)
    both, alone = found["both"], found["alone"]
    torch.manual_seed(0)
    bare = build(config, replace(schema, conversion=False))
    assert alone.state_dict().keys() == bare.state_dict().keys() < both.state_dict().keys()
    assert {name.split(".")[0] for name in both.state_dict().keys() - bare.state_dict().keys()} == {
        "conversion"
    }
    assert all(torch.equal(value, both.state_dict()[key]) for key, value in bare.state_dict().items())
    prediction = both.eval()(batch)
    assert torch.equal(prediction.logits, bare.eval()(batch).logits)
    assert bare(batch).conversion is None
    product = prediction.logits.sigmoid() * prediction.conversion.sigmoid()
    known = ~batch.conversion.isnan()
    loss = torch.nn.functional.binary_cross_entropy(product, batch.conversion.nan_to_num(), reduction="none")
    expected = loss[known].sum() / len(batch)
    losses = both.losses(batch)
    torch.testing.assert_close(losses.parts["conversion_loss"], expected)
    torch.testing.assert_close(losses.total, bare.losses(batch).total + expected)


def test_what_is_recorded_of_the_target_is_its_own_loss(data: Dataset) -> None:
    one = build(config_of("model.conversion_weight=0.5").model, data.schema)
    sums = {"loss": 10.0, "auxiliary_loss": 2.0, "conversion_loss": 1.0}
    assert one.record(sums)["target_loss"] == pytest.approx(10 - 0.5 - 3 * 2)


def test_both_metrics_are_those_of_the_rows_they_are_about(data: Dataset, run: Run) -> None:
    found, split = evaluate(run), data.splits["test"]
    batch = Batches(data, "test", batch_size=10**9, max_history=50, match_history=1000).batch(0, 0)
    model = run.load_model()
    calibration = model.calibration
    assert calibration is not None
    assert calibration.conversions is not None
    with torch.no_grad():
        prediction = model(batch)
    user = np.repeat(split.user, np.diff(split.offsets))
    assert split.conversion is not None
    known, clicked = split.conversion >= 0, split.label == 1
    p = calibration.clicks(prediction.logits.double()).sigmoid()
    p *= calibration.conversions(prediction.conversion.double()).sigmoid()
    for metrics, odds, chosen, platt in (
        (found.conversion, prediction.conversion, known & clicked, calibration.conversions),
        (found.click_and_conversion, torch.log(p / (1 - p)), known, None),
    ):
        stream = MetricStream()
        stream.update(odds.numpy()[chosen], split.conversion[chosen], user[chosen])
        assert metrics is not None
        measured, expected = metrics.flat(), stream.compute(platt).flat()
        assert measured.keys() == expected.keys()
        for name, value in expected.items():
            assert measured[name] == (value if value is None else pytest.approx(value, rel=1e-3)), name
    assert found.conversion is not None
    assert found.conversion.auc is not None
    assert found.conversion.auc > 0.9  # the category decides
    records = (run.path / "metrics.jsonl").read_text().splitlines()
    last = json.loads(records[-1])
    assert {"conversion_loss", "valid_conversion_auc", "valid_click_and_conversion_log_loss"} <= last.keys()


def test_the_scorer_gives_both_probabilities(data: Dataset, run: Run, tmp_path: Path) -> None:
    scorer = Scorer(run)
    request: dict[str, Any] = {"user": "u1", "history": ["3", "4"], "candidates": ["5", "7", "x"]}
    both = scorer.score(**request, conversions=True)
    assert both.shape == (2, 3)
    assert both[0].tolist() == scorer.score(**request).tolist()
    assert both[1][0] > both[1][1]  # of the categories 0 and 2
    (tmp_path / "requests.jsonl").write_text(json.dumps(request) + "\n" + json.dumps(request) + "\n")
    read = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson, ".csv": pl.read_csv}
    for suffix, how in read.items():
        score_file(scorer, tmp_path / "requests.jsonl", tmp_path / f"scores{suffix}")
        table = how(tmp_path / f"scores{suffix}")
        assert table.columns == ["user", "candidates", "scores", "conversions"]
        row = table.row(1, named=True)
        values = [json.loads(row[c]) if suffix == ".csv" else row[c] for c in ("scores", "conversions")]
        np.testing.assert_allclose(values, both, rtol=1e-4)


def test_a_split_and_pairs_have_both_probabilities(data: Dataset, run: Run, tmp_path: Path) -> None:
    score_split(run, tmp_path / "split.parquet")
    row = pl.read_parquet(tmp_path / "split.parquet").row(0, named=True)
    pairs = pl.DataFrame({"user": row["user"], "item": row["candidates"], "time": row["time"]})
    context = data.splits["test"].context["hour"][:1]
    pairs.with_columns(hour=pl.lit(data.vocabularies["hour"].decode(context)[0])).write_csv(
        tmp_path / "p.csv"
    )
    score_pairs(run, tmp_path / "p.csv", tmp_path / "pairs.csv")
    found = pl.read_csv(tmp_path / "pairs.csv")
    assert found.columns == ["user", "item", "time", "score", "conversion"]
    for one, all_of_them in (("score", "scores"), ("conversion", "conversions")):
        np.testing.assert_allclose(found[one].to_list(), row[all_of_them], rtol=1e-3)


def test_a_run_that_does_not_predict_conversions_says_so(small_run: Run) -> None:
    with pytest.raises(RunError, match=r"does not predict conversions: .*interactions.conversion"):
        Scorer(small_run).score("u1", ["3"], ["5"], conversions=True)
    assert not Scorer(small_run).predicts_conversions
    assert "conversion" not in evaluate(small_run).to_dict()


def test_a_model_may_call_its_second_head_as_it_likes(run: Run) -> None:
    scorer = Scorer(run)
    scorer.model.second = scorer.model.conversion
    del scorer.model.conversion
    assert scorer.predicts_conversions


def test_a_model_without_a_second_head_is_refused_by_name_and_learns_clicks_alone(
    data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"model rocket has no head for conversions.*conversion_weight=0"):
        fit(data, config_of(model="rocket"), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()
    config = config_of("model.conversion_weight=0", model="rocket")
    fit(data, config, tmp_path / "run", show_progress=False)
    assert evaluate(tmp_path / "run").conversion is None


def test_a_warm_start_wants_conversions_in_both(data: Dataset, small_data: Dataset, tmp_path: Path) -> None:
    fit(small_data, config_of(), tmp_path / "bare", show_progress=False)
    with pytest.raises(RunError, match=r"has conversions, .*has none"):
        fit(data, config_of(), tmp_path / "run", start_from=tmp_path / "bare", show_progress=False)
