"""The model that docs/contributing.md shows: one file, which stands outside the package."""

import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dien import Scorer, evaluate, fit
from dien.config import load_config
from dien.data.dataset import Dataset
from dien.errors import ConfigError
from dien.models import model_config, models, registry
from dien.training.log import read_records
from dien.training.space import search_space

FILE = Path(__file__).with_name("example_model.py")
GENERATOR = Path(__file__).parents[2] / "docs/generate/configuration.py"
SETTINGS = ["training.epochs=2", "training.batch_size=256", "model.embedding_size=4", "model.penalty=0.1"]


@pytest.fixture
def example() -> Iterator[Any]:
    """The module, whose model is registered as long as a test lasts."""
    models()
    before = dict(registry._models)
    yield importlib.import_module("tests.models.example_model")
    del sys.modules["tests.models.example_model"]
    registry._models.clear()
    registry._models.update(before)


def test_a_model_outside_the_package_is_offered_by_its_name_and_tuned(example: Any) -> None:
    assert list(models())[-1] == "mean-pooling"
    assert model_config("mean-pooling") == example.MeanPoolingConfig()
    assert "model.penalty" in search_space("mean-pooling")
    with pytest.raises(ConfigError, match=r"unknown key model\.penalti; did you mean model\.penalty\?"):
        load_config(overrides=["model.penalti=1"], model="mean-pooling")


def test_the_configuration_page_gets_the_model_and_its_key_from_the_docstring(example: Any) -> None:
    sections = runpy.run_path(str(GENERATOR))["model_sections"]()
    section = sections.partition("\n## Model mean-pooling\n\n")[2]
    assert section.startswith("The mean of a history beside the target, in an MLP.\n")
    assert (
        "| `model.penalty` | number ≥ 0 | `0.01` | Weight of the mean squared logit in the loss. |" in section
    )


def test_a_model_outside_the_package_trains_evaluates_and_scores(
    example: Any, small_data: Dataset, tmp_path: Path
) -> None:
    config = load_config(overrides=SETTINGS, model="mean-pooling")
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    metrics = evaluate(tmp_path / "run", split="valid")
    assert metrics.auc == pytest.approx(result.valid_auc)
    for record in read_records(tmp_path / "run"):
        assert record["loss"] == pytest.approx(record["target_loss"] + 0.1 * record["logit_size"])
    scorer = Scorer.load(tmp_path / "run")
    assert type(scorer.model) is example.MeanPooling
    scores = scorer.score("u3", ["1", "5"], ["7", "8", "9"])
    assert ((scores > 0) & (scores < 1)).all()


def test_the_command_line_finds_a_model_by_an_entry_point(small_data: Dataset, tmp_path: Path) -> None:
    site, run = tmp_path / "site", tmp_path / "run"
    (site / "mine-1.dist-info").mkdir(parents=True)
    (site / "mine-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (site / "mine-1.dist-info/entry_points.txt").write_text("[dien.models]\nmean = mean_pooling\n")
    (site / "mean_pooling.py").write_bytes(FILE.read_bytes())

    def dien(*arguments: object) -> Any:
        paths = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        done = subprocess.run(
            [sys.executable, "-m", "dien", *map(str, arguments), "--json"],
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    dien("train", small_data.path, "--model", "mean-pooling", "--out", run, *settings)
    assert 0 <= dien("evaluate", run)["auc"] <= 1
