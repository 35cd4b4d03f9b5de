"""A search: its figures are the runs' own, it goes on after a kill, it never sees the test split."""

import csv
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dien.cli.commands import app
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.errors import DataError, RunError
from dien.files import write_text
from dien.run import RESULT, Run
from dien.training.compare import compared_configs
from dien.training.jobs import TEST
from dien.training.step_size import settled
from dien.training.tuning import TUNE
from tests.cli.running import dien
from tests.training.searches import SETTINGS, content, tune_small, without_seed

ARGUMENTS = ["--model", "din", *(part for setting in SETTINGS for part in ("--set", setting))]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture(scope="module")
def finished(small_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nothing disturbed; tests read it only."""
    out = tmp_path_factory.mktemp("tune") / "out"
    tune_small(small_data.path, out)
    return out


def test_every_figure_is_that_of_the_runs(finished: Path) -> None:
    found = content(finished)
    assert [trial["trial"] for trial in found["trials"]] == [0, 1, 2]
    for trial in found["trials"]:
        runs = [Run.open(finished / run["run"]) for run in trial["runs"]]
        results = [json.loads((run.path / RESULT).read_text()) for run in runs]
        assert [run.config.training.seed for run in runs] == [0, 1]
        for run in runs:
            dumped = run.config.model_dump(mode="json")
            for key, value in trial["values"].items():
                part, name = key.split(".")
                assert dumped[part][name] == value
            assert run.config.model.max_history == 5
            assert not (run.path / "checkpoints").exists()
        aucs = [result["valid_auc"] for result in results]
        assert [run["valid_auc"] for run in trial["runs"]] == aucs
        assert trial["valid_auc"] == statistics.fmean(aucs)
        assert trial["valid_auc_std"] == statistics.stdev(aucs)
        assert trial["status"] == "done"
    best = max(found["trials"], key=lambda trial: trial["valid_auc"])
    assert found["best"] == best["trial"]
    assert found["importance"] is None  # of three trials nobody knows
    with (finished / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["valid_auc"]) for row in rows] == [trial["valid_auc"] for trial in found["trials"]]
    assert rows[0]["model.head_hidden"] == "200-80"


def test_the_first_trial_is_the_configuration_itself_where_it_lies_in_the_space(
    small_data: Dataset, finished: Path
) -> None:
    own = settled(compared_configs(["din"], settings=SETTINGS)["din"], small_data)
    assert Run.open(finished / "runs/000-0").config == own


def test_best_yaml_trains_to_the_weights_of_the_best_trial_and_compares(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    best = Run.open(finished / f"runs/{content(finished)['best']:03d}-1")
    command = ["train", str(small_data.path), "--config", str(finished / "best.yaml"), "--seed", "1"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "run")], catch_exceptions=False)
    assert done.exit_code == 0
    weights = "model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (best.path / weights).read_bytes()
    configs = compared_configs(["sum-pooling", "din"], finished / "best.yaml")
    assert configs["din"] == without_seed(best.config)
    assert configs["sum-pooling"] == compared_configs(["sum-pooling"])["sum-pooling"]


def test_the_test_split_is_never_read(small_data: Dataset, finished: Path, tmp_path: Path) -> None:
    data = shutil.copytree(small_data.path, tmp_path / "data")
    poisoned = 0
    for file in (data / "test").rglob("*.npy"):
        column = np.load(file)
        column[1:-1] = -(2**7) if column.dtype == np.int8 else -1  # opening reads both ends
        np.save(file, column)
        poisoned += 1
    assert poisoned >= 6
    with pytest.raises(DataError, match="test/"):
        Dataset.open(data).check()
    found = tune_small(data, tmp_path / "out")
    assert {**found, "data": ""} == {**content(finished), "data": ""}
    assert not list((tmp_path / "out").glob(f"runs/*/{TEST}"))


def test_a_killed_search_goes_on_to_the_same_trials(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dien", "tune", str(small_data.path), "--out", str(out), *ARGUMENTS]
    command += ["--trials", "3", "--seeds", "2", "--jobs", "1"]
    first, second = out / "runs/000-0", out / "runs/000-1"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not ((first / RESULT).exists() and list(second.glob("checkpoints/step-*"))):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert output == ""
    assert "model.embedding_size: 8 | 12 | 18 | 24 | 36" in errors
    assert [trial["values"] for trial in content(out)["trials"]] == [
        trial["values"] for trial in content(finished)["trials"]
    ]
    kept = (first / RESULT).stat().st_mtime_ns
    again = tune_small(small_data.path, out)
    assert (first / RESULT).stat().st_mtime_ns == kept
    assert again == content(out) == content(finished)
    for file in ("trials.csv", "best.yaml", "runs/000-1/model.safetensors", "runs/002-1/metrics.jsonl"):
        assert (out / file).read_bytes() == (finished / file).read_bytes()


def test_checkpoints_that_a_kill_has_left_of_a_finished_run_are_removed(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    left = out / "runs/000-0/checkpoints"
    left.mkdir()
    tune_small(small_data.path, out)
    assert not left.exists()


def test_a_finished_search_is_only_read_again(small_data: Dataset, finished: Path) -> None:
    before = (finished / TUNE).read_text()
    assert tune_small(small_data.path, finished, jobs=1) == json.loads(before)
    assert (finished / TUNE).read_text() == before


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ([*SETTINGS[:-1]], {}, r"settings.training.checkpoint_steps = 3, not 1000"),
        (
            [*SETTINGS, "training.batch_size=512"],
            {},
            r"settings.training.batch_size = None, not 512",
        ),
        (SETTINGS, {"seeds": 1}, r"seeds = 2, not 1"),
        (SETTINGS, {"trials": 2}, r"has 3 trials, more than --trials 2"),
    ],
)
def test_a_folder_of_another_search_is_refused_by_what_differs(
    settings: list[str], options: dict[str, Any], expected: str, small_data: Dataset, finished: Path
) -> None:
    before = (finished / TUNE).read_text()
    with pytest.raises(RunError, match=expected):
        tune_small(small_data.path, finished, settings, **options)
    assert (finished / TUNE).read_text() == before


def test_other_data_and_a_folder_of_anything_else_are_refused(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(small_data.path, tmp_path / "data")
    with pytest.raises(RunError, match=r"data = '.*', not '.*data'"):
        tune_small(data, finished)
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match=r"holds no tune.json"):
        tune_small(small_data.path, tmp_path)


def test_data_that_was_prepared_anew_is_refused(
    small_log: Log, small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", shutil.copytree(finished, tmp_path / "out")
    write(temporal(small_log, seed=1), data)
    write_text(out / TUNE, json.dumps({**content(out), "data": str(data)}))
    with pytest.raises(RunError, match=r"recipe.seed of its dataset.json was 0, is 1"):
        tune_small(data, out)


def test_a_tune_json_that_something_else_has_written_is_refused(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    for trials in ({}, {"trials": 3}, {"trials": [{"trial": 0}]}, {"trials": [7]}):
        others = {key: value for key, value in content(finished).items() if key != "trials"}
        write_text(out / TUNE, json.dumps({**others, **trials}))
        with pytest.raises(RunError, match=r"tune.json: not as dien tune writes it"):
            tune_small(small_data.path, out)


def test_data_on_which_there_is_no_auc_is_refused(small_data: Dataset, tmp_path: Path) -> None:
    data = shutil.copytree(small_data.path, tmp_path / "data")
    label = np.load(data / "valid/label.npy")
    np.save(data / "valid/label.npy", np.ones_like(label))
    with pytest.raises(DataError, match=r"valid: no AUC to tune by"):
        tune_small(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trial_that_fails_says_why_and_is_tried_again(small_data: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["tune", str(small_data.path), "--model", "din", "--trials", "1", "--out", str(out)]
    arguments += ["--set", "training.learning_rate=1.0e+30", "--set", "training.epochs=1"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [trial["status"] for trial in found["trials"]] == ["failed"]
    assert "training diverged in epoch 1" in found["trials"][0]["runs"][0]["error"]
    assert found["best"] is None
    assert "trial 0  failed: " in done.stderr
    assert "training diverged" in (out / "trials.csv").read_text()
    assert not (out / "best.yaml").exists()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "trial 0  failed: " in again.stderr
    assert "1 trials, 1 failed" in again.stdout


def test_json_is_one_object_and_without_it_tables_are_printed(small_data: Dataset, finished: Path) -> None:
    arguments = ["tune", str(small_data.path), *ARGUMENTS, "--trials", "3", "--seeds", "2"]
    arguments += ["--out", str(finished)]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == content(finished)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "0.0005 .. 0.01, log-uniform" in done.stdout
    best = content(finished)["trials"][content(finished)["best"]]
    assert f"{best['valid_auc']:.4f}" in done.stdout
    assert "3 trials: " in done.stdout


def test_without_optuna_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # its import fails as if it were not there
    for module in ("dien.training.tune", "dien.training.suggest"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = dien("tune", "nowhere", "--model", "din", "--trials", "1", "--out", "x")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error: dien tune needs Optuna: pip install '.[tune]' in the clone\n"
