"""Synthetic logs from the command line."""

from pathlib import Path

import pytest

from tests.cli.running import ok


def test_synthetic_logs_say_what_a_model_can_reach(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    made = ok("prepare", "synthetic", "--users", 100, "--items", 60, "--days", 10, "--out", data)
    assert 0.7 < made["truth"]["best_auc"]["test"] < 0.95
    ok("train", data, "--model", "sum-pooling", "--out", run, "--set", "training.epochs=1")
    metrics = ok("evaluate", run)
    best = made["truth"]["best_auc"]["test"]
    assert metrics["share_of_best"] == pytest.approx((metrics["auc"] - 0.5) / (best - 0.5))
    log = ok("prepare", "synthetic", "--users", 50, "--items", 60, "--days", 3, "--log", tmp_path / "log")
    assert len(list(Path(log["log"], "interactions").iterdir())) == 3
