"""Two models on the same rows: metrics as of an evaluation, and never of rows that one was trained on."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.sources.table import prepare
from dien.errors import DienError, PublishError
from dien.run import Run
from dien.serving.publish.held_out import METRICS, expect_held_out, held_out
from dien.training import evaluate, fit

DAY = 1_701_700_000
SETTINGS = ["training.epochs=1", "model.max_history=5", "model.hidden_size=4", "training.batch_size=64"]


def test_metrics_are_those_of_an_evaluation_and_the_difference_lies_in_its_interval(
    small_data: Dataset, three_runs: list[Path]
) -> None:
    new, current = Run.open(three_runs[2]), Run.open(three_runs[0])
    found = held_out(new, current, small_data)
    expected = [evaluate(run, small_data) for run in (new, current)]
    assert found.rows == expected[0].rows
    for metric in METRICS:
        one = found.metrics[metric]
        figures = [getattr(metrics, metric) for metrics in expected]
        assert [one.new, one.current] == pytest.approx(figures, abs=1e-5)
        assert one.difference == pytest.approx(figures[0] - figures[1], abs=2e-5)
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.difference <= one.high
        worse = one.worse_by(metric)
        assert worse == (one.difference if metric == "log_loss" else -one.difference)


def test_a_model_does_not_differ_from_itself(small_data: Dataset, small_run: Run) -> None:
    found = held_out(small_run, small_run, small_data, "valid")
    for one in found.metrics.values():
        assert (one.difference, one.low, one.high) == (0, 0, 0)
        assert one.new == one.current


def test_a_model_alone_has_its_metrics(small_data: Dataset, small_run: Run) -> None:
    one = held_out(small_run, None, small_data).metrics["auc"]
    assert one.new is not None
    assert (one.current, one.difference, one.low, one.worse_by("auc")) == (None, None, None, None)


@dataclass(frozen=True)
class TwoDays:
    """A dataset folder before and after a day was added, and the run of each."""

    old: Dataset
    grown: Dataset
    first: Run
    second: Run


@pytest.fixture(scope="module")
def two_days(small_log: Log, tmp_path_factory: pytest.TempPathFactory) -> TwoDays:
    folder = tmp_path_factory.mktemp("days")
    events = small_log.events.select("user", "item", pl.col("time") + 1_700_000_000)
    events = events.unique("time", maintain_order=True)
    config = load_config(overrides=SETTINGS)
    first_day = events.filter(pl.col("time") < DAY)
    prepare(first_day, folder / "data", negatives=1)
    fit(Dataset.open(folder / "data"), config, folder / "first", show_progress=False)
    shutil.copytree(folder / "data", folder / "old")
    grown = prepare(events.filter(pl.col("time") >= DAY), folder / "data", append=True, negatives=1)
    fit(grown, config, folder / "second", start_from=folder / "first", show_progress=False)
    runs = Run.open(folder / "first"), Run.open(folder / "second")
    return TwoDays(Dataset.open(folder / "old"), grown, *runs)


def test_the_model_of_a_new_day_and_the_one_before_are_compared_on_what_neither_was_trained_on(
    two_days: TwoDays,
) -> None:
    found = held_out(two_days.second, two_days.first, two_days.grown).metrics["log_loss"]
    own = evaluate(two_days.second, two_days.grown)
    assert found.new == pytest.approx(own.log_loss, abs=1e-5)
    assert found.current is not None
    assert found.current != found.new


def test_rows_that_the_new_model_was_trained_on_are_refused(two_days: TwoDays) -> None:
    # The old test rows are training rows since the day was added.
    with pytest.raises(PublishError, match="tested on what it was trained on") as error:
        expect_held_out(two_days.second, two_days.old, "test")
    assert str(two_days.second.path) in str(error.value)
    expect_held_out(two_days.first, two_days.old, "test")
    expect_held_out(two_days.first, two_days.grown, "valid")


def test_rows_count_by_their_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = 900
    log = pl.DataFrame(
        {
            "user": rng.integers(0, 40, rows),
            "item": rng.integers(0, 30, rows),
            "time": 1_700_000_000 + np.sort(rng.choice(90_000, rows, replace=False)),
            "label": rng.integers(0, 2, rows),
            "weight": rng.integers(0, 4, rows).astype(float),
        }
    )
    data = prepare(log, tmp_path / "data", schema={"interactions": {"label": "label", "weight": "weight"}})
    fit(data, load_config(overrides=SETTINGS), tmp_path / "run", show_progress=False)
    found, own = held_out(Run.open(tmp_path / "run"), None, data), evaluate(tmp_path / "run", data)
    for metric in METRICS:
        assert found.metrics[metric].new == pytest.approx(getattr(own, metric), abs=1e-5)


def test_a_dataset_of_other_ids_is_refused(small_data: Dataset, small_run: Run, two_days: TwoDays) -> None:
    with pytest.raises(DienError, match="tested on what it was trained on"):
        held_out(small_run, two_days.first, small_data)
