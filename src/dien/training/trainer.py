"""The training loop: steps, validation, checkpoints; where it stops and how it goes on from there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dien.calibration import Calibration, to_texts
from dien.data.batch import Batch
from dien.data.batches import Batches, ready
from dien.data.dataset import Dataset
from dien.device import device_of
from dien.errors import ConfigError, RunError
from dien.files import remove_unfinished
from dien.models import Model
from dien.run import Run
from dien.training.average import WeightAverage
from dien.training.checkpoint import (
    AGAIN,
    AVERAGE,
    FROZEN,
    MODEL,
    RECENT,
    Checkpoint,
    TrainState,
    best_name,
    drop_older,
    save_tensors,
    step_name,
)
from dien.training.evaluate import batches_read_by, evaluate_model, validate_model
from dien.training.fresh import draw_tables
from dien.training.going_on import checkpoints_of, fitting_state
from dien.training.log import TrainingLog
from dien.training.metrics import METRICS, Metrics
from dien.training.optimiser import RowAdam, clip_gradients
from dien.training.pretrained import FrozenRows, Vectors, frozen_of, mask_of, put, table_of
from dien.training.progress import Bar
from dien.training.schedule import learning_rate
from dien.training.sigterm import sigterm_between_batches
from dien.training.warm import since

LOG_STEPS = 100


class Trainer:
    """Trains a click model (eq. 7) and keeps the weights with the best validation metric, the AUC as a rule.

    Training goes on to the bit from the run's newest checkpoint. That holds the weights, the optimiser's
    state and the :class:`~dien.training.checkpoint.TrainState`; all else follows from numbers in there: a
    batch from (seed, epoch, index), what a layer draws from (seed, step), the learning rate from the step.

    Args:
        model: the model; it is moved to the device of the configuration.
        run: where checkpoints and records go, and the configuration.
        dataset: what it is trained and validated on.
        bar: what is shown.

    Attributes:
        model: the model.
        state: how far training has come.
        fresh: whether there was no checkpoint to go on from.
        batches: of the training split.
        recent: by name, the sum of a loss over the steps since the last record, float64 where the device has
            it; empty before the first step.

    Raises:
        RunError: the newest checkpoint cannot be read, or a file cannot be written; so do the methods.
    """

    def __init__(self, model: Model, run: Run, dataset: Dataset, bar: Bar) -> None:
        self._run, self._bar, self._settings = run, bar, run.config.training
        self._folder, self._dataset = run.path / "checkpoints", dataset
        config, settings = run.config.model, run.config.training
        assert settings.batch_size is not None
        assert settings.learning_rate is not None
        self.batches = Batches(
            dataset,
            "train",
            batch_size=settings.batch_size,
            max_history=config.max_history,
            seed=settings.seed,
            shuffle=True,
            negatives=settings.negatives,
            auxiliary=config.needs_negatives,
            auxiliary_negatives=settings.auxiliary_negatives,
            auxiliary_steps=config.supervised_steps,
            since=since(run.info.start_from),
            match_history=config.matched_history,
            popularity=config.popularity,
            id_dropout=settings.id_dropout,
            filter_by=config.filter_by,
            filter_history=config.filter_history,
        )
        self._valid = batches_read_by(config, dataset, "valid")
        self._valid_rows = len(dataset.splits["valid"].item)
        self._device = device_of(settings.device)
        self.model = model.to(self._device)
        self._optimiser = RowAdam(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.state = TrainState()
        self.recent: dict[str, Tensor] = {}
        self._loss_names: tuple[str, ...] = ()
        self._sums_dtype = torch.float32 if self._device.type == "mps" else torch.float64  # mps lacks float64
        self._kept_losses: set[str] | None = None  # of the checkpoint, where it names all
        decay = settings.weight_average
        self._average = None if decay is None else WeightAverage(self.model, decay)
        checkpoints = checkpoints_of(run.folder)
        remove_unfinished(run.path)
        remove_unfinished(self._folder)
        self._frozen: dict[str, FrozenRows] = {}
        self.fresh = (checkpoint := Checkpoint.newest(self._folder)) is None
        if checkpoint is not None:
            state = fitting_state(checkpoint, checkpoints, self.model, settings, len(self.batches))
            self.state = checkpoint.state
            self._load(checkpoint, state)
            drop_older(self._folder, self.state)  # a process may have ended before it did this
        self._log = TrainingLog(run.path, self.state.steps)
        self._epoch_began, self._epoch_rows = time.perf_counter(), 0  # of this epoch, in this process

    def start_from(self, vectors: Sequence[Vectors]) -> None:
        """Put vectors into the tables, freeze their rows where asked for, and keep that in a checkpoint."""
        for of_feature in vectors:
            table = table_of(self.model, of_feature.feature)
            put(of_feature, table)
            if of_feature.frozen:
                self._frozen[of_feature.feature] = FrozenRows(table, mask_of(of_feature, table))
            self._bar.print(of_feature.summary)
        if vectors:
            if self._average is not None:
                self._average.restart()
            self._save_checkpoint()

    def train(self) -> None:
        """Train until the epochs are over or ``patience`` ends.

        Ctrl-C raises ``KeyboardInterrupt`` wherever it comes. SIGTERM raises ``SystemExit`` (exit code 143)
        between two batches; a program's own handler is called first. Both leave the run to be resumed from
        its newest checkpoint: every file is whole.
        """
        state, settings, steps_an_epoch = self.state, self._settings, len(self.batches)
        if self._average is not None and not state.steps:
            self._average.restart()  # the weights may be an earlier run's by now
        with torch.enable_grad(), sigterm_between_batches() as stop_if_asked:
            while state.stopped is None:
                epoch, done = divmod(state.steps, steps_an_epoch)
                if settings.fresh_embeddings and epoch and not done:
                    draw_tables(self.model, self._optimiser, self._dataset.schema, settings.seed, epoch)
                    if self._average is not None:
                        self._average.restart_tables()
                self._begin_epoch(epoch, done)
                for batch in ready(self.batches.epoch(epoch, done)):
                    self.step(batch)
                    self._bar.advance(len(batch))
                    epoch_ends = state.steps % steps_an_epoch == 0
                    between = settings.validation_steps and state.steps % settings.validation_steps == 0
                    if epoch_ends or state.steps % LOG_STEPS == 0:
                        self._record_losses()
                    if epoch_ends or between:
                        self._validate(stop_if_asked)
                    if epoch_ends or between or state.steps % settings.checkpoint_steps == 0:
                        self._save_checkpoint()
                    stop_if_asked()
                    if state.stopped is not None:
                        break
                    if between and not epoch_ends:
                        self._begin_epoch(epoch, state.steps % steps_an_epoch)

    def step(self, batch: Batch) -> None:
        """Update the weights by the gradient of a batch."""
        rate = learning_rate(self._settings, self.state.steps, len(self.batches))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        batch = batch if self._device.type == "cpu" else batch.to(self._device)
        loss = self.loss(batch)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._settings.gradient_clip is not None:
            clip_gradients(self.model.parameters(), self._settings.gradient_clip)
        if self._average is not None:
            self._average.before_step()
        try:
            self._optimiser.step()
        except ValueError as error:  # a checkpoint of another kind of gradients
            raise RunError(f"{self._run.path}: {error}") from error
        for rows in self._frozen.values():
            rows.restore()
        self.state.steps += 1
        if self._average is not None:
            steps, an_epoch = self.state.steps, len(self.batches)
            # With fresh tables an average begins anew: what it began with is to be forgotten soon.
            self._average.update((steps - 1) % an_epoch + 1 if self._settings.fresh_embeddings else steps)
        self._epoch_rows += len(batch)

    def loss(self, batch: Batch) -> Tensor:
        """Compute what a step minimises, and add the batch's losses to those since the last record."""
        # What a layer draws follows from the step, not from what was drawn before training was stopped.
        seed = (self._settings.seed * 1_000_003 + self.state.steps) % 2**63
        torch.default_generator.manual_seed(seed)  # torch.manual_seed costs as much as a small model
        if self._device.type == "cuda":
            torch.cuda.manual_seed_all(seed)
        elif self._device.type == "mps":
            torch.mps.manual_seed(seed)
        if (smoothing := self._settings.label_smoothing) and batch.label is not None:
            batch = replace(batch, label=batch.label * (1 - smoothing) + smoothing / 2)
        losses = self.model.losses(batch)
        named = {"loss": losses.total, **losses.parts}
        if not self._loss_names:
            self._expect_losses(named)
            self._loss_names = tuple(named)
        if tuple(named) != self._loss_names:
            raise ValueError(
                f"{type(self.model).__name__}.losses gave {', '.join(named)}, and "
                f"{', '.join(self._loss_names)} before; expected the same names for every batch"
            )
        for name, value in named.items():
            if name not in self.recent:
                self.recent[name] = torch.zeros((), dtype=self._sums_dtype, device=self._device)
            self.recent[name] += value.detach()
        return losses.total

    def close(self) -> None:
        """End what is being written, however training ended."""
        self._log.close()

    # Epochs

    @property
    def _epoch(self) -> int:
        """The epoch of the last step, from 1, whether or not it has ended."""
        return (self.state.steps - 1) // len(self.batches) + 1

    def _begin_epoch(self, epoch: int, done: int) -> None:
        """Show that ``done`` of the steps of an epoch (from 0) are done, and take the time from here on."""
        rows = self.batches.rows
        self._bar.begin(f"epoch {epoch + 1}/{self._settings.epochs}", rows, rows * done // len(self.batches))
        self._epoch_began, self._epoch_rows = time.perf_counter(), 0

    def _record_losses(self) -> None:
        """Write the mean losses of the steps since the last record."""
        state = self.state
        done = (state.steps - 1) % len(self.batches) + 1  # in this epoch
        sums = dict(zip(self.recent, torch.stack(list(self.recent.values())).tolist(), strict=True))
        for name, total in sums.items():
            if not math.isfinite(total):
                raise self._diverged(f"{name} is no finite number ({total})")
            self.recent[name].zero_()
            state.epoch_losses[name] = state.epoch_losses.get(name, 0.0) + total
        self._write("steps", self._means(sums, min(done, state.steps % LOG_STEPS or LOG_STEPS)))

    def _validate(self, stop_if_asked: Callable[[], None]) -> None:
        """Keep the weights where they are the best so far, stop where nothing gets better or all is done."""
        state, settings, steps_an_epoch = self.state, self._settings, len(self.batches)
        epoch_ends = state.steps % steps_an_epoch == 0
        seconds = time.perf_counter() - self._epoch_began
        state.epochs = state.steps // steps_an_epoch
        state.timed_rows += self._epoch_rows
        state.timed_seconds += seconds
        valid, calibration = self._evaluate(stop_if_asked)
        better = state.best is None or is_better(valid, state.best, settings.metric)
        if better:
            state.best_epoch = self._epoch
            state.best, state.waited = valid, 0
            state.best_file = best_name(state.steps)
            best = self._folder / state.best_file
            weights = self.model.state_dict() if self._average is None else self._average.tensors
            save_tensors(best, weights, to_texts(calibration))
        else:
            state.waited += 1
        if state.waited >= settings.patience:
            state.stopped = "patience"
        elif state.epochs == settings.epochs:
            state.stopped = "epochs"
        means: dict[str, float] = {}
        if epoch_ends:
            means = self._means(state.epoch_losses, steps_an_epoch)
            state.epoch_losses = {}
        known = {name: value for name, value in valid.flat().items() if value is not None}
        self._write(
            "epoch" if epoch_ends else "validation",
            means | {f"valid_{name}": value for name, value in known.items()} | {"best": better},
        )
        shown = {METRICS[name]: getattr(valid, name) for name in dict.fromkeys(("auc", settings.metric))}
        self._bar.print(
            "  ".join(
                [
                    f"epoch {state.epochs}" if epoch_ends else f"step {state.steps}",
                    *(f"{name.replace('_', ' ')} {mean:.4f}" for name, mean in means.items()),
                    *(f"valid {name} {value:.4f}" for name, value in shown.items() if value is not None),
                    *([f"valid: {valid.note}"] if valid.auc is None else []),
                    f"{self._epoch_rows / seconds:,.0f} rows/s",
                    "best so far" if better else "",
                ]
            )
        )

    def _evaluate(self, stop_if_asked: Callable[[], None]) -> tuple[Metrics, Calibration | None]:
        """Compute the metrics of the validation split, and the calibration that is fitted on it."""
        self._bar.begin("validation", self._valid_rows)

        def advance(rows: int) -> None:
            self._bar.advance(rows)
            stop_if_asked()

        try:
            with nullcontext() if self._average is None else self._average.in_place():
                if self._settings.calibration == "none":
                    return evaluate_model(self.model, self._valid, advance), None
                return validate_model(self.model, self._valid, advance)
        except FloatingPointError as error:
            raise self._diverged(str(error)) from error

    def _diverged(self, how: str) -> RunError:
        """Say that training cannot go on: nothing that is no number is recorded or saved as weights."""
        return RunError(
            f"{self._run.path}: training diverged in epoch {self._epoch}: {how}; train again with a smaller "
            f"training.learning_rate (now {self._settings.learning_rate})"
        )

    def _means(self, sums: dict[str, float], steps: int) -> dict[str, float]:
        """Turn losses that were summed up over steps into the means that the model has recorded."""
        return {name: total / steps for name, total in self.model.record(sums).items()}

    def _write(self, kind: str, numbers: dict[str, Any]) -> None:
        self._log.write({"kind": kind, "epoch": self._epoch, "step": self.state.steps, **numbers})

    # Checkpoints

    def _save_checkpoint(self) -> None:
        """Write all that training goes on from, then remove what the checkpoints before it needed."""
        tensors = {MODEL + name: tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {RECENT + name: total for name, total in self.recent.items()}
        tensors |= {FROZEN + name: frozen.rows for name, frozen in self._frozen.items()}
        if self._average is not None:
            tensors |= {AVERAGE + name: tensor for name, tensor in self._average.tensors.items()}
        optimiser = self._optimiser.state_dict()["state"]
        Checkpoint(self.state, tensors, optimiser).save(self._folder)

    def _expect_losses(self, named: Mapping[str, Tensor]) -> None:
        """Refuse a checkpoint with losses that the model does not have, or without those that it has."""
        kept, steps = self._kept_losses, self.state.steps
        if steps and kept is not None and not self.state.epoch_losses.keys() <= kept == named.keys():
            known, file = ", ".join(named), step_name(steps)
            raise RunError(f"{self._folder / file}: has other losses than the model's ({known}); {AGAIN}")

    def _load(self, checkpoint: Checkpoint, state: dict[int, Any]) -> None:
        """Take over what :meth:`_save_checkpoint` has written."""
        weights: dict[str, Tensor] = {}
        frozen: dict[str, Tensor] = {}
        averages: dict[str, Tensor] = {}
        for name, tensor in checkpoint.tensors.items():
            if name.startswith(MODEL):
                weights[name.removeprefix(MODEL)] = tensor
            elif name.startswith(FROZEN):
                frozen[name.removeprefix(FROZEN)] = tensor
            elif name.startswith(AVERAGE):
                averages[name.removeprefix(AVERAGE)] = tensor
            else:
                self.recent[name.removeprefix(RECENT)] = tensor.to(self._device)
        self._kept_losses = None if checkpoint.of_old else set(self.recent)
        self.model.load_state_dict(weights)
        if self._average is not None:
            self._average.load(averages)
        try:
            self._frozen = frozen_of(frozen, self.model)
        except (ConfigError, ValueError) as error:
            raise RunError(
                f"{self._folder}: the newest checkpoint does not fit the model: {error}; remove the run "
                "folder and train again"
            ) from error
        fresh = self._optimiser.state_dict()
        self._optimiser.load_state_dict({**fresh, "state": state})


LOWER_IS_BETTER = ("log_loss", "calibration_error")


def is_better(valid: Metrics, best: Metrics, metric: str) -> bool:
    """Tell whether a validation is better than the best so far.

    Where the best lacks the metric, as an AUC where all labels are of one kind, the newest is the best.
    """
    now, before = getattr(valid, metric), getattr(best, metric)
    if now is None or before is None:
        return before is None
    return bool(now < before if metric in LOWER_IS_BETTER else now > before)
