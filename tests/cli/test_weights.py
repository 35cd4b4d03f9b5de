"""What the commands say of weights and conversions, from the preparation to the evaluation."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.data.dataset import Dataset
from dien.data.tables import SPLITS
from tests.cli.running import Done, dien, ok

SCHEMA = "interactions: {label: click, weight: worth, conversion: bought}\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Done]:
    """A log with weights and conversions, prepared by the command, and what it printed."""
    folder, rng, rows = tmp_path_factory.mktemp("weights"), np.random.default_rng(0), 2000
    log = pl.DataFrame(
        {
            "user": rng.integers(0, 30, rows),
            "item": rng.integers(0, 20, rows),
            "time": np.sort(rng.integers(1_700_000_000, 1_700_500_000, rows)),
            "click": rng.integers(0, 2, rows),
            "worth": rng.integers(0, 4, rows) / 4,
        }
    )
    log = log.with_columns(bought=pl.col("click") * (pl.col("item") % 2))
    log.write_parquet(folder / "log.parquet")
    (folder / "schema.yaml").write_text(SCHEMA)
    log_and_schema = ("--interactions", folder / "log.parquet", "--schema", folder / "schema.yaml")
    done = dien("prepare", "table", *log_and_schema, "--out", folder / "data")
    assert done.returncode == 0, done.stderr
    return Dataset.open(folder / "data"), done


def plain(text: str) -> str:
    """Text without commas in numbers, with single blanks."""
    return re.sub(" +", " ", text.replace(",", ""))


def test_preparing_says_what_weights_add_up_to_and_how_many_clicks_led_to_a_conversion(
    prepared: tuple[Dataset, Done],
) -> None:
    data, done = prepared
    printed = plain(done.stdout)
    for name in SPLITS:
        split = data.splits[name]
        assert f"\n{name} weights add up to {split.weight.sum():.1f}" in printed
        made, clicks = (split.conversion == 1).sum(), split.label.sum()
        assert f"\n{name} conversions {made} of {clicks} clicks" in printed


def test_evaluating_gives_the_sum_of_the_weights_and_the_metrics_of_both_labels(
    prepared: tuple[Dataset, Done], tmp_path: Path
) -> None:
    data, _ = prepared
    run = tmp_path / "run"
    ok("train", data.path, "--model", "sum-pooling", "--out", run, "--set", "training.epochs=1")
    found = ok("evaluate", run, "--split", "valid")
    weight = float(data.splits["valid"].weight.sum())
    assert found["sum_of_weights"] == pytest.approx(weight)
    assert all(re.fullmatch("[a-z_]+", key) for key in found), json.dumps(found)
    assert 0 <= found["conversion"]["auc"] <= 1
    printed = plain(dien("evaluate", run, "--split", "valid").stdout)
    assert f"\nsum of weights {weight:.1f}" in printed
    assert f"\nconversion AUC {found['conversion']['auc']:.4f}" in printed
