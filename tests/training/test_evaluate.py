import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs

from dien.calibration import Platt
from dien.data.batch import ENTRIES_AT_ONCE
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.run import Run
from dien.training import (
    base_rate,
    evaluate,
    evaluate_model,
    evaluation_batches,
    popularity_baseline,
    truth_share,
)
from dien.training.metrics import Metrics, MetricStream


def all_at_once(
    scores: np.ndarray, dataset: Dataset, split: str, platt: Platt | None = None, **options: bool
) -> Metrics:
    """Metrics of a whole split in one batch; the stream itself is tested in test_metrics."""
    rows = dataset.splits[split]  # type: ignore[index]
    user = np.repeat(rows.user, np.diff(rows.offsets))
    stream = MetricStream(**options)
    stream.update(scores.astype(np.float32), rows.label, user)
    return stream.compute(platt)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_row_of_the_split_counts_once_with_its_stored_candidates(
    split: str, small_data: Dataset, small_run: Run
) -> None:
    model = small_run.load_model()
    batches = Batches(small_data, split, batch_size=10**9, max_history=12, match_history=1000)  # type: ignore[arg-type]
    with torch.no_grad():
        logits = model(batches.batch(0, 0)).logits.numpy()
    rows: list[int] = []
    result = evaluate(small_run.path, split=split, progress=rows.append)  # type: ignore[arg-type]
    assert model.calibration is not None
    expected, found = all_at_once(logits, small_data, split, model.calibration.clicks).flat(), result.flat()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (pytest.approx(value, rel=1e-5) if value is not None else None), name
    assert sum(rows) == result.rows == len(small_data.splits[split].item)  # type: ignore[index]


def test_data_that_has_moved_must_be_pointed_at_and_be_the_same(
    small_data: Dataset, small_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(small_data.path, tmp_path / "moved")
    here = evaluate(small_run, tmp_path / "moved")
    assert here == evaluate(small_run)
    lost = replace(small_run, info=structs.replace(small_run.info, data=str(tmp_path / "gone")))
    with pytest.raises(RunError, match=r"gone.*no longer there.*--data"):
        evaluate(lost)
    assert evaluate(lost, tmp_path / "moved") == here
    other = replace(small_data, info=structs.replace(small_data.info, split_rule="by the moon"))
    with pytest.raises(RunError, match=r"split_rule of its dataset.json was .* is 'by the moon'"):
        evaluate(small_run, other)


def test_evaluation_leaves_a_model_in_the_mode_it_was_in(small_data: Dataset, small_run: Run) -> None:
    model = small_run.load_model().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate_model(model, Batches(small_data, "valid", batch_size=50, max_history=12, match_history=1000))
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_popularity_ranks_by_how_often_an_item_occurs(small_data: Dataset) -> None:
    counts = small_data.popularity[small_data.splits["test"].item]
    assert popularity_baseline(small_data) == all_at_once(counts, small_data, "test", probabilities=False)
    assert popularity_baseline(small_data).log_loss is None


def test_an_auc_is_told_as_its_share_of_the_best_possible_where_the_truth_is_known() -> None:
    info = {"truth": {"best_auc": {"train": 0.8, "valid": 0.5, "test": None}, "click_probability": "p"}}
    assert truth_share({}, "train", 0.7) == {}
    for auc, share in ((0.5, 0.0), (0.74, 0.8), (0.8, 1.0), (0.35, -0.5)):
        assert truth_share(info, "train", auc) == {"best_auc": 0.8, "share_of_best": pytest.approx(share)}
    assert truth_share(info, "train", None) == {"best_auc": 0.8, "share_of_best": None}
    assert truth_share(info, "valid", 0.6) == {"best_auc": 0.5, "share_of_best": None}
    assert truth_share(info, "test", 0.6) == {"best_auc": None, "share_of_best": None}


def test_the_rate_of_clicks_stands_beside_the_mean_score_and_says_where_negatives_were_sampled() -> None:
    real, drawn = {"sampled": False, "per_positive": None}, {"sampled": True, "per_positive": 4}
    metrics = Metrics(0.7, 0.7, 0.5, 1.25, 0.1, rows=200, positives=40, users=9, click_rate=0.2)
    rates = {"click_rate": 0.2, "mean_score": pytest.approx(0.25)}
    assert base_rate({"negatives": real}, metrics) == rates
    of = "clicks and 4 sampled negatives of each"
    assert base_rate({"negatives": drawn}, metrics) == rates | {"rate_of": of}
    none = Metrics(None, None, None, None, None, rows=0, positives=0, users=0)
    assert base_rate({"negatives": real}, none) == {"click_rate": None, "mean_score": None}


def test_where_rows_have_weights_the_rate_and_the_mean_score_are_by_weight() -> None:
    stream = MetricStream()
    label, weight = np.arange(100) < 20, np.where(np.arange(100) < 20, 1.0, 10.0)
    score = np.linspace(-3, 0, 100, dtype=np.float32)
    stream.update(score, label, np.zeros(100, int), weight)
    found = base_rate({"negatives": {"sampled": False}}, stream.compute())
    assert found["click_rate"] == pytest.approx(np.average(label, weights=weight))
    assert found["mean_score"] == pytest.approx(np.average(1 / (1 + np.exp(-score)), weights=weight))


def test_batches_hold_fewer_candidates_where_long_histories_are_searched_for_steps_or_for_matches(
    small_data: Dataset,
) -> None:
    def sizes(**given: Any) -> list[int]:
        return [len(batch) for batch in evaluation_batches(small_data, "test", 5, **given).epoch(0)]

    long = ENTRIES_AT_ONCE // 8
    usual = sizes()
    assert sizes(match_history=1000) == sizes(filter_by="item") == sizes(filter_history=long) == usual
    for given in ({"match_history": long}, {"filter_by": "item", "filter_history": long}):
        assert sum(sizes(**given)) == sum(usual)
        assert max(sizes(**given)) < 16 < max(usual)


def test_the_mean_score_is_that_of_the_model(small_data: Dataset, small_run: Run) -> None:
    model, config = small_run.load_model(), small_run.config.model
    with torch.no_grad():
        scores = [
            model(batch).logits.double()
            for batch in evaluation_batches(
                small_data, "test", config.max_history, config.matched_history
            ).epoch(0)
        ]
    assert model.calibration is not None
    scores = [torch.sigmoid(model.calibration.clicks(logits)) for logits in scores]
    found = base_rate(small_run.info.dataset, evaluate(small_run))
    assert found["mean_score"] == pytest.approx(torch.cat(scores).mean().item(), rel=1e-6)
