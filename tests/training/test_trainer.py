"""The training loop: what a step computes, what an epoch decides, and how signals end it."""

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dien.config import RunConfig, load_config
from dien.data.batch import Batch
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import DIEN, Losses, build
from dien.run import Run
from dien.training import fit, optimiser, trainer
from dien.training.log import read_records
from dien.training.metrics import Metrics
from dien.training.progress import Bar
from dien.training.sigterm import sigterm_between_batches
from dien.training.step_size import settled
from dien.training.trainer import Trainer
from tests.data.datasets import auxiliary_negatives, without_rows
from tests.training.board import read_board


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process() -> Iterator[None]:
    """Undo what other packages set for a whole process: Ray handles SIGTERM, RecBole looks for anomalies."""
    before, anomalies = signal.signal(signal.SIGTERM, signal.SIG_DFL), torch.is_anomaly_enabled()
    torch.autograd.set_detect_anomaly(False)
    yield
    torch.autograd.set_detect_anomaly(anomalies)
    signal.signal(signal.SIGTERM, before)


SMALL = ["model.hidden_size=6", "model.embedding_size=4", "training.batch_size=512"]


def config_of(*overrides: str) -> RunConfig:
    return load_config(overrides=[*SMALL, *overrides])


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def metrics_with(auc: float | None) -> Metrics:
    return Metrics(auc, auc, 0.7, 1.0, 0.1, 10, 5, 1, None if auc else "no AUC: every label is 1")


def test_control_c_reaches_the_caller_and_the_next_one_too(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Trainer, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(small_data, config_of(), tmp_path / "run", show_progress=False)
    assert signal.getsignal(signal.SIGINT) == before


def test_sigterm_ends_training_when_its_step_is_done(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, done, loss, step = [], [], Trainer.loss, Trainer.step

    def terminated(self: Trainer, batch: Batch) -> torch.Tensor:
        began.append(self.state.steps)
        if len(began) == 3:
            signal.raise_signal(signal.SIGTERM)
        return loss(self, batch)

    def noted(self: Trainer, batch: Batch) -> None:
        step(self, batch)
        done.append(self.state.steps)

    monkeypatch.setattr(Trainer, "loss", terminated)
    monkeypatch.setattr(Trainer, "step", noted)
    with pytest.raises(SystemExit) as stopped:
        fit(small_data, config_of(), tmp_path / "run", show_progress=False)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert (began, done) == ([0, 1, 2], [1, 2, 3])


def test_sigterm_does_not_wait_for_the_end_of_a_validation(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated: list[bool] = []
    forward = DIEN.forward

    def noted(self: DIEN, batch: Batch) -> Any:
        if not self.training:
            validated.append(True)
            signal.raise_signal(signal.SIGTERM)
        return forward(self, batch)

    monkeypatch.setattr(sys.modules["dien.training.evaluate"], "EVALUATION_ROWS", 64)
    monkeypatch.setattr(DIEN, "forward", noted)
    with pytest.raises(SystemExit) as stopped:
        fit(small_data, config_of(), tmp_path / "run", show_progress=False)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert len(validated) == 1


def test_the_programs_own_handler_of_sigterm_is_called_and_back_afterwards(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    def own(number: int, _: Any) -> None:
        heard.append(number)

    def terminated(*_: Any) -> tuple[Metrics, None]:
        signal.raise_signal(signal.SIGTERM)
        return metrics_with(0.6), None

    monkeypatch.setattr(trainer, "validate_model", terminated)
    before = signal.signal(signal.SIGTERM, own)
    try:
        with pytest.raises(SystemExit):
            fit(small_data, config_of("training.epochs=2"), tmp_path / "run", show_progress=False)
        assert (heard, signal.getsignal(signal.SIGTERM)) == ([signal.SIGTERM], own)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_that_comes_when_the_last_step_is_done_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped, sigterm_between_batches():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_model_whose_losses_change_their_names_is_an_error(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, batches = DIEN.losses, iter(range(1000))

    def changing(self: DIEN, batch: Batch) -> Losses:
        found = losses(self, batch)
        return found if next(batches) else found._replace(parts={**found.parts, "extra": found.total})

    monkeypatch.setattr(DIEN, "losses", changing)
    with pytest.raises(ValueError, match=r"DIEN.losses gave loss, .*, and loss, .*extra before"):
        fit(small_data, config_of(), tmp_path / "run", show_progress=False)


def test_training_in_a_thread_leaves_signals_to_the_program(small_data: Dataset, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        training = threads.submit(
            fit, small_data, config_of("training.epochs=1"), tmp_path / "run", show_progress=False
        )
        assert training.result().epochs == 1


def test_training_within_no_grad_trains(small_data: Dataset, tmp_path: Path) -> None:
    config = config_of("training.epochs=1")
    fit(small_data, config, tmp_path / "plain", show_progress=False)
    with torch.no_grad():
        fit(small_data, config, tmp_path / "run", show_progress=False)
    assert weights(tmp_path / "run") == weights(tmp_path / "plain")


@pytest.mark.parametrize(
    ("scores", "epochs", "best", "stopped"),
    [
        ([0.6, 0.7, 0.65, 0.7, 0.9], 4, 2, "patience"),  # level with the best is no better
        ([0.6, 0.5, 0.7, 0.6, 0.65], 5, 3, "patience"),
        ([0.5, 0.4, 0.7, 0.8, 0.7], 5, 4, "epochs"),
        ([None, None, None, None, None], 5, 5, "epochs"),  # nothing to choose by: the newest
        ([0.6, None, None], 3, 1, "patience"),
    ],
)
def test_training_stops_on_validation_auc_and_keeps_the_best_weights(
    scores: list[float | None],
    epochs: int,
    best: int,
    stopped: str,
    small_data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def evaluated(model: torch.nn.Module, *_: Any) -> tuple[Metrics, None]:
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return metrics_with(scores[len(seen) - 1]), None

    monkeypatch.setattr(trainer, "validate_model", evaluated)
    config = config_of("training.epochs=5", "training.patience=2", "training.batch_size=1024")
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    assert (result.epochs, result.best_epoch, result.valid_auc) == (epochs, best, scores[best - 1])
    assert result.stopped == stopped
    kept = load_file(tmp_path / "run/model.safetensors")
    assert kept.keys() == seen[best - 1].keys()
    assert all(torch.equal(kept[name], seen[best - 1][name]) for name in kept)


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_each_epochs_learning_rate_is_that_of_the_one_before_times_the_decay(
    decay: float, small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What updates dense parameters, and what the rows of embeddings.
    used: dict[str, list[float]] = {"adam": [], "adam_rows": []}

    def noting(name: str) -> Any:
        update = getattr(optimiser, name)

        def noted(*arguments: Any, lr: float, **rest: Any) -> None:
            used[name].append(lr)
            update(*arguments, lr=lr, **rest)

        return noted

    for name in used:
        monkeypatch.setattr(optimiser, name, noting(name))
    settings = ["training.epochs=3", "training.patience=3", "training.learning_rate=0.01"]
    config = config_of(*settings, f"training.learning_rate_decay={decay}")
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    for rates in used.values():
        assert rates == [0.01 * decay**epoch for epoch in range(3) for _ in range(len(rates) // 3)]
    assert len(used["adam"]) == result.steps
    assert len(used["adam_rows"]) > result.steps


@pytest.mark.parametrize(("kind", "least", "most"), [("redrawn", 0, 0.5), ("fixed", 1, 1)])
def test_auxiliary_negatives_are_redrawn_or_fixed_as_the_configuration_says(
    kind: str, least: float, most: float, small_data: Dataset, tmp_path: Path
) -> None:
    keys = ["model.max_history=1000", "training.epochs=2", "training.id_dropout=0"]  # ids as they are drawn
    config = config_of(f"training.auxiliary_negatives={kind}", *keys)
    run = Run.create(tmp_path / "run", settled(config, small_data), small_data)
    training = Trainer(build(config.model, small_data.schema), run, small_data, Bar(False))
    batches = chain.from_iterable(training.batches.epoch(epoch) for epoch in range(2))
    found = [drawn for drawn in auxiliary_negatives(batches).values() if len(drawn) > 1]
    assert len(found) > 100
    assert least <= sum(len(set(drawn)) == 1 for drawn in found) / len(found) <= most


@pytest.mark.parametrize("steps", ["new", "all"])
def test_behaviours_are_marked_for_the_auxiliary_loss_as_the_configuration_says(
    steps: str, small_data: Dataset, tmp_path: Path
) -> None:
    config = config_of(f"model.auxiliary_steps={steps}")
    run = Run.create(tmp_path / "run", settled(config, small_data), small_data)
    training = Trainer(build(config.model, small_data.schema), run, small_data, Bar(False))
    marked = {batch.supervised is not None for batch in training.batches.epoch(0)}
    assert marked == {steps == "new"}


def test_the_loss_is_cross_entropy_plus_the_weighted_auxiliary_loss(
    small_data: Dataset, tmp_path: Path
) -> None:
    config = config_of("model.auxiliary_weight=0.3", "model.match_dropout=0", "model.embedding_dropout=0")
    run = Run.create(tmp_path / "run", settled(config, small_data), small_data)
    training = Trainer(build(config.model, small_data.schema), run, small_data, Bar(False))
    batch = next(training.batches.epoch(0))
    assert batch.negatives is not None
    assert batch.label is not None
    prediction = training.model(batch)
    p = prediction.logits.sigmoid()
    target = -(batch.label * p.log() + (1 - batch.label) * (1 - p).log()).mean()
    expected = target + 0.3 * prediction.auxiliary_loss
    torch.testing.assert_close(training.loss(batch), expected)
    recent = {name: loss.item() for name, loss in training.recent.items()}
    expected_sums = {"loss": expected.item(), "auxiliary_loss": prediction.auxiliary_loss.item()}
    assert recent == pytest.approx(expected_sums)


def test_what_a_layer_draws_follows_from_the_step(small_data: Dataset, tmp_path: Path) -> None:
    config = config_of()
    run = Run.create(tmp_path / "run", settled(config, small_data), small_data)
    training = Trainer(build(config.model, small_data.schema), run, small_data, Bar(False))
    training.model.logit = torch.nn.Sequential(torch.nn.Dropout(0.5), training.model.logit)
    batch = next(training.batches.epoch(0))
    with torch.random.fork_rng():
        first, again = training.loss(batch), training.loss(batch)
        training.state.steps += 1
        later = training.loss(batch)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_records_tell_the_mean_losses_and_agree_in_all_three_forms(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "LOG_STEPS", 4)
    losses: list[float] = []
    step = Trainer.loss

    def recorded(self: Trainer, batch: Batch) -> torch.Tensor:
        loss = step(self, batch)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(Trainer, "loss", recorded)
    config = config_of("training.epochs=2", "model.auxiliary_weight=0.5")
    fit(small_data, config, tmp_path / "run", show_progress=False)
    records = read_records(tmp_path / "run")
    length = len(losses) // 2
    steps = [record["step"] for record in records if record["kind"] == "steps"]
    assert steps == sorted({*range(4, 2 * length + 1, 4), length, 2 * length})
    for start, record in zip([0, *steps], records_of(records, "steps"), strict=False):
        assert record["loss"] == pytest.approx(sum(losses[start : record["step"]]) / (record["step"] - start))
        assert record["loss"] == pytest.approx(record["target_loss"] + 0.5 * record["auxiliary_loss"])
    for epoch, record in enumerate(records_of(records, "epoch")):
        part = losses[epoch * length : (epoch + 1) * length]
        assert record["loss"] == pytest.approx(sum(part) / length)
        assert record["epoch"] == epoch + 1
        assert 0 <= record["valid_auc"] <= 1

    lines = (tmp_path / "run/metrics.csv").read_text().splitlines()
    columns = lines[0].split(",")
    for line, record in zip(lines[1:], records, strict=True):
        values = dict(zip(columns, line.split(","), strict=True))
        assert values == {name: str(record.get(name, "")) for name in columns}
    scalars = [
        (f"{record['kind']}/{name}", record["step"], pytest.approx(value))
        for record in records
        for name, value in record.items()
        if isinstance(value, float)
    ]
    assert read_board(tmp_path / "run") == scalars


def records_of(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


@pytest.mark.parametrize("validate", ["null", "1"])
def test_training_that_diverges_says_so_and_in_which_epoch(
    small_data: Dataset, tmp_path: Path, validate: str
) -> None:
    config = config_of("training.learning_rate=1e30", f"training.validation_steps={validate}")
    with pytest.raises(RunError, match=r"diverged in epoch 1:.*learning_rate"):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    assert "NaN" not in (tmp_path / "run/metrics.jsonl").read_text()


@pytest.mark.parametrize("rate", ["1e30", "1e38"])
def test_training_that_diverges_says_so_where_nothing_validates(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    data = without_rows(small_data, "valid")
    monkeypatch.setattr(Dataset, "check", lambda *_: None)
    config = config_of(f"training.learning_rate={rate}", "training.batch_size=100000")  # one step
    with pytest.raises(RunError, match=r"diverged.*learning_rate"):
        fit(data, config, tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run/result.json").exists()
    assert not (tmp_path / "run/model.safetensors").exists()


@pytest.mark.parametrize(
    ("metric", "better"), [("auc", False), ("gauc", True), ("log_loss", True), ("calibration_error", False)]
)
def test_the_best_weights_are_chosen_by_the_metric_and_its_direction(metric: str, better: bool) -> None:
    best = Metrics(0.7, 0.6, 0.5, 1.0, 0.1, 10, 5, 1)
    newer = Metrics(0.6, 0.7, 0.4, 2.0, 0.2, 10, 5, 1)
    assert trainer.is_better(newer, best, metric) is better
    assert trainer.is_better(best, newer, metric) is not better
    assert not trainer.is_better(best, best, metric)
    nothing = Metrics(None, None, None, None, None, 0, 0, 0)
    assert not trainer.is_better(nothing, best, metric)
    assert trainer.is_better(nothing, nothing, metric)  # the newest


def test_validating_between_epochs_changes_no_step_and_may_stop_in_the_middle(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["training.epochs=2", "training.metric=log_loss"]
    fit(small_data, config_of(*keys), tmp_path / "plain", show_progress=False)
    often = config_of(*keys, "training.validation_steps=4", "training.patience=100")
    fit(small_data, often, tmp_path / "often", show_progress=False)
    plain, records = read_records(tmp_path / "plain"), read_records(tmp_path / "often")
    between = [record for record in records if record["kind"] == "validation"]
    steps = plain[-1]["step"]
    assert [record["step"] for record in between] == [s for s in range(4, steps, 4) if s != steps // 2]
    assert all("valid_auc" in record and "loss" not in record for record in between)

    def without_best(of: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = (record for record in of if record["kind"] != "validation")
        return [{name: value for name, value in record.items() if name != "best"} for record in kept]

    assert without_best(records) == without_best(plain)
    best = min((r for r in records if "valid_log_loss" in r), key=lambda record: record["valid_log_loss"])
    assert best["best"]
    falling = iter([0.9, 0.8, 0.7])
    monkeypatch.setattr(trainer, "evaluate_model", lambda *_: metrics_with(next(falling)))
    keys = ["training.epochs=3", "training.patience=2", "training.calibration=none"]
    early = config_of(*keys, "training.validation_steps=2")
    result = fit(small_data, early, tmp_path / "early", show_progress=False)
    ends = read_records(tmp_path / "early")[-1]
    assert steps // 2 > 6  # within the first epoch
    assert (result.stopped, ends["kind"], ends["step"], result.steps) == ("patience", "validation", 6, 6)


def test_decay_and_clipping_are_those_of_the_optimiser(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipped: list[float] = []

    def noted(parameters: Any, max_norm: float) -> torch.Tensor:
        kept = list(parameters)
        before = optimiser.clip_gradients(kept, max_norm)
        clipped.append(float(optimiser.clip_gradients(kept, 1e9)))
        return before

    monkeypatch.setattr(trainer, "clip_gradients", noted)
    keys = ["training.epochs=1", "training.gradient_clip=0.01", "training.weight_decay=0.5"]
    fit(small_data, config_of(*keys), tmp_path / "run", show_progress=False)
    assert clipped
    assert max(clipped) < 0.01 * 1.001
    fit(small_data, config_of(keys[0], keys[1]), tmp_path / "other", show_progress=False)
    norms = [
        sum(w.norm() for w in load_file(tmp_path / run / "model.safetensors").values())
        for run in ("run", "other")
    ]
    assert norms[0] < norms[1]


def test_a_warm_up_longer_than_training_is_warned_of(small_data: Dataset, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"warmup_steps is 500, and there are \d+ steps in all epochs"):
        fit(
            small_data,
            config_of("training.epochs=1", "training.warmup_steps=500"),
            tmp_path / "run",
            show_progress=False,
        )
