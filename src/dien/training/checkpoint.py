"""Files that training writes again and again: safetensors, each whole or absent, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dien.errors import RunError
from dien.files import replacing
from dien.training.resumable import resumable


@dataclass(frozen=True)
class Checkpoint:
    """All that training goes on from, to the bit.

    Attributes:
        progress: counters and sums, as JSON knows them.
        tensors: by name, weights and sums.
        optimiser: state of each parameter by its number, tensors and integers.
    """

    progress: dict[str, Any]
    tensors: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor | int]]

    def save(self, folder: Path, step: int) -> None:
        """Write ``folder/step-N.safetensors``, then drop the checkpoints before it.

        Raises:
            RunError: it cannot be written; the checkpoint before it still stands.
        """
        path = folder / f"step-{step:09d}.safetensors"
        tensors, numbers = {f"tensors.{name}": tensor for name, tensor in self.tensors.items()}, {}
        for index, state in self.optimiser.items():
            for key, value in state.items():
                name = f"optimiser.{index}.{key}"
                if isinstance(value, Tensor):
                    tensors[name] = value
                else:
                    numbers[name] = value
        save_tensors(path, tensors, {"progress": json.dumps(self.progress), "numbers": json.dumps(numbers)})
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
            progress, numbers = json.loads(metadata["progress"]), json.loads(metadata["numbers"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise RunError(
                f"{files[-1]}: cannot be read ({error}); remove the RUN and train again"
            ) from error
        tensors: dict[str, Tensor] = {}
        optimiser: dict[int, dict[str, Tensor | int]] = {}
        for name, value in {**values, **numbers}.items():
            kind, _, rest = name.partition(".")
            if kind == "tensors":
                tensors[rest] = value
            else:
                index, _, key = rest.partition(".")
                optimiser.setdefault(int(index), {})[key] = value
        return cls(progress, tensors, optimiser)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file beside and rename it into place.

    Raises:
        RunError: it cannot be written, as on a full disk.
    """
    with resumable(path), replacing(path) as new:
        mode = new.stat().st_mode
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, new, metadata)
        new.chmod(mode)  # safetensors makes files private
