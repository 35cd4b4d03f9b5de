"""Where an epoch of `dien train` goes: the training step, waiting for batches, and all that is around it.

    dien prepare movielens-1m --out data/movielens-1m
    python benchmarks/epoch.py data/movielens-1m --batch-size 128 1024 --threads 2

Trains for an epoch as `dien train` does, with clocks set around calls from outside. A part's time is its own,
without that of the parts it calls. Prints Markdown: seconds, milliseconds a step, and each part's share of
the epoch, which is all of the training loop but validation, checkpoints and the best weights.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `dien` does; OpenMP reads it when torch is loaded

import torch

from dien.config import RunConfig, load_config
from dien.data.batch import Batch
from dien.data.dataset import Dataset
from dien.training import fit, trainer
from dien.training.average import WeightAverage
from dien.training.optimiser import RowAdam
from dien.training.trainer import Trainer

STEP = ("forward", "backward", "optimiser")
EPOCH = (*STEP, "batches", "records, progress and the loop")
BESIDE = ("validation", "checkpoints and weights", "before and after")


class Enough(Exception):  # noqa: N818
    """As many steps as were asked for."""


class Ledger:
    """Seconds by part; the clock runs for the innermost of the parts that are open.

    Attributes:
        seconds: by part.
        steps: of training.
        rows: of these.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.steps = self.rows = 0
        self._open = ["before and after"]
        self._since = time.perf_counter()

    def count(self) -> None:
        """Give the innermost part what has passed since the last count."""
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Have a call be counted as a part."""

        def run(*arguments: Any, **options: Any) -> Any:
            self.count()
            self._open.append(part)
            try:
                return call(*arguments, **options)
            finally:
                self.count()
                self._open.pop()

        return run

    def sum(self, parts: tuple[str, ...]) -> float:
        """Seconds of several parts."""
        return sum(self.seconds[part] for part in parts)


def clocks(ledger: Ledger, most: int | None) -> ExitStack:
    """Set the clocks, until the stack is closed; training ends with Enough after so many steps."""
    step, ready = Trainer.step, trainer.ready

    def waited_for(batches: Iterable[Batch]) -> Iterator[Batch]:
        following = ledger.timed("batches", next)
        iterator = ready(batches)
        while (batch := following(iterator, None)) is not None:
            yield batch

    def counted(self: Trainer, batch: Batch) -> None:
        if ledger.steps == most:
            raise Enough
        step(self, batch)
        ledger.steps += 1
        ledger.rows += len(batch)

    stack = ExitStack()
    for owner, name, part, call in (
        (Trainer, "train", "records, progress and the loop", Trainer.train),
        (Trainer, "loss", "forward", Trainer.loss),
        (torch.Tensor, "backward", "backward", torch.Tensor.backward),
        (RowAdam, "step", "optimiser", RowAdam.step),
        (RowAdam, "zero_grad", "optimiser", RowAdam.zero_grad),
        (WeightAverage, "before_step", "optimiser", WeightAverage.before_step),
        (WeightAverage, "update", "optimiser", WeightAverage.update),
        (trainer, "validate_model", "validation", trainer.validate_model),
        (trainer, "save_tensors", "checkpoints and weights", trainer.save_tensors),
        (Trainer, "_save_checkpoint", "checkpoints and weights", Trainer._save_checkpoint),
    ):
        stack.enter_context(patch.object(owner, name, ledger.timed(part, call)))
    stack.enter_context(patch.object(trainer, "ready", waited_for))
    stack.enter_context(patch.object(Trainer, "step", counted))
    return stack


def epoch(dataset: Dataset, config: RunConfig, most: int | None) -> Ledger:
    """Train for an epoch, or for so many steps of it."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger()
        with clocks(ledger, most), suppress(Enough):
            fit(dataset, config, Path(folder) / "run", show_progress=False)
        ledger.count()
    return ledger


def table(ledger: Ledger) -> str:
    whole = ledger.sum(EPOCH)
    lines = ["| | s | ms a step | share of the epoch |", "| --- | --- | --- | --- |"]

    def line(name: str, seconds: float) -> None:
        lines.append(
            f"| {name} | {seconds:.2f} | {1e3 * seconds / ledger.steps:.2f} | {100 * seconds / whole:.1f} % |"
        )

    for part in EPOCH:
        line(part, ledger.seconds[part])
    line("the training step: forward, backward, optimiser", ledger.sum(STEP))
    line("the epoch", whole)
    return "\n".join([*lines, *(f"| {part} | {ledger.seconds[part]:.2f} | | |" for part in BESIDE)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="DATA folder")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, help="stop after so many, without validation")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="as dien train takes it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = Dataset.open(options.data)
    for batch_size in options.batch_size:
        overrides = [*options.set, "training.epochs=1", f"training.batch_size={batch_size}"]
        ledger = epoch(dataset, load_config(None, overrides), options.steps)
        step, whole = ledger.sum(STEP), ledger.sum(EPOCH)
        everything = whole + ledger.sum(BESIDE)
        rate, of_epoch, of_all = ledger.rows / whole, 100 * step / whole, 100 * step / everything
        print(
            f"Batches of {batch_size}: {ledger.steps:,} steps, {rate:,.0f} rows/s in the epoch. The training "
            f"step is {of_epoch:.1f} % of the epoch and {of_all:.1f} % of all {everything:.1f} s.\n",
        )
        print(table(ledger), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
