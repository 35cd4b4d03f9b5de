"""Files that training writes again and again: safetensors, each whole or absent, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dien.errors import RunError
from dien.files import replacing
from dien.training.metrics import Metrics
from dien.training.resumable import resumable


class TrainState(msgspec.Struct):
    """How far training has come; JSON keeps every number exactly.

    Attributes:
        steps: done.
        epochs: done.
        epoch_losses: by name, the sum of a loss over the steps of this epoch that are in a record already.
        best_epoch: that of the best weights so far, from 1; 0 before the first validation.
        best_file: its weights, in ``checkpoints``.
        best: its validation metrics; None before the first validation.
        waited: validations since then.
        timed_rows: trained on in the epochs that ended, as far as the process that ended them did it.
        timed_seconds: what that took, without validation.
        stopped: why training has ended: as many ``epochs`` as were asked for, or ``patience``, since nothing
            got better; None while it has not.
    """

    steps: int = 0
    epochs: int = 0
    epoch_losses: dict[str, float] = msgspec.field(default_factory=dict)
    best_epoch: int = 0
    best_file: str = ""
    best: Metrics | None = None
    waited: int = 0
    timed_rows: int = 0
    timed_seconds: float = 0.0
    stopped: Literal["epochs", "patience"] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to resume, to the bit.

    Attributes:
        state: how far training has come.
        tensors: by name, weights and sums.
        optimiser: state of each parameter by its number, tensors and integers.
    """

    state: TrainState
    tensors: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor | int]]

    def save(self, folder: Path) -> None:
        """Write ``folder/step-N.safetensors``, then drop the checkpoints before it.

        Raises:
            RunError: it cannot be written; the checkpoint before it is kept.
        """
        path = folder / f"step-{self.state.steps:09d}.safetensors"
        tensors, numbers = {f"tensors.{name}": tensor for name, tensor in self.tensors.items()}, {}
        for index, entries in self.optimiser.items():
            for key, value in entries.items():
                name = f"optimiser.{index}.{key}"
                if isinstance(value, Tensor):
                    tensors[name] = value
                else:
                    numbers[name] = value
        state = msgspec.to_builtins(self.state)  # for json, which keeps a NaN
        save_tensors(path, tensors, {"progress": json.dumps(state), "numbers": json.dumps(numbers)})
        for old in folder.glob("step-*.safetensors"):
            if old != path:
                old.unlink()

    @classmethod
    def newest(cls, folder: Path) -> Checkpoint | None:
        """Read the newest checkpoint, None where there is none.

        Raises:
            RunError: it cannot be read.
        """
        files = sorted(folder.glob("step-*.safetensors"))
        if not files:
            return None
        try:
            with safe_open(files[-1], "pt") as file:
                values: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata()
            numbers = json.loads(metadata["numbers"])
            tensors: dict[str, Tensor] = {}
            optimiser: dict[int, dict[str, Tensor | int]] = {}
            for name, value in {**values, **numbers}.items():
                kind, _, rest = name.partition(".")
                if kind == "tensors":
                    tensors[rest] = value
                else:
                    index, _, key = rest.partition(".")
                    optimiser.setdefault(int(index), {})[key] = value
            progress = json.loads(metadata["progress"])
            if "epoch_loss" in progress:
                _name_losses(progress, tensors)
            return cls(msgspec.convert(progress, TrainState), tensors, optimiser)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError, msgspec.ValidationError) as error:
            raise RunError(
                f"{files[-1]}: cannot be read ({error}); remove the run folder and train again"
            ) from error


def _name_losses(progress: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Bring a checkpoint of the time when losses went by their place to today's form."""
    recent = tensors.pop("recent")  # [losses]
    sums = progress.pop("epoch_loss"), progress.pop("epoch_auxiliary", 0.0)
    epoch = [*sums, *progress.pop("epoch_rocket", [])]
    names = ("loss", "auxiliary_loss", "booster_loss", "hint_loss")
    progress["epoch_losses"] = {name: total for name, total in zip(names, epoch, strict=False) if total}
    tensors |= {f"recent.{name}": total for name, total in zip(names, recent, strict=False) if total}
    progress["best"] = progress.get("best") or None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file beside and rename it into place.

    Raises:
        RunError: it cannot be written, as on a full disk.
    """
    with resumable(path), replacing(path) as new:
        mode = new.stat().st_mode
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, new, metadata)
        new.chmod(mode)  # safetensors makes files private
