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

from dien.data.batch import Batch
from dien.data.batches import Batches, ready
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import Model
from dien.run import Run
from dien.training.checkpoint import Checkpoint, save_tensors
from dien.training.evaluate import evaluate_model, evaluation_batches
from dien.training.log import TrainingLog
from dien.training.metrics import Metrics
from dien.training.optimiser import RowAdam
from dien.training.progress import Bar
from dien.training.warm import since

LOG_STEPS = 100
_RECENT = "recent."


@dataclass
class Standing:
    """How far training has come; JSON keeps every number exactly.

    Attributes:
        steps: done.
        epochs: done.
        epoch_losses: sums of the losses over the steps of this epoch that are in a record already, by name.
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
    epoch_losses: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    best_file: str = ""
    best: dict[str, Any] = field(default_factory=dict)
    waited: int = 0
    timed_rows: int = 0
    timed_seconds: float = 0.0
    stopped: str | None = None


class ClickModule(LightningModule):
    """Trains a click model.

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
        recent: sums of the losses over the steps since the last record, by name, on the model's device.
    """

    def __init__(self, model: Model, run: Run, dataset: Dataset, bar: Bar) -> None:
        super().__init__()
        self.model = model
        self.standing = Standing()
        self._run, self._bar = run, bar
        self._settings = settings = run.config.training
        config = run.config.model
        self._valid_rows = len(dataset.splits["valid"].item)
        self._train = Batches(
            dataset,
            "train",
            batch_size=settings.batch_size,
            max_history=config.max_history,
            seed=settings.seed,
            shuffle=True,
            negatives=settings.negatives,
            auxiliary=config.needs_negatives,
            auxiliary_negatives=settings.auxiliary_negatives,
            since=since(run),
        )
        self.train_rows = self._train.rows
        self._valid = evaluation_batches(dataset, "valid", config.max_history)
        self.recent: dict[str, Tensor] = {}
        self._optimiser_state: dict[int, dict[str, Tensor | int]] = {}
        checkpoint = Checkpoint.newest(self._folder)
        if checkpoint is not None:
            self.standing = Standing(**checkpoint.progress)
            sums = [name for name in checkpoint.tensors if name.startswith(_RECENT)]
            self.recent = {name.removeprefix(_RECENT): checkpoint.tensors.pop(name) for name in sums}
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
        losses = self.model.losses(batch)
        self.recent = {
            name: loss.detach().double() + self.recent.get(name, 0.0)
            for name, loss in {"loss": losses.total, **losses.parts}.items()
        }
        return losses.total

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
        recent = {name: loss.item() for name, loss in self.recent.items()}
        self.recent = {}
        before = standing.epoch_losses
        standing.epoch_losses = {name: before.get(name, 0.0) + loss for name, loss in recent.items()}
        steps = min(done, standing.steps % LOG_STEPS or LOG_STEPS)
        self._write("steps", self._means(recent, steps))

    def _end_epoch(self) -> None:
        """Validate, keep the best weights, and stop when nothing gets better."""
        standing, settings = self.standing, self._settings
        epoch = standing.epochs = standing.steps // len(self._train)
        seconds = time.perf_counter() - self._started
        standing.timed_rows += self._seen
        standing.timed_seconds += seconds
        means = self._means(standing.epoch_losses, len(self._train))
        standing.epoch_losses = {}
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

    def _means(self, sums: dict[str, float], steps: int) -> dict[str, float]:
        """Take the means of losses that were summed up over steps, as the model has them recorded."""
        return {name: total / steps for name, total in self.model.record(sums).items()}

    def _write(self, kind: str, numbers: dict[str, Any]) -> None:
        steps = self.standing.steps
        self._log.write(
            {"kind": kind, "epoch": (steps - 1) // len(self._train) + 1, "step": steps, **numbers}
        )

    def _checkpoint(self) -> None:
        optimiser = self.trainer.optimizers[0]
        state = optimiser.state_dict()["state"]
        tensors = self.state_dict() | {_RECENT + name: loss for name, loss in self.recent.items()}
        Checkpoint(asdict(self.standing), tensors, state).save(self._folder, self.standing.steps)
        for file in self._folder.glob("best-*.safetensors"):  # no checkpoint speaks of the others any more
            if file.name != self.standing.best_file:
                file.unlink()
