"""Training that kills itself at a chosen moment, for the tests of resuming. Run in a process of its own."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dien.run
from dien.config import RunConfig
from dien.data.batches import Batches
from dien.training import fit
from dien.training.log import TrainingLog

os.fsync = lambda handle: None  # what was written outlives a process that is killed


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(
    data: Path, config: RunConfig, out: Path, moment: str, count: int, start_from: Path | None = None
) -> None:
    """Start or resume training, and die when ``moment`` comes for the ``count``-th time."""
    owner, name, happens = MOMENTS[moment]
    original, seen = getattr(owner, name), 0

    def watched(*args: Any, **kwargs: Any) -> Any:
        nonlocal seen
        if happens(*args, **kwargs):
            seen += 1
            if seen == count:
                if moment == "half a line of the log":
                    half_a_line(*args)
                kill()
        return original(*args, **kwargs)

    setattr(owner, name, watched)
    fit(data, config, out, start_from=start_from, resume=True, show_progress=False)


def half_a_line(log: TrainingLog, record: dict[str, Any]) -> None:
    with (log._run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "ste')


def renames(*prefixes: str) -> Callable[..., bool]:
    return lambda path, target: Path(target).name.startswith(prefixes)


# What is watched, and which of its calls are the moment: just before the call.
MOMENTS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "the run folder is being made": (
        dien.run,
        "_copy",
        lambda data, file, target: "vocabularies" in str(target),
    ),
    "a training batch": (Batches, "batch", lambda batches, *_: batches._order._shuffle),
    "a validation batch": (Batches, "batch", lambda batches, *_: not batches._order._shuffle),
    "the rename of a checkpoint": (Path, "replace", renames("step-")),
    "the rename of the best weights": (Path, "replace", renames("best-")),
    "the removal of an old checkpoint": (
        Path,
        "unlink",
        lambda path, **_: path.name.startswith("step-"),
    ),
    "half a line of the log": (TrainingLog, "write", lambda log, record: True),
    "the rename of the trained weights": (Path, "replace", renames("model.")),
    "the rename of the result": (Path, "replace", renames("result.")),
}
