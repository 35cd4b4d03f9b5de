import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from msgspec import structs
from safetensors import SafetensorError
from safetensors.torch import load_file

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.data.log import WEIGHT, Log
from dien.data.prepare import temporal
from dien.data.tables import Split
from dien.data.writer import write
from dien.errors import DataError, DatasetWarning, RunError
from dien.lock import locked
from dien.models import DIEN
from dien.run import Run
from dien.training import checkpoint, evaluate, evaluate_slices, fit, popularity_baseline, trainer
from tests.data.datasets import without_rows
from tests.data.logs import make_log
from tests.training.board import read_board
from tests.training.stopped import of_epoch, stopping

SMALL = ["model.hidden_size=6", "model.embedding_size=4", "training.batch_size=512"]


def config_of(*overrides: str) -> RunConfig:
    return load_config(overrides=[*SMALL, *overrides])


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_seed_alone_decides_the_weights(small_data: Dataset, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        torch.rand(7)  # the global generator is elsewhere each time
        fit(
            small_data,
            config_of("training.epochs=1", f"training.seed={seed}"),
            tmp_path / name,
            show_progress=False,
        )
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_weights_that_are_all_alike_train_and_evaluate_to_the_same_bits_and_others_do_not(
    small_log: Log, tmp_path: Path
) -> None:
    config = config_of("training.epochs=1", "training.learning_rate=0.01")
    found = {}
    for name, weight in (("none", None), ("alike", 2.0), ("others", [0.0, 1.0, 5.0] * 500)):
        log = small_log
        if weight is not None:
            events = log.events.with_columns(pl.Series(WEIGHT, np.broadcast_to(weight, 1500), pl.Float32))
            log = replace(log, events=events)
        write(temporal(log, negatives=2), tmp_path / name)
        fit(tmp_path / name, config, tmp_path / f"{name}-run", show_progress=False)
        parts = evaluate_slices(tmp_path / f"{name}-run")
        found[name] = (
            weights(tmp_path / f"{name}-run"),
            parts,
            popularity_baseline(Dataset.open(tmp_path / name)),
        )
    assert found["alike"] == found["none"]
    assert all(a != b for a, b in zip(found["others"], found["none"], strict=True))


def test_training_leaves_global_state_and_standard_output_alone(
    small_data: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    def state() -> list[Any]:
        return [
            torch.get_rng_state().tolist(),
            torch.are_deterministic_algorithms_enabled(),
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
        ]

    before = state()
    fit(small_data, config_of("training.epochs=1"), Path("run"))
    assert state() == before
    output, errors = capfd.readouterr()
    assert output == ""
    assert [line.split("  ")[0] for line in errors.splitlines()] == ["epoch 1"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


class Untouchable(Split):
    def __getattribute__(self, name: str) -> Any:
        raise AssertionError("the test split was read")


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_another_process_trains_is_left_alone(
    small_data: Dataset, tmp_path: Path, resume: bool
) -> None:
    with locked(tmp_path / "run"), pytest.raises(RunError, match="run: another process is at work here"):
        fit(small_data, RunConfig(), tmp_path / "run", resume=resume, show_progress=False)
    assert not list(tmp_path.iterdir())


def test_checkpoints_that_a_process_did_not_come_to_remove_go_when_the_run_goes_on(
    small_data: Dataset, small_run: Run, tmp_path: Path
) -> None:
    run = shutil.copytree(small_run.path, tmp_path / "run")
    (run / "result.json").unlink()
    kept = sorted(path.name for path in (run / "checkpoints").iterdir())
    for name in kept:
        shutil.copy(run / "checkpoints" / name, run / "checkpoints" / f"{name[:5]}000000001.safetensors")
    fit(small_data, small_run.config, run, resume=True, show_progress=False)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == kept


def test_the_test_split_is_never_read(small_data: Dataset, tmp_path: Path) -> None:
    hidden = {**small_data.splits, "test": object.__new__(Untouchable)}
    fit(
        replace(small_data, splits=hidden),
        config_of("training.epochs=1"),
        tmp_path / "run",
        show_progress=False,
    )


@pytest.mark.parametrize(("name", "longest"), [("dien", 50), ("dien:authors", 100)])
def test_training_validation_and_test_cut_histories_where_the_model_says(
    name: str, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"u{user}", f"i{k * 7 % 11}", 10 * k + user) for user in range(2) for k in range(150)]
    write(temporal(make_log(rows), negatives=1), tmp_path / "data")
    read: list[tuple[bool, int]] = []
    forward = DIEN.forward

    def noted(self: DIEN, batch: Any) -> Any:
        read.append((self.training, int(batch.offsets.diff().max())))
        return forward(self, batch)

    monkeypatch.setattr(DIEN, "forward", noted)
    config = load_config(overrides=[*SMALL, "training.epochs=1"], model=name)
    fit(tmp_path / "data", config, tmp_path / "run", show_progress=False)
    trained, validated = ([n for training, n in read if training == mode] for mode in (True, False))
    assert max(trained) == max(validated) == longest
    read.clear()
    evaluate(tmp_path / "run")
    assert max(read) == (False, longest)


def test_a_resumed_run_has_each_scalar_once(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops in the second epoch, after more records than its checkpoint knows of."""
    monkeypatch.setattr(trainer, "LOG_STEPS", 2)
    config = config_of("training.epochs=3", "training.patience=3")
    with stopping(of_epoch(2, steps=5)):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    before = read_board(tmp_path / "run")
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    scalars = [(tag, step) for tag, step, _ in read_board(tmp_path / "run")]
    assert set(scalars) > {(tag, step) for tag, step, _ in before}
    assert len(scalars) == len(set(scalars))


def test_what_stands_at_the_path_is_left_alone(small_data: Dataset, small_run: Run, tmp_path: Path) -> None:
    before = contents(small_run.path)
    with pytest.raises(RunError, match=r"exists already.*--resume"):
        fit(small_data, small_run.config, small_run.path, show_progress=False)
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match=r"run\.json"):
        fit(small_data, small_run.config, tmp_path / "other", resume=True, show_progress=False)
    assert contents(small_run.path) == before
    assert not list((tmp_path / "other").iterdir())


def test_resuming_a_finished_run_says_so_and_changes_nothing(
    small_data: Dataset, small_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(small_run.path)
    result = fit(small_data, small_run.config, small_run.path, resume=True)
    assert "finished already" in capsys.readouterr().err
    assert result.to_dict() == json.loads((small_run.path / "result.json").read_text())
    assert contents(small_run.path) == before


def test_resuming_with_another_configuration_or_data_names_what_differs(
    small_data: Dataset, small_run: Run
) -> None:
    other = small_run.config.model_copy(
        update={"training": small_run.config.training.model_copy(update={"learning_rate": 0.5})}
    )
    with pytest.raises(RunError, match=r"training.learning_rate = 0.0025, not 0.5"):
        fit(small_data, other, small_run.path, resume=True, show_progress=False)
    info = structs.replace(small_data.info, recipe=structs.replace(small_data.info.recipe, seed=9))
    with pytest.raises(RunError, match=r"recipe.seed of its dataset.json was 0, is 9"):
        fit(
            replace(small_data, info=info), small_run.config, small_run.path, resume=True, show_progress=False
        )


def test_data_without_training_rows_leaves_no_run(small_data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows to train on"):
        fit(without_rows(small_data, "train"), config_of(), tmp_path / "run", show_progress=False)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported_and_leaves_a_run_that_resumes(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, save = config_of("training.epochs=2", "training.checkpoint_steps=3"), checkpoint.save_file
    calls = 0

    def full(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise SafetensorError("No space left on device")
        save(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(RunError, match=r"step-0.*No space left.*--resume"):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    fit(small_data, config, tmp_path / "straight", show_progress=False)
    assert weights(tmp_path / "run") == weights(tmp_path / "straight")


def test_a_damaged_result_is_named_with_its_field(small_run: Run, tmp_path: Path) -> None:
    run = Run.open(shutil.copytree(small_run.path, tmp_path / "run"))
    result = json.loads((run.path / "result.json").read_text())
    (run.path / "result.json").write_text(json.dumps({**result, "epochs": "three"}))
    with pytest.raises(RunError, match=r"result\.json: not as dien train writes it .*epochs"):
        fit(Dataset.open(run.info.data), run.config, run.path, resume=True, show_progress=False)


def test_the_calibration_of_the_best_weights_is_kept_with_them_and_fits_the_validation_split(
    small_data: Dataset, tmp_path: Path
) -> None:
    config = config_of("training.epochs=3", "training.patience=3")
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    model = Run.open(tmp_path / "run").load_model()
    assert result.calibration == model.calibration
    assert model.calibration is not None
    valid = evaluate(tmp_path / "run", split="valid")
    assert valid.calibration == pytest.approx(1, abs=1e-6)
    labels = small_data.splits["valid"].label
    assert model.calibration.click_rate == pytest.approx(labels.mean())
    assert result.valid_log_loss == valid.log_loss
    assert valid.uncalibrated is not None
    assert valid.log_loss is not None
    assert valid.uncalibrated.log_loss is not None
    assert valid.log_loss < valid.uncalibrated.log_loss
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    best = next(r for r in records if r["kind"] == "epoch" and r["epoch"] == result.best_epoch)
    assert best["valid_log_loss"] == valid.log_loss
    assert best["valid_uncalibrated_log_loss"] == valid.uncalibrated.log_loss


def test_without_calibration_the_weights_are_the_same_and_the_scores_as_the_model_gives_them(
    small_data: Dataset, tmp_path: Path
) -> None:
    for kind in ("platt", "none"):
        config = config_of("training.epochs=2", f"training.calibration={kind}")
        fit(small_data, config, tmp_path / kind, show_progress=False)
    platt, none = (load_file(tmp_path / kind / "model.safetensors") for kind in ("platt", "none"))
    assert all(torch.equal(platt[name], none[name]) for name in platt)
    assert Run.open(tmp_path / "none").load_model().calibration is None
    with_it, without = evaluate(tmp_path / "platt"), evaluate(tmp_path / "none")
    assert (with_it.auc, with_it.gauc) == (without.auc, without.gauc)
    assert with_it.uncalibrated is not None
    assert with_it.uncalibrated.log_loss == without.log_loss


def test_too_few_rows_to_calibrate_are_warned_of_and_leave_the_scores_as_they_are(
    small_log: Log, tmp_path: Path
) -> None:
    write(temporal(replace(small_log, events=small_log.events.head(300)), negatives=3), tmp_path / "data")
    message = r"valid has \d\d clicks and \d+ non-clicks, too few to calibrate scores \(50 of each\)"
    with pytest.warns(DatasetWarning, match=message):
        result = fit(tmp_path / "data", config_of("training.epochs=1"), tmp_path / "run", show_progress=False)
    assert result.calibration is None
    assert evaluate(tmp_path / "run").uncalibrated is None


def test_a_run_that_an_earlier_version_began_is_not_calibrated_and_says_so(
    small_data: Dataset, tmp_path: Path
) -> None:
    config = config_of("training.epochs=2", "training.calibration=none")
    fit(small_data, config, tmp_path / "run", show_progress=False)
    (tmp_path / "run/result.json").unlink()
    kept = (tmp_path / "run/config.yaml").read_text().splitlines(keepends=True)
    (tmp_path / "run/config.yaml").write_text("".join(line for line in kept if "calibration" not in line))
    with pytest.warns(UserWarning, match="begun by an earlier version of dien, so its scores are not calib"):
        result = fit(small_data, config_of("training.epochs=2"), tmp_path / "run", resume=True)
    assert result.calibration is None
