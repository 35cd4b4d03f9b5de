"""From reviews to scores by the commands alone."""

import json
import re
from pathlib import Path

import pytest

from dien.data.dataset import Dataset
from dien.models import model_config
from dien.run import Run
from tests.cli.running import dien, ok


def test_the_commands_lead_the_whole_way_from_reviews_to_scores(amazon_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained = ok("train", amazon_data, "--model", "dien", "--out", run, "--set", "training.epochs=1")
    assert trained["run"] == str(run)
    evaluated = ok("evaluate", run)
    assert 0 <= evaluated["auc"] <= 1
    assert evaluated["rows"] == Dataset.open(amazon_data).info.sizes.splits["test"].rows
    slices = ok("evaluate", run, "--slices")["slices"]
    assert sum(part["rows"] for name, part in slices.items() if name.startswith("item")) == evaluated["rows"]
    printed = dien("evaluate", run, "--slices").stdout
    assert f"\nGAUC {evaluated['gauc']:.4f}" in re.sub(" +", " ", printed)
    assert all(name in printed for name in slices)
    assert f"rows {evaluated['rows']}" in " ".join(printed.replace(",", "").split())
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"user": "u1", "history": ["i1"], "candidates": ["i2", "i3"]}\n')
    scored = ok("score", run, requests, "--out", tmp_path / "scores.jsonl")
    assert (scored["requests"], scored["candidates"]) == (1, 2)
    assert len(json.loads((tmp_path / "scores.jsonl").read_text())["scores"]) == 2


@pytest.mark.parametrize("model", ["gru+agru", "dien:authors", "wide-deep", "rocket"])
def test_a_model_of_the_papers_tables_is_trained_by_its_name_and_scored(
    model: str, amazon_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ok("train", amazon_data, "--model", model, "--out", run, "--set", "training.epochs=1")
    assert Run.open(run).config.model == model_config(model)
    assert 0 <= ok("evaluate", run)["auc"] <= 1


def test_a_run_is_not_trained_over(amazon_data: Path, small_run: Run) -> None:
    done = dien("train", amazon_data, "--out", small_run.path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
