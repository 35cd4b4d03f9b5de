"""A comparison: the same batches for every model, figures that are the runs' own, going on after a kill."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from dien.cli.commands import app
from dien.config import RunConfig
from dien.data.dataset import Dataset
from dien.data.log import CONVERSION, Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.errors import ConfigError, DataError, RunError
from dien.lock import locked
from dien.models import build
from dien.packed import Packed
from dien.reports.comparison_notes import notes
from dien.run import Run
from dien.training import evaluate
from dien.training.compare import compare, compared_configs
from dien.training.comparison import COMPARISON, Comparison, read_curves
from dien.training.jobs import Job
from dien.training.progress import Bar
from dien.training.space import with_values
from dien.training.trainer import Trainer

MODELS = ["sum-pooling", "dien"]
SETTINGS = [
    "model.embedding_size=4",
    "model.max_history=10",
    "training.batch_size=256",
    "training.epochs=2",
    "training.checkpoint_steps=5",
]
RATES = ("training_rows_per_second", "scoring_rows_per_second")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def compare_small(data: Dataset, out: Path, **options: Any) -> Comparison:
    options = {"seeds": 2, "show_progress": False, **options}
    return compare([data.path], compared_configs(MODELS, settings=SETTINGS), out, **options)


@pytest.fixture(scope="module")
def finished(small_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that nothing disturbed; tests read it only."""
    out = tmp_path_factory.mktemp("compare") / "out"
    compare_small(small_data, out)
    return out


def content(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / COMPARISON).read_text())
    return loaded


def without_rates(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: without_rates(value) for key, value in found.items() if key not in RATES}
    return [without_rates(value) for value in found] if isinstance(found, list) else found


def test_every_figure_is_that_of_the_run(small_data: Dataset, finished: Path) -> None:
    found = content(finished)
    assert [(run["model"], run["seed"]) for run in found["runs"]] == [
        (model, seed) for seed in range(2) for model in MODELS
    ]
    curves = read_curves(finished, Comparison.load(finished))
    for run in found["runs"]:
        folder = Run.open(finished / run["run"])
        assert folder.config.training.seed == run["seed"]
        assert folder.config.model.name == run["model"]
        assert run["status"] == "done"
        test = evaluate(folder, small_data).to_dict()
        assert {name: figure for name, figure in run["test"].items() if name in test} == test
        assert all(figure is None for name, figure in run["test"].items() if name not in test)
        epochs = [r for r in curves[run["model"]][run["seed"]] if r["kind"] == "epoch"]
        assert run["valid_auc"] == max(record["valid_auc"] for record in epochs)
        assert run["epochs"] == len(epochs) == 2
        assert run["training_rows_per_second"] > 0
        assert run["parameters"] == sum(p.numel() for p in folder.load_model().parameters())
    for record in found["table"]:
        aucs = [run["test"]["auc"] for run in found["runs"] if run["model"] == record["model"]]
        assert record["auc"]["mean"] == pytest.approx(sum(aucs) / 2)
    assert found["untested"] is None


def test_every_model_gets_the_same_impressions_and_negatives_in_the_same_order(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    def flat(columns: dict[str, Any]) -> list[torch.Tensor]:
        return [
            part
            for name in sorted(columns)
            for part in (
                (columns[name].values, columns[name].offsets)
                if isinstance(columns[name], Packed)
                else (columns[name],)
            )
        ]

    streams = []
    for model in MODELS:
        run = Run.open(shutil.copytree(finished / "runs" / f"{model}-1", tmp_path / model))
        for file in (run.path / "checkpoints").iterdir():
            file.unlink()  # begin anew
        trainer = Trainer(build(run.config.model, run.schema), run, small_data, Bar(False))
        epochs = range(run.config.training.epochs)
        streams.append([batch for epoch in epochs for batch in trainer.batches.epoch(epoch)])
        trainer.close()
    assert len(streams[0]) == len(streams[1]) > 2
    assert streams[0][0].negatives is None
    assert streams[1][0].negatives is not None
    for one, other in zip(*streams, strict=True):
        for name in ("history", "target", "user", "context"):
            pairs = zip(flat(getattr(one, name)), flat(getattr(other, name)), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs), name
        for name in ("offsets", "history_of", "label", "user_row"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_a_killed_comparison_goes_on_to_the_same_figures(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dien", "compare", str(small_data.path), "--out", str(out)]
    command += ["--models", ",".join(MODELS), "--seeds", "2", "--jobs", "1"]
    command += [part for setting in SETTINGS for part in ("--set", setting)]
    first, second = (out / "runs" / f"{model}-0" for model in MODELS)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not ((first / "test.json").exists() and list(second.glob("checkpoints/step-*"))):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert output == ""
    assert "sum-pooling  seed 0  test AUC" in errors
    assert [run["status"] for run in content(out)["runs"]] == ["done", *["unfinished"] * 3]
    kept = (first / "test.json").stat().st_mtime_ns
    again = compare_small(small_data, out)
    assert (first / "test.json").stat().st_mtime_ns == kept
    assert again.to_dict() == content(out)
    assert without_rates(again.to_dict()) == without_rates(content(finished))
    for run in content(out)["runs"]:
        for file in ("model.safetensors", "metrics.jsonl"):
            assert (out / run["run"] / file).read_bytes() == (finished / run["run"] / file).read_bytes()


def test_a_full_disk_ends_a_comparison_with_how_to_go_on(
    small_data: Dataset, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RunError, match=r"comparison.json: .*make room .*, then run the same command again"):
        compare_small(small_data, finished)


def test_a_finished_comparison_is_only_read_again(small_data: Dataset, finished: Path) -> None:
    before = (finished / COMPARISON).read_text()
    assert compare_small(small_data, finished, jobs=1).to_dict() == json.loads(before)
    assert (finished / COMPARISON).read_text() == before


@pytest.mark.parametrize(
    ("models", "settings", "seeds", "expected"),
    [
        (
            ["sum-pooling", "din"],
            SETTINGS,
            2,
            r"models = \['sum-pooling', 'dien'\], not \['sum-pooling', 'din'",
        ),
        (MODELS, SETTINGS, 3, r"seeds = 2, not 3"),
        (MODELS, SETTINGS[:-1], 2, r"settings.sum-pooling.training.checkpoint_steps = 5, not 1000"),
    ],
)
def test_a_folder_of_another_comparison_is_refused_by_what_differs(
    models: list[str], settings: list[str], seeds: int, expected: str, small_data: Dataset, finished: Path
) -> None:
    before = (finished / COMPARISON).read_text()
    with pytest.raises(RunError, match=expected):
        compare([small_data.path], compared_configs(models, settings=settings), finished, seeds=seeds)
    assert (finished / COMPARISON).read_text() == before


def test_a_folder_of_anything_else_or_in_use_is_refused(
    small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="holds no comparison"):
        compare_small(small_data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with locked(finished), pytest.raises(RunError, match="another process is at work here"):
        compare_small(small_data, finished)


def test_runs_on_data_that_was_prepared_anew_are_refused(
    small_log: Log, small_data: Dataset, finished: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(small_data.path, tmp_path / "data")
    out = shutil.copytree(finished, tmp_path / "out")
    known = content(out)
    (out / COMPARISON).write_text(json.dumps({**known, "data": [str(data)]}))
    assert compare_small(Dataset.open(data), out).to_dict()["table"] == known["table"]
    shutil.rmtree(data)
    write(temporal(small_log, seed=1), data)
    with pytest.raises(RunError, match=r"recipe.seed of its dataset.json was 0, is 1"):
        compare_small(Dataset.open(data), out)


def test_a_run_that_fails_says_why_and_stops_no_other(small_data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("models:\n  dien: {training: {learning_rate: 1.0e+30}}\n")
    arguments = [
        "compare",
        str(small_data.path),
        "--models",
        "dien,sum-pooling",
        "--out",
        str(tmp_path / "out"),
    ]
    arguments += ["--config", str(tmp_path / "c.yaml"), "--set", "training.epochs=1"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 1
    failed, other = json.loads(done.stdout)["runs"]
    assert failed["status"] == "failed"
    assert "training diverged in epoch 1" in failed["error"]
    assert other["status"] == "done"
    assert "dien  seed 0  failed: " in done.stderr
    table = (tmp_path / "out/table.md").read_text()
    assert "dien, seed 0: failed: " in table
    assert "training.learning_rate (dien 1e+30, sum-pooling 0.0025)" in table
    assert "No test: a paired test needs two replicates" in table


def test_json_is_one_object_and_without_it_the_table_is_printed(small_data: Dataset, finished: Path) -> None:
    arguments = ["compare", str(small_data.path), "--models", ",".join(MODELS), "--seeds", "2"]
    arguments += ["--out", str(finished), *(part for setting in SETTINGS for part in ("--set", setting))]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == content(finished)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "| sum-pooling | 0." in done.stdout
    assert "RelaImpr is over sum-pooling" in done.stdout
    assert {path.name for path in finished.iterdir()} == {
        COMPARISON,
        "pairs.csv",
        "report.html",
        "runs",
        "runs.csv",
        "table.csv",
        "table.md",
    }


def test_a_key_for_all_models_is_warned_of_if_none_has_a_use_for_it_and_one_for_a_model_if_that_has_none(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    file, fixed = tmp_path / "c.yaml", ["training.auxiliary_negatives=fixed"]
    compared_configs(["din", "dien"], settings=fixed)
    assert not recwarn.list
    compared_configs(["din", "gru+augru"], settings=fixed)
    assert [str(warning.message) for warning in recwarn] == [
        "training.auxiliary_negatives has no effect without an auxiliary loss"
    ]
    file.write_text("models: {din: {training: {auxiliary_negatives: fixed}}}")
    recwarn.clear()
    compared_configs(["din", "dien"], file)
    assert [str(warning.message) for warning in recwarn] == [
        "din: training.auxiliary_negatives has no effect without an auxiliary loss"
    ]


def test_a_name_that_is_no_name_of_a_folder_is_spelt_as_one(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.training.compare.run_all", lambda *_: None)
    config = compared_configs(["din"])["din"]
    found = compare(
        [small_data.path], {"a:b/c": config, "a+b": config}, tmp_path / "out", show_progress=False
    )
    assert [run.run for run in found.runs] == ["runs/a%3Ab%2Fc-0", "runs/a+b-0"]


def test_a_batch_size_and_a_learning_rate_that_are_null_are_the_numbers_that_follow_from_the_rows(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Job] = []
    monkeypatch.setattr("dien.training.compare.run_all", lambda jobs, *_: started.extend(jobs))
    configs = compared_configs(["din", "dien"])
    numbers = {"batch_size": 128, "learning_rate": 0.0025}
    configs["dien"] = with_values(configs["dien"], {f"training.{key}": n for key, n in numbers.items()})
    found = compare([small_data.path], configs, tmp_path / "out", show_progress=False)
    assert not {key for key in numbers if f"training.{key}" in "".join(notes(found))}
    for job in started:
        assert {key: getattr(job.config.training, key) for key in numbers} == numbers

    stored = content(tmp_path / "out")  # as earlier versions wrote it
    stored["settings"]["din"]["training"].update(dict.fromkeys(numbers))
    (tmp_path / "out" / COMPARISON).write_text(json.dumps(stored))
    assert compare([small_data.path], configs, tmp_path / "out", show_progress=False) == found


def test_several_data_each_have_seeds_of_their_own(
    small_log: Log, small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Job] = []

    def note(jobs: list[Job], processes: int, ended: object, meanwhile: object) -> None:
        started.extend(jobs)

    monkeypatch.setattr("dien.training.compare.run_all", note)
    write(temporal(small_log, seed=1), tmp_path / "other")
    configs = compared_configs(["din"], settings=SETTINGS)
    found = compare(
        [small_data.path, tmp_path / "other"], configs, tmp_path / "out", seeds=2, show_progress=False
    )
    assert [(job.data, job.config.training.seed) for job in started] == [
        (path, seed)
        for path, seeds in ((small_data.path, (0, 1)), (tmp_path / "other", (2, 3)))
        for seed in seeds
    ]
    assert [run.status for run in found.runs] == ["unfinished"] * 4


def test_data_that_are_not_one_log_prepared_with_several_seeds_are_refused(
    small_log: Log, small_data: Dataset, tmp_path: Path
) -> None:
    configs = compared_configs(["din"])
    same = shutil.copytree(small_data.path, tmp_path / "same")
    with pytest.raises(DataError, match="the same rows as"):
        compare([small_data.path, same], configs, tmp_path / "out")
    write(temporal(replace(small_log, users=small_log.users.select("user")), seed=1), tmp_path / "fewer")
    with pytest.raises(DataError, match=r"fewer: features is .*of one and the same log"):
        compare([small_data.path, tmp_path / "fewer"], configs, tmp_path / "out")
    bought = small_log.events.with_columns(pl.lit(1, pl.Int8).alias(CONVERSION))
    write(temporal(replace(small_log, events=bought), seed=1), tmp_path / "bought")
    with pytest.raises(DataError, match=r"bought: conversions is True, in .* False; .*one and the same log"):
        compare([small_data.path, tmp_path / "bought"], configs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_sets_keys_for_all_models_and_for_one(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "training: {epochs: 4, batch_size: 64}\n"
        "models:\n  din: {training: {batch_size: 32}, model: {embedding_size: 6}}\n  sum-pooling: {}\n"
    )
    configs = compared_configs(["din", "dien"], file, ["training.epochs=3"])
    din, dien = configs["din"], configs["dien"]
    assert (din.training.batch_size, din.training.epochs, din.model.embedding_size) == (32, 3, 6)
    assert (dien.training.batch_size, dien.training.epochs, dien.model.embedding_size) == (64, 3, 18)
    assert file.read_text().startswith("training")


def refused(**arguments: Any) -> Callable[[], dict[str, RunConfig]]:
    return lambda: compared_configs(**arguments)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (refused(models=[]), "name one at least"),
        (refused(models=["dian"]), "unknown model 'dian'"),
        (refused(models=["din", "din"]), "din is named twice"),
        (refused(models=["din"], settings=["model.hidden_size=8"]), r"^din: unknown key model.hidden_size"),
        (refused(models=["din"], settings=["model.name=dien"]), "the command names its models"),
        (refused(models=["din"], settings=["training.seed=7"]), "say how many with --seeds"),
        (refused(models=["din"], settings=["training.seed=0"]), "say how many with --seeds"),
    ],
)
def test_models_and_keys_that_cannot_be_compared_are_refused(
    call: Callable[[], object], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        call()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: [din]", "expected a mapping of names"),
        ("models: {dian: {}}", "c.yaml: models: unknown model 'dian'"),
        ("models: {din: 3}", "models.din: expected a mapping"),
    ],
)
def test_a_file_that_sets_keys_otherwise_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=expected):
        compared_configs(["din"], tmp_path / "c.yaml")
