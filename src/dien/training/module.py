"""The Lightning module: loss, steps, epochs, and a state from which training goes on to the bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from dien.config import RocketConfig, loss_weights
from dien.data.batch import Batch
from dien.data.batches import Batches, ready
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import Model, Rocket
from dien.run import Run
from dien.training.checkpoint import Checkpoint, save_tensors
from dien.training.evaluate import evaluate_model, evaluation_batches
from dien.training.log import TrainingLog
from dien.training.metrics import Metrics
from dien.training.optimiser import RowAdam
from dien.training.progress import Bar
from dien.training.warm import since

LOG_STEPS = 100


@dataclass
class Standing:
    """How far training has come; JSON keeps every number exactly.

    Attributes:
        steps: done.
        epochs: done.
        epoch_loss: sum of the loss over the steps of this epoch that are in a record already.
        epoch_auxiliary: the same of the auxiliary loss.
        epoch_rocket: the same of Rocket Launching's booster and hint; empty for other models.
        best_epoch: the best so far, from 1; 0 before the first validation.
        best_file: its weights, in ``checkpoints``.
        best: its validation metrics.
        waited: epochs since then.
        timed_rows: trained on in the epochs that ended, as far as the process that ended them did it.
        timed_seconds: what that took, without validation.
        stopped: why training has ended: ``epochs``, ``patience``; None while it has not.
    """

    steps: int = 0
    epochs: int = 0
    epoch_loss: float = 0.0
    epoch_auxiliary: float = 0.0
    epoch_rocket: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_file: str = ""
    best: dict[str, Any] = field(default_factory=dict)
    waited: int = 0
    timed_rows: int = 0
    timed_seconds: float = 0.0
    stopped: str | None = None


class ClickModule(LightningModule):
    """Trains a click model (eq. 7), or two by Rocket Launching, of which the light one is validated.

    Lightning is given the rest of training as one stream of batches, and epochs are counted here: each batch
    is a function of (seed, epoch, index), so a run that was stopped anywhere goes on with the very batch that
    comes next, whatever state Lightning's loops and loaders were in.

    Args:
        model: the model.
        run: where checkpoints and records go, and the configuration.
        dataset: what it is trained and validated on.
        bar: what is shown.

    Attributes:
        standing: how far training has come.
        train_rows: candidates it is trained on in an epoch.
    """

    recent: Tensor

    def __init__(self, model: Model, run: Run, dataset: Dataset, bar: Bar) -> None:
        super().__init__()
        self.model = model
        self.standing = Standing()
        self._run, self._bar = run, bar
        self._settings = settings = run.config.training
        config = run.config.model
        self._auxiliary_weight, self._target_weight = loss_weights(config)
        self._hint_weight = config.hint_weight if isinstance(config, RocketConfig) else 0.0
        self._valid_rows = len(dataset.splits["valid"].item)
        self._train = Batches(
            dataset,
            "train",
            batch_size=settings.batch_size,
            max_history=config.max_history,
            seed=settings.seed,
            shuffle=True,
            negatives=settings.negatives,
            auxiliary=self._auxiliary_weight > 0,
            auxiliary_negatives=settings.auxiliary_negatives,
            since=since(run),
        )
        self.train_rows = self._train.rows
        self._valid = evaluation_batches(dataset, "valid", config.max_history)
        # Loss and auxiliary loss, with Rocket Launching also the booster's loss and the hint, summed over the
        # steps since the last record; stays on the device.
        sums = 4 if isinstance(model, Rocket) else 2
        self.register_buffer("recent", torch.zeros(sums, dtype=torch.float64))
        self._optimiser_state: dict[int, dict[str, Tensor | int]] = {}
        checkpoint = Checkpoint.newest(self._folder)
        if checkpoint is not None:
            self.standing = Standing(**checkpoint.progress)
            self.load_state_dict(checkpoint.tensors)
            self._optimiser_state = checkpoint.optimiser
        self._log = TrainingLog(run.path, self.standing.steps)
        self._started, self._seen = time.perf_counter(), 0  # rows of this epoch, in this process

    @property
    def _folder(self) -> Path:
        return self._run.path / "checkpoints"

    # What Lightning calls

    def batches(self) -> Iterator[Batch]:
        """Give all batches from the next step on, epoch after epoch."""
        first, start = divmod(self.standing.steps, len(self._train))
        for epoch in range(first, self._settings.epochs):
            yield from ready(self._train.epoch(epoch, start if epoch == first else 0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimiser, where training goes on with its old state."""
        optimiser = RowAdam(self.model.parameters(), lr=self._settings.learning_rate)
        if self._optimiser_state:
            optimiser.load_state_dict({**optimiser.state_dict(), "state": self._optimiser_state})
            self._optimiser_state = {}
        return optimiser

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to the GPU."""
        return batch if device.type == "cpu" else batch.to(device)

    def on_train_start(self) -> None:
        """Have the epoch begin, or go on, where it stands."""
        self._begin_epoch()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of a batch."""
        self._seed()
        assert batch.label is not None
        given = batch.label, self._auxiliary_weight, self._target_weight
        if isinstance(self.model, Rocket):
            losses = self.model.launch(batch).losses(*given)
            loss, auxiliary = losses.total(self._hint_weight), losses.light_auxiliary
            self.recent[2] += losses.booster.detach()
            self.recent[3] += losses.hint.detach()
        else:
            prediction = self.model(batch)
            loss, auxiliary = prediction.loss(*given), prediction.auxiliary_loss
        if auxiliary is not None:
            self.recent[1] += auxiliary.detach()
        self.recent[0] += loss.detach()
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count the step; record, validate and checkpoint where it is time to."""
        standing = self.standing
        standing.steps += 1
        self._seen += len(batch)
        self._bar.advance(len(batch))
        epoch_ends = standing.steps % len(self._train) == 0
        if standing.steps % LOG_STEPS == 0 or epoch_ends:
            self._record_steps()
        if epoch_ends:
            self._end_epoch()
        if epoch_ends or standing.steps % self._settings.checkpoint_steps == 0:
            self._checkpoint()
        if epoch_ends and not standing.stopped:
            self._begin_epoch()
        self.trainer.should_stop = standing.stopped is not None

    def close(self) -> None:
        """End what is being written, however training ended."""
        self._log.close()

    def _seed(self) -> None:
        """Have whatever a layer draws follow from the step, not from what was drawn before a restart."""
        seed = self._settings.seed * 1_000_003 + self.standing.steps
        torch.default_generator.manual_seed(seed)  # torch.manual_seed costs as much as a small model
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    # Epochs

    def _begin_epoch(self) -> None:
        """Set the epoch's learning rate, computed from its number alone, and show where it stands."""
        epoch, done = divmod(self.standing.steps, len(self._train))
        rows, batches, settings = self.train_rows, len(self._train), self._settings
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = settings.learning_rate * settings.learning_rate_decay**epoch
        self._bar.begin(f"epoch {epoch + 1}/{settings.epochs}", rows, rows * done // batches)
        self._started, self._seen = time.perf_counter(), 0

    def _record_steps(self) -> None:
        """Write the mean losses since the last record."""
        standing = self.standing
        done = (standing.steps - 1) % len(self._train) + 1  # in this epoch
        loss, auxiliary, *rocket = self.recent.tolist()
        self.recent.zero_()
        standing.epoch_loss += loss
        standing.epoch_auxiliary += auxiliary
        before = standing.epoch_rocket or [0.0] * len(rocket)
        standing.epoch_rocket = [a + b for a, b in zip(before, rocket, strict=True)]
        steps = min(done, standing.steps % LOG_STEPS or LOG_STEPS)
        self._write("steps", self._means(loss, auxiliary, rocket, steps))

    def _end_epoch(self) -> None:
        """Validate, keep the best weights, and stop when nothing gets better."""
        standing, settings = self.standing, self._settings
        epoch = standing.epochs = standing.steps // len(self._train)
        seconds = time.perf_counter() - self._started
        standing.timed_rows += self._seen
        standing.timed_seconds += seconds
        sums = standing.epoch_loss, standing.epoch_auxiliary, standing.epoch_rocket
        means = self._means(*sums, len(self._train))
        standing.epoch_loss, standing.epoch_auxiliary, standing.epoch_rocket = 0.0, 0.0, []
        self._bar.begin("validation", self._valid_rows)
        try:
            valid = evaluate_model(self.model, self._valid, self._bar.advance)
        except FloatingPointError as error:
            raise RunError(
                f"{self._run.path}: training diverged in epoch {epoch}: {error}; train again with a smaller "
                f"training.learning_rate (now {settings.learning_rate})"
            ) from error
        better = self._better(valid)
        if better:
            standing.best_epoch, standing.best, standing.waited = epoch, valid.to_dict(), 0
            standing.best_file = f"best-{standing.steps:09d}.safetensors"
            save_tensors(self._folder / standing.best_file, self.model.state_dict())
        else:
            standing.waited += 1
        if standing.waited >= settings.patience:
            standing.stopped = "patience"
        elif epoch == settings.epochs:
            standing.stopped = "epochs"
        self._write(
            "epoch",
            means
            | {f"valid_{name}": value for name, value in valid.to_dict().items() if value is not None}
            | {"best": better},
        )
        texts = [f"epoch {epoch}", *(f"{name.replace('_', ' ')} {mean:.4f}" for name, mean in means.items())]
        texts.append(f"valid AUC {valid.auc:.4f}" if valid.auc is not None else f"valid: {valid.note}")
        self._bar.print(
            "  ".join([*texts, f"{self._seen / seconds:,.0f} rows/s", "best so far" if better else ""])
        )

    def _better(self, valid: Metrics) -> bool:
        """Whether the weights are the best so far; without an AUC (labels of one kind) the newest are."""
        best = self.standing.best.get("auc")
        return best is None or (valid.auc is not None and valid.auc > best)

    def _means(self, loss: float, auxiliary: float, rocket: list[float], steps: int) -> dict[str, float]:
        """Take the loss apart; what it says of target and auxiliary loss is of the net that is validated."""
        sums = {"loss": loss}
        rest = loss
        if rocket:
            booster, hint = rocket
            rest -= booster + self._hint_weight * hint
        if self._auxiliary_weight or rocket:
            sums["target_loss"] = (rest - self._auxiliary_weight * auxiliary) / self._target_weight
        if self._auxiliary_weight:
            sums["auxiliary_loss"] = auxiliary
        if rocket:
            sums |= {"booster_loss": booster, "hint_loss": hint}
        return {name: total / steps for name, total in sums.items()}

    def _write(self, kind: str, numbers: dict[str, Any]) -> None:
        steps = self.standing.steps
        self._log.write(
            {"kind": kind, "epoch": (steps - 1) // len(self._train) + 1, "step": steps, **numbers}
        )

    def _checkpoint(self) -> None:
        optimiser = self.trainer.optimizers[0]
        state = optimiser.state_dict()["state"]
        Checkpoint(asdict(self.standing), self.state_dict(), state).save(self._folder, self.standing.steps)
        for file in self._folder.glob("best-*.safetensors"):  # no checkpoint speaks of the others any more
            if file.name != self.standing.best_file:
                file.unlink()
