"""Runs side by side: each in a process of its own, on one thread."""

from __future__ import annotations

import os
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import torch

from dien.config import RunConfig
from dien.data.dataset import Dataset
from dien.data.leakage import warn_of_leaking
from dien.data.popularity import Counted
from dien.errors import ConfigError, DataError, DatasetWarning, DienError, RunError
from dien.lock import locked
from dien.models.registry import Registered, models, register
from dien.processes import end_with_parent, fresh_processes, how_it_ended, start
from dien.run import RESULT, Run
from dien.training.evaluate import evaluate
from dien.training.fit import (
    READ,
    FitResult,
    fit,
    read_result,
    warn_of_counts,
    warn_of_ids,
    warn_of_validation,
)
from dien.training.log import read_records
from dien.training.metrics import Metrics
from dien.training.records import load, text_of
from dien.training.resumable import write_text

TEST = "test.json"
LOOK_SECONDS = 1.0


class Evaluation(msgspec.Struct, frozen=True):
    """The content of ``test.json`` in a run folder.

    Attributes:
        metrics: of the test split.
        scoring_rows_per_second: at which they were computed; None where the split is a single batch.
    """

    metrics: Metrics
    scoring_rows_per_second: float | None


@dataclass(frozen=True)
class Job:
    """A run to train and to evaluate.

    Attributes:
        data: the dataset folder.
        config: model and training.
        out: the run folder; one that exists is resumed.
        test: whether to evaluate it on the test split, which is not read otherwise.
    """

    data: Path
    config: RunConfig
    out: Path
    test: bool = True

    @property
    def done(self) -> bool:
        """Whether nothing of it is left to do."""
        return (self.out / (TEST if self.test else RESULT)).is_file()

    def result(self) -> FitResult:
        """Read the result of its training, once that has ended."""
        return read_result(Run.open(self.out))

    def evaluation(self) -> Evaluation:
        """Read the result of its evaluation, once that has ended."""
        return load(self.out / TEST, Evaluation, "dien compare")

    def expect_data(self, dataset: Dataset) -> None:
        """Refuse a dataset other than the one the run was started on.

        Raises:
            RunError: naming what differs.
        """
        if self.out.exists():
            Run.open(self.out).expect_data(dataset)

    def epochs_over(self) -> int:
        """Count the epochs that are over or were not needed."""
        if self.done:
            return self.config.training.epochs
        return sum(record["kind"] == "epoch" for record in read_records(self.out))


def expect_importable(configs: Iterable[RunConfig]) -> None:
    """Refuse models that the processes of :func:`run_all` cannot import.

    Raises:
        ConfigError: a class is defined in a function, a notebook or an interactive session.
    """
    for config in configs:
        for kind in (type(config.model), models()[config.model.name].model):
            home: Any = sys.modules.get(kind.__module__)
            found: Any = home
            for part in kind.__qualname__.split("."):
                found = getattr(found, part, None)
            if found is not kind or (kind.__module__ == "__main__" and not hasattr(home, "__file__")):
                raise ConfigError(
                    f"model {config.model.name}: {kind.__qualname__} is defined in a function, a notebook or "
                    "an interactive session, where the processes of compare and tune cannot import it; put "
                    "it into a file of its own and import that"
                )


def warn_of(dataset: Dataset, configs: Collection[RunConfig]) -> None:
    """Warn once of what is odd in a dataset for runs; the processes of :func:`run_all` do not repeat it."""
    try:
        dataset.check(READ)
    except DataError:  # each run will say it
        return
    warn_of_validation(dataset, calibrated=any(config.training.calibration != "none" for config in configs))
    warn_of_leaking(dataset.schema, dataset.splits["train"])
    warn_of_ids(dataset, configs)
    if any(config.model.popularity for config in configs):
        warn_of_counts(dataset, Counted.of(dataset).untimed)


def carry_out(job: Job) -> None:
    """Train a run to its end, going on where it was stopped, and evaluate it.

    Everything runs on one thread, so that the weights do not depend on how many cores the machine has.

    Raises:
        RunError: the run was started otherwise, cannot be written, or training diverged.
        DataError: the dataset cannot be read or has no training rows.
    """
    torch.set_num_threads(1)
    dataset = Dataset.open(job.data)
    with locked(job.out, RunError, wait=60):
        pass  # a process of a command that was killed just now, and that is about to end
    fit(dataset, job.config, job.out, resume=True, show_progress=False)
    if not job.test:
        return
    seen: list[tuple[int, float]] = []
    metrics = evaluate(
        Run.open(job.out),
        dataset,
        device=job.config.training.device,
        progress=lambda rows: seen.append((rows, time.perf_counter())),
    )
    rate = None
    if len(seen) > 1:  # from the end of the first batch on: opening and loading are not scoring
        rate = round(sum(rows for rows, _ in seen[1:]) / (seen[-1][1] - seen[0][1]), 1)
    write_text(job.out / TEST, text_of(Evaluation(metrics, rate)))


def run_all(
    jobs: Iterable[Job],
    processes: int,
    ended: Callable[[Job, str | None], Iterable[Job] | None],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Carry out jobs, so many at a time; one that fails stops no other.

    The processes end with this one, however it ends: a run never has two writers.

    Args:
        jobs: in the order they are started in.
        processes: at most so many at a time.
        ended: called with each job when it has ended, and the error it failed with, if it did; the jobs it
            returns are carried out too.
        meanwhile: called about every second.
    """
    context = fresh_processes([__name__, "torch._dynamo"])  # which an optimiser would load: 1 s
    waiting = deque(jobs)
    running: dict[Any, tuple[Job, BaseProcess, Connection]] = {}  # by the last of these
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.popleft()
                receive, send = context.Pipe(duplex=False)
                found = models()[job.config.model.name]
                process = context.Process(target=_work, args=(job, found, send))
                start(process)
                send.close()
                running[receive] = job, process, receive
            for ready in wait(list(running), LOOK_SECONDS):
                job, process, receive = running.pop(ready)
                error = _error(process, receive)
                # A process that was killed when all was written has done its work.
                waiting.extend(ended(job, None if job.done else error) or ())
            meanwhile()
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.join()


def _error(process: BaseProcess, receive: Connection) -> str | None:
    """Wait for a process to end and give its error; None where it did its work."""
    said = None
    with receive, suppress(EOFError, OSError):  # which is there when the process was killed
        said = str(receive.recv())  # before joining: a long text does not fit into the pipe
    if said is None:
        return how_it_ended(process, "--jobs")
    process.join()
    return said or None


def _work(job: Job, found: Registered, send: Connection) -> None:
    """Carry out a job in this process, and send the error, or an empty text.

    Args:
        job: what to do.
        found: what the name of its model stands for: a model that only the parent has registered came here
            with its class.
        send: where to.
    """
    if found.config.name not in models():
        register(found.config.name, found.model, found.config, found.space)
    end_with_parent()
    warnings.simplefilter("ignore", DatasetWarning)  # the parent has said it, once for all runs
    try:
        carry_out(job)
        send.send("")
    except KeyboardInterrupt:  # Ctrl-C reaches every process of a terminal; the parent says so
        os._exit(1)
    except DienError as error:
        send.send(str(error))
    except Exception as error:
        send.send(f"{type(error).__name__}: {error}\n{traceback.format_exc()[-10_000:]}")
