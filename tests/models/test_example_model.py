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
import torch

from dien import Scorer, compare, evaluate, fit
from dien.config import load_config
from dien.data.dataset import Dataset
from dien.errors import ConfigError
from dien.models import model_config, models, registry
from dien.training.log import read_records
from dien.training.space import search_space
from tests.cli.running import command

FILE = Path(__file__).with_name("example_model.py")
GENERATOR = Path(__file__).parents[2] / "docs/generate/configuration.py"
SETTINGS = ["training.epochs=2", "training.batch_size=256", "model.embedding_size=4", "model.penalty=0.1"]


@pytest.fixture
def example(_models_as_before: None) -> Iterator[Any]:
    """The module, whose model is registered as long as a test lasts."""
    yield importlib.import_module("tests.models.example_model")
    del sys.modules["tests.models.example_model"]


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

    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    done = subprocess.run(
        command("train", small_data.path, "--model", "mean-pooling", "--out", run, *settings, "--json"),
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["valid_auc"] <= 1


def test_a_model_that_a_script_registers_is_compared_in_processes_of_their_own(
    small_data: Dataset, tmp_path: Path
) -> None:
    """Also where the processes that train do not run the line that registers it."""
    model, _, registration = FILE.read_text().rpartition("\nregister(")
    (tmp_path / "mean_pooling.py").write_text(model)
    (tmp_path / "script.py").write_text(
        f"""from dien import RunConfig, TrainConfig, compare
from mean_pooling import *

if __name__ == "__main__":
    register({registration}
    config = RunConfig(model=MeanPoolingConfig(), training=TrainConfig(epochs=1, batch_size=512))
    done = compare([{str(small_data.path)!r}], {{"mine": config}}, "compared", show_progress=False)
    print(done.runs[0].status, getattr(done.runs[0], "error", ""))
"""
    )
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("done"), done.stdout + done.stderr


def test_a_model_that_other_processes_cannot_import_is_refused(
    example: Any, small_data: Dataset, tmp_path: Path
) -> None:
    class Inside(example.MeanPooling):  # type: ignore[misc, name-defined]
        pass

    registry.register("inside", Inside, example.MeanPoolingConfig())
    registry._models["mean-pooling"] = registry._models.pop("inside")
    config = load_config(model="mean-pooling")
    with pytest.raises(
        ConfigError, match=r"mean-pooling: .*Inside is defined in a function.*file of its own"
    ):
        compare([small_data.path], {"mine": config}, tmp_path / "compared")
    assert not list(tmp_path.iterdir())


def test_a_registration_that_cannot_work_is_refused(example: Any) -> None:
    register = registry.register
    again = type(
        "MeanPooling", (example.MeanPooling,), {"__module__": example.__name__}
    )  # as a cell run again
    register("mean-pooling", again, example.MeanPoolingConfig())
    register("mean-pooling", again, example.MeanPoolingConfig())
    assert models()["mean-pooling"].model is again
    with pytest.raises(ValueError, match="the name 'din' is taken, by DIN"):
        register("din", example.MeanPooling, example.MeanPoolingConfig())
    with pytest.raises(TypeError, match=r"config is <class .*; expected a configuration, as MyConfig\(\)"):
        register("mine", example.MeanPooling, example.MeanPoolingConfig)
    with pytest.raises(TypeError, match=r"model is <class 'torch.*Linear'>; expected a class derived from"):
        register("mine", torch.nn.Linear, example.MeanPoolingConfig())
    del registry._models["mean-pooling"]
    register("mine", example.MeanPooling, example.MeanPoolingConfig())
    with pytest.raises(
        ConfigError, match=r"'mine' has the name 'mean-pooling'.*Literal\[\"mine\"\] = \"mine\""
    ):
        model_config("mine")
    with pytest.raises(
        ConfigError, match=r"unknown model 'other'.*once the file that registers it is imported"
    ):
        model_config("other")
