"""RecBole's quick start with our class, and RecBole's own run with our class in its place."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("recbole", reason="RecBole is not installed: make test-recbole runs these")

import recbole.trainer
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model import sequential_recommender
from recbole.model.sequential_recommender import dien as original
from recbole.quick_start import run_recbole
from recbole.utils import get_model, get_trainer, init_seed

import dien.recbole
from dien.recbole import DIEN, DIENTrainer


@pytest.fixture(autouse=True)
def _recboles_own_class():
    yield
    dien.recbole.restore()


def in_recbole() -> tuple[Any, ...]:
    """What RecBole finds under the names that use() sets."""
    trainer = get_trainer(DIEN.type, "DIEN")
    return get_model("DIEN"), sequential_recommender.DIEN, trainer


Original = original.DIEN  # before any use()
OURS = DIEN, DIEN, DIENTrainer
THEIRS = Original, Original, recbole.trainer.Trainer


def test_use_and_restore_change_the_names_they_say_and_may_be_repeated() -> None:
    before = {**vars(sequential_recommender)}, {**vars(recbole.trainer)}
    assert in_recbole() == THEIRS
    dien.recbole.use()
    dien.recbole.use()
    assert in_recbole() == OURS
    dien.recbole.restore()
    dien.recbole.restore()
    assert in_recbole() == THEIRS
    assert ({**vars(sequential_recommender)}, {**vars(recbole.trainer)}) == before


def test_use_ends_with_its_block_unless_it_had_begun_before() -> None:
    with dien.recbole.use():
        assert in_recbole() == OURS
    assert in_recbole() == THEIRS
    dien.recbole.use()
    with dien.recbole.use():
        pass
    assert in_recbole() == OURS


def test_run_is_run_recbole_with_our_class_and_numbers_of_recbole(settings: dict[str, Any]) -> None:
    settings |= {"epochs": 2}
    theirs = run_recbole(model="DIEN", dataset="toy", config_dict={**settings}, saved=False)
    given = {**settings, "alpha": "1.0"}
    ours = dien.recbole.run(dataset="toy", config_dict=given, saved=False)
    assert in_recbole() == THEIRS
    assert given["alpha"] == "1.0"  # RecBole itself would have put a number in its place
    assert ours.keys() == theirs.keys()
    assert ours["valid_score_bigger"] is True
    for result in ("best_valid_result", "test_result"):
        assert ours[result].keys() == theirs[result].keys()
        # From the same weights over the same batches, but for rounding; a pair of rows is 0.0007 of the AUC.
        assert ours[result]["logloss"] == pytest.approx(theirs[result]["logloss"], abs=2e-4)
        assert ours[result]["auc"] == pytest.approx(theirs[result]["auc"], abs=3e-3)
    with dien.recbole.use():
        used = run_recbole(model="DIEN", dataset="toy", config_dict={**settings}, saved=False)
    assert used == ours


def test_configuration_files_are_read_and_a_wrong_switch_stops_the_run(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "dien.yaml"
    file.write_text("dien_preset: papers\n")
    with pytest.raises(ValueError, match=r"^dien_preset: 'papers'; expected one of recbole, paper, authors"):
        dien.recbole.run(dataset="toy", config_file_list=[str(file)], config_dict=settings)
    assert in_recbole() == THEIRS


@pytest.mark.parametrize("preset", ["recbole", "paper", "authors"])
@pytest.mark.parametrize("negatives", [None, {"distribution": "uniform", "sample_num": 2}])
def test_the_best_model_is_the_one_tested(
    preset: str, negatives: dict[str, Any] | None, settings: dict[str, Any]
) -> None:
    """With labels and with sampled negatives, RecBole's other way to train DIEN."""
    settings |= {"epochs": 4, "learning_rate": 0.05, "dien_preset": preset}
    settings["train_neg_sample_args"] = negatives
    if negatives:
        settings |= {"threshold": None, "eval_args": {**settings["eval_args"], "mode": "uni5"}}
    config = Config(model="DIEN", dataset="toy", config_dict=settings)
    init_seed(0, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    model = DIEN(config, train.dataset)
    trainer = DIENTrainer(config, model)
    seen = []
    best, result = trainer.fit(train, valid, callback_fn=lambda *_: seen.append(deepcopy(model.state_dict())))
    saved = torch.load(trainer.saved_model_file, weights_only=False)
    assert not saved["other_parameter"]
    assert trainer.evaluate(test)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in saved["state_dict"].items())
    epoch = saved["epoch"]
    assert all(torch.equal(state[name], value) for name, value in seen[epoch].items())
    assert best == result["auc"]
    if not negatives:  # which are drawn for each evaluation
        assert trainer.evaluate(valid, load_best_model=False) == result


def test_a_checkpoint_of_recbole_predicts_the_same(settings: dict[str, Any]) -> None:
    config = Config(model="DIEN", dataset="toy", config_dict=settings)
    init_seed(0, True)
    train, _, test = data_preparation(config, create_dataset(config))
    theirs = Original(config, train.dataset)
    trainer = recbole.trainer.Trainer(config, theirs)
    trainer.fit(train)
    saved = torch.load(trainer.saved_model_file, weights_only=False)
    ours = DIEN(config, train.dataset)
    ours.load_state_dict(saved["state_dict"], strict=True)
    ours.load_other_parameter(saved["other_parameter"])
    theirs.eval()
    ours.eval()
    for interaction, *_ in test:
        torch.testing.assert_close(ours.predict(interaction), theirs.predict(interaction), rtol=0, atol=1e-5)
    back = Original(config, train.dataset)
    back.load_state_dict(ours.state_dict(), strict=True)


def test_training_is_free_of_anomaly_detection_and_leaves_it_as_it_was(settings: dict[str, Any]) -> None:
    config = Config(model="DIEN", dataset="toy", config_dict=settings)
    train, _, _ = data_preparation(config, create_dataset(config))
    model = DIEN(config, train.dataset)
    seen, loss = [], model.calculate_loss
    model.calculate_loss = lambda interaction: seen.append(torch.is_anomaly_enabled()) or loss(interaction)
    with torch.autograd.set_detect_anomaly(True):
        DIENTrainer(config, model).fit(train, saved=False)
        assert torch.is_anomaly_enabled()
    assert seen
    assert not any(seen)


def test_use_does_not_turn_anomaly_detection_on() -> None:
    """RecBole does, for the whole process, when its sequential models are first imported."""
    program = "import torch, dien.recbole as d; d.use(); d.restore(); print(torch.is_anomaly_enabled())"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False"]


def test_a_resumed_checkpoint_is_what_is_evaluated(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the best weights of an earlier fit, nor those of a file that another trainer's are named as."""
    config = Config(model="DIEN", dataset="toy", config_dict=settings | {"learning_rate": 0.05})
    init_seed(0, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    trainer = DIENTrainer(config, DIEN(config, train.dataset))
    trainer.fit(train, valid)
    first = trainer.evaluate(test)
    kept = Path(trainer.saved_model_file).rename(tmp_path / "kept.pth")
    other = DIENTrainer(config, DIEN(config, train.dataset))
    other.fit(train, valid)
    second = other.evaluate(test)
    assert first != second
    with pytest.raises(RuntimeError, match=r"kept.pth.*TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"):
        other.resume_checkpoint(kept)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert other.evaluate(test, model_file=str(kept)) == first
    assert other.evaluate(test) == second
    other.resume_checkpoint(kept)
    assert other.evaluate(test) == first
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.zero_()
    assert other.evaluate(test) == first


@pytest.mark.parametrize("trainer", [DIENTrainer, recbole.trainer.Trainer])
def test_a_configuration_made_before_use_can_be_written_into_a_checkpoint(
    trainer: Any, settings: dict[str, Any]
) -> None:
    config = Config(model="DIEN", dataset="toy", config_dict=settings)
    dien.recbole.use()
    init_seed(0, True)
    train, valid, _ = data_preparation(config, create_dataset(config))
    running = trainer(config, get_model("DIEN")(config, train.dataset))
    running.fit(train, valid)
    saved = torch.load(running.saved_model_file, weights_only=False)
    assert saved["config"].model_class is DIEN


def test_a_configuration_keeps_the_class_that_is_still_found(settings: dict[str, Any]) -> None:
    config = Config(model="DIEN", dataset="toy", config_dict=settings)
    DIEN(config, data_preparation(config, create_dataset(config))[0].dataset)
    assert config.model_class is Original
