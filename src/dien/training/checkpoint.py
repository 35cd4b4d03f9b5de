"""Files that training writes again and again: safetensors, each whole or absent, never a pickle."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from safetensors.torch import save_file
from torch import Tensor

from dien.data.dataset_info import Count
from dien.errors import RunError
from dien.files import replacing
from dien.folders import Folder
from dien.tensors import read_tensors, with_checksum
from dien.training.metrics import Metrics
from dien.training.resumable import resumable

AGAIN = "copy the run folder again, or remove it and train again"

MODEL, RECENT, FROZEN, AVERAGE = "model.", "recent.", "frozen.", "average."
"""What the names of its tensors begin with: weights, sums of losses, rows that stay as they are, the moving
average of the weights."""

_step_of = re.compile(r"step-(\d{9,18})\.safetensors").fullmatch
is_best = re.compile(r"best-\d{9,18}\.safetensors").fullmatch
"""Tell whether a file has a name of :func:`best_name`."""


def step_name(steps: int) -> str:
    """Name the checkpoint of so many steps."""
    return f"step-{steps:09d}.safetensors"


def best_name(steps: int) -> str:
    """Name the weights that were the best after so many steps."""
    return f"best-{steps:09d}.safetensors"


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

    steps: Count = 0
    epochs: Count = 0
    epoch_losses: dict[str, float] = msgspec.field(default_factory=dict)
    best_epoch: Count = 0
    best_file: str = ""
    best: Metrics | None = None
    waited: Count = 0
    timed_rows: Count = 0
    timed_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    stopped: Literal["epochs", "patience"] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to resume, to the bit.

    Attributes:
        state: how far training has come.
        tensors: by name, weights and sums.
        optimiser: state of each parameter by its number, tensors and integers.
        name: of the file that it was read from.
        of_old: whether a version wrote it that kept losses by their place: some may be missing.
    """

    state: TrainState
    tensors: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor | int]]
    name: str = ""
    of_old: bool = False

    def save(self, folder: Path) -> None:
        """Write it, then remove what the checkpoints before it needed (:func:`drop_older`).

        Raises:
            RunError: it cannot be written; the checkpoint before it is kept.
        """
        path = folder / step_name(self.state.steps)
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
        drop_older(folder, self.state)

    @classmethod
    def newest(cls, folder: Path) -> Checkpoint | None:
        """Read the newest checkpoint, None where there is none.

        What it holds is checked against the model before it is used (:mod:`dien.training.going_on`).

        Raises:
            RunError: it cannot be read.
        """
        steps = _steps_in(folder)
        if not steps:
            return None
        where, name = Folder(folder, RunError, AGAIN), steps[max(steps)]
        found, texts = read_tensors(where, name)
        values: dict[str, Any] = dict(found)
        try:
            numbers = msgspec.convert(json.loads(texts["numbers"]), dict[str, Count])
            tensors: dict[str, Tensor] = {}
            optimiser: dict[int, dict[str, Tensor | int]] = {}
            values |= numbers
            for key, value in values.items():
                kind, _, rest = key.partition(".")
                if kind == "tensors":
                    tensors[rest] = value
                elif kind == "optimiser":
                    index, _, entry = rest.partition(".")
                    optimiser.setdefault(int(index), {})[entry] = value
                else:
                    raise ValueError(f"unknown tensor {key}")
            progress = json.loads(texts["progress"])
            if of_old := "epoch_loss" in progress:
                _name_losses(progress, tensors)
            state = msgspec.convert(progress, TrainState)
            if state.steps != max(steps):
                raise ValueError(f"is of step {state.steps}")
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
            raise where.refusal(name, f"cannot be read: {error}") from error
        return cls(state, tensors, optimiser, name, of_old)


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a folder has a checkpoint to go on from; it need not be there."""
    return bool(_steps_in(folder))


def drop_older(folder: Path, state: TrainState) -> None:
    """Remove what the checkpoint of a state does not need: earlier checkpoints and earlier best weights."""
    needed = {step_name(state.steps), state.best_file}
    for file in list(folder.iterdir()):
        if (_step_of(file.name) or is_best(file.name)) and file.name not in needed:
            file.unlink()


def _steps_in(folder: Path) -> dict[int, str]:
    """List the checkpoints in a folder: after how many steps each was written, and its file."""
    return {int(match[1]): match[0] for path in folder.glob("*") if (match := _step_of(path.name))}


def _name_losses(progress: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Bring a checkpoint of the time when losses went by their place to today's form."""
    recent = tensors.pop("recent")  # [losses]
    sums = progress.pop("epoch_loss"), progress.pop("epoch_auxiliary", 0.0)
    epoch = [*sums, *progress.pop("epoch_rocket", [])]
    names = ("loss", "auxiliary_loss", "booster_loss", "hint_loss")
    progress["epoch_losses"] = {name: total for name, total in zip(names, epoch, strict=False) if total}
    tensors |= {RECENT + name: total for name, total in zip(names, recent, strict=False) if total}
    progress["best"] = progress.get("best") or None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file beside and rename it into place.

    Raises:
        RunError: it cannot be written, as on a full disk.
    """
    with resumable(path), replacing(path) as new:
        mode = new.stat().st_mode
        plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        save_file(plain, new, with_checksum(plain, metadata or {}))
        _order_texts(new)
        new.chmod(mode)  # safetensors makes files private


def _order_texts(path: Path) -> None:
    """Put the texts of a safetensors file in order, so that the same weights are the same bytes.

    The library writes them in a random one. The header keeps its length.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))
