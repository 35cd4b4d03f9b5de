"""Rocket Launching from training to scores: a run keeps, evaluates and scores with the light net."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dien import Scorer, evaluate
from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import DIEN, build
from dien.models.rocket import Rocket, RocketConfig
from dien.run import Run
from dien.training import fit, trainer
from dien.training.log import read_records
from dien.training.progress import Bar
from dien.training.step_size import settled
from dien.training.trainer import Trainer
from dien.training.warm import copy_weights
from tests.training.stopped import of_epoch, stopping

SETTINGS = [
    "model.hidden_size=4",
    "model.embedding_size=4",
    "model.max_history=10",
    "model.auxiliary_weight=0.3",
    "model.hint_weight=0.5",
    "training.batch_size=256",
    "training.epochs=2",
    "training.checkpoint_steps=5",
]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return load_config(overrides=SETTINGS, model="rocket")


@pytest.fixture(scope="module")
def trained(small_data: Dataset, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("rocket") / "run"
    fit(small_data, config, path, show_progress=False)
    return Run.open(path)


def test_both_nets_are_trained_and_kept_apart(trained: Run, small_data: Dataset, config: RunConfig) -> None:
    light, booster = (load_file(trained.path / f"{name}.safetensors") for name in ("model", "booster"))
    assert isinstance(config.model, RocketConfig)
    assert light.keys() == build(config.model.light(), small_data.schema).state_dict().keys()
    with torch.random.fork_rng():
        torch.manual_seed(config.training.seed)
        before = build(config.model, small_data.schema)
    assert light.keys() | booster.keys() == before.state_dict().keys()
    for name, parameter in before.named_parameters():
        assert not torch.equal({**light, **booster}[name], parameter), name


def test_evaluation_and_scores_are_those_of_the_light_net_and_need_no_booster(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.open(shutil.copytree(trained.path, tmp_path / "run"))
    (run.path / "booster.safetensors").unlink()
    assert type(run.load_model()) is DIEN

    def never(*_: Any) -> None:
        raise AssertionError("the booster was built")

    monkeypatch.setattr(Rocket, "__init__", never)
    result = read_records(trained.path)
    best = max(record["valid_auc"] for record in result if record["kind"] == "epoch")
    assert evaluate(run, split="valid").auc == pytest.approx(best, abs=1e-12)
    scores = Scorer(run).score("u3", ["1", "5"], ["7", "8", "9"])
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()


def test_the_parameters_are_those_of_what_scores(
    small_data: Dataset, config: RunConfig, tmp_path: Path
) -> None:
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    light = Run.open(tmp_path / "run").load_model()
    assert result.parameters == sum(p.numel() for p in light.parameters())


def test_records_tell_the_mean_losses_of_both_nets_and_the_hint(
    small_data: Dataset, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "LOG_STEPS", 4)
    fit(small_data, config, tmp_path / "run", show_progress=False)
    records = read_records(tmp_path / "run")
    assert {record["kind"] for record in records} == {"steps", "epoch"}
    for record in records:
        assert record["hint_loss"] > 0
        light = record["target_loss"] + 0.3 * record["auxiliary_loss"]
        assert record["loss"] == pytest.approx(light + record["booster_loss"] + 0.5 * record["hint_loss"])
    steps, epochs = ([r for r in records if r["kind"] == kind] for kind in ("steps", "epoch"))
    sizes = [after - before for before, after in pairwise([0, *(r["step"] for r in steps)])]
    for name in ("loss", "target_loss", "booster_loss", "hint_loss"):
        for whole in epochs:
            parts = [(n, r[name]) for n, r in zip(sizes, steps, strict=True) if r["epoch"] == whole["epoch"]]
            mean = sum(n * value for n, value in parts) / sum(n for n, _ in parts)
            assert whole[name] == pytest.approx(mean), name


def test_the_loss_is_that_of_both_nets_and_the_weighted_hint(small_data: Dataset, tmp_path: Path) -> None:
    keys = ["model.match_dropout=0", "model.embedding_dropout=0"]
    config = load_config(overrides=[*SETTINGS, *keys], model="rocket")
    run = Run.create(tmp_path / "run", settled(config, small_data), small_data)
    training = Trainer(build(config.model, small_data.schema), run, small_data, Bar(False))
    batch = next(training.batches.epoch(0))
    assert batch.label is not None
    assert isinstance(training.model, Rocket)
    launch = training.model.launch(batch)
    light = training.model.loss(launch.light, batch)
    booster = training.model.booster.loss(launch.booster, batch)
    hint = (launch.light.logits - launch.booster.logits).square().mean()
    expected = light + booster + 0.5 * hint
    torch.testing.assert_close(training.loss(batch), expected)


def test_a_run_that_was_stopped_resumes_to_the_same_bytes(
    trained: Run, small_data: Dataset, config: RunConfig, tmp_path: Path
) -> None:
    with stopping(of_epoch(1, steps=12)):  # between two checkpoints
        fit(small_data, config, tmp_path / "run", show_progress=False)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    for name in ("model.safetensors", "booster.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (trained.path / name).read_bytes(), name


def test_a_warm_start_goes_on_with_both_nets_and_names_a_booster_that_is_gone(
    trained: Run, small_data: Dataset, config: RunConfig, tmp_path: Path
) -> None:
    model = build(config.model, small_data.schema)
    copy_weights(trained, model)
    weights = load_file(trained.path / "model.safetensors") | load_file(trained.path / "booster.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    run = Run.open(shutil.copytree(trained.path, tmp_path / "run"))
    (run.path / "booster.safetensors").unlink()
    with pytest.raises(RunError, match=r"booster\.safetensors: missing"):
        copy_weights(run, model)
