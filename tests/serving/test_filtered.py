"""Runs whose candidates read the behaviours of their category alone (``model.filter_by``)."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dien.config import load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.errors import ConfigError
from dien.run import Run
from dien.serving import Scorer, score_split
from dien.training import evaluate, fit
from dien.training.metrics import MetricStream

SETTINGS = ["training.epochs=1", "model.hidden_size=6", "model.max_history=2", "model.filter_history=9"]


@pytest.fixture(scope="module", params=["tags", "category"])
def scorer(request: pytest.FixtureRequest, rich_data: Dataset, tmp_path_factory: Any) -> Scorer:
    path = tmp_path_factory.mktemp("filtered") / "run"
    settings = [*SETTINGS, f"model.filter_by={request.param}", "model.matches=false"]
    fit(rich_data, load_config(None, settings), path, show_progress=False)
    return Scorer.load(path)


def test_requests_and_a_whole_split_score_as_evaluation_reads_them(
    scorer: Scorer, rich_data: Dataset, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    config = scorer.run.config.model
    options = {"batch_size": 10**6, "max_history": config.max_history}
    batches = Batches(rich_data, "test", **options, filter_by=config.filter_by, filter_history=9)  # type: ignore[arg-type]
    with torch.inference_mode():
        logits = scorer.model(batches.batch(0, 0)).logits.double()
        unfiltered = scorer.model(Batches(rich_data, "test", **options).batch(0, 0)).logits  # type: ignore[arg-type]
    assert (logits - unfiltered).abs().max() > 1e-3
    assert scorer.calibration is not None
    expected = torch.sigmoid(scorer.calibration.clicks(logits)).numpy()
    scored = np.concatenate([scorer.score(**request) for request in rich_requests])
    np.testing.assert_allclose(scored, expected, atol=1e-6)

    score_split(scorer.run, tmp_path / "scores.parquet", split="test")
    table = pl.read_parquet(tmp_path / "scores.parquet").explode("candidates", "scores", "labels")
    np.testing.assert_allclose(table["scores"].to_numpy(), expected, atol=1e-6)
    stream = MetricStream()
    users = table["user"].rank("dense").to_numpy()
    stream.update(np.log(expected / (1 - expected)).astype(np.float32), table["labels"].to_numpy(), users)
    assert evaluate(scorer.run).auc == pytest.approx(stream.compute().auc, rel=1e-6)


def test_a_candidate_reads_nothing_but_its_own_values_and_those_that_a_request_gives_count(
    scorer: Scorer, rich_data: Dataset
) -> None:
    name = scorer.run.config.model.filter_by
    assert name is not None
    values, ids = scorer.run.vocabularies[name], rich_data.item_ids
    column = rich_data.items[name]

    def raw(row: int) -> Any:
        one = column[np.array([row])]
        return list(values.decode(one.values)) if name == "tags" else values.decode(one)[0]  # type: ignore[union-attr]

    known = [row for row in range(1, 26) if raw(row)]
    first = known[0]
    other = next(row for row in known if not {*np.atleast_1d(raw(row))} & {*np.atleast_1d(raw(first))})
    a, b = ids.decode(np.array([first, other]))
    features = {name: [raw(other), raw(first)]}
    user = {"age": 33.0}
    alone = scorer.score("u1", [a, a], [a], user_features=user)
    with_others = scorer.score("u1", [a, b, a, b, b], [a], user_features=user)
    np.testing.assert_allclose(with_others, alone, atol=1e-7)
    assert abs(alone - scorer.score("u1", [], [a], user_features=user)) > 1e-7
    # Each has the other's value in the request: with one behaviour of either, they read that of the other.
    both = scorer.score("u1", [a, b], [a, b], candidate_features=features, user_features=user)
    each = [
        scorer.score("u1", [past], [one], candidate_features={name: [value]}, user_features=user)[0]
        for past, one, value in ((b, a, raw(other)), (a, b, raw(first)))
    ]
    np.testing.assert_allclose(both, each, atol=1e-7)
    # Of what is unknown nothing is read.
    unknown = scorer.score("u1", [a, b, "new"], ["new"])
    np.testing.assert_allclose(unknown, scorer.score("u1", [], ["new"]), atol=1e-7)


def test_the_newest_of_filter_history_are_read(scorer: Scorer) -> None:
    history = [f"i{k % 25}" for k in range(30)]
    candidates = [f"i{k}" for k in range(25)]
    assert scorer.run.config.model.longest_history == 9
    np.testing.assert_array_equal(
        scorer.score("u1", history, candidates), scorer.score("u1", history[-9:], candidates)
    )
    assert (scorer.score("u1", history, candidates) != scorer.score("u1", history[-2:], candidates)).any()


def test_matches_are_counted_over_the_whole_history_all_the_same(small_data: Dataset, tmp_path: Path) -> None:
    settings = ["training.epochs=1", "model.name=din", "model.filter_by=item"]
    fit(small_data, load_config(None, settings), tmp_path / "run", show_progress=False)
    scorer = Scorer(Run.open(tmp_path / "run"))
    once, after_others = (scorer.score("u1", [*others, "7"], ["7"])[0] for others in ([], ["9"] * 30))
    assert once != after_others  # the length of the history and the steps back
    new, never = scorer.score("u1", ["new", "1"], ["new", "never"])
    assert new != never


def test_a_filter_by_what_items_do_not_have_is_refused_before_anything_is_written(
    small_data: Dataset, tmp_path: Path
) -> None:
    config = load_config(None, ["model.filter_by=brand"])
    with pytest.raises(
        ConfigError, match=r"no feature 'brand' with ids; expected one of: item, category; or"
    ):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()
    with pytest.warns(UserWarning, match=r"model.filter_history has no effect with model.filter_by=None"):
        load_config(None, ["model.filter_history=7"])
