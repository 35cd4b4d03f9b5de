"""Train a model on DATA into a RUN."""

from __future__ import annotations

import json
import logging
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from safetensors.torch import load_file
from torch.utils.data import IterableDataset

from dien.config import RunConfig
from dien.data.batch import Batch
from dien.data.batches import core_for_prefetch
from dien.data.dataset import Dataset
from dien.data.log import DataError
from dien.models import build
from dien.run import RESULT, WEIGHTS, Run, RunError, differences, write_text
from dien.training.checkpoint import save_tensors
from dien.training.module import ClickModule
from dien.training.progress import Bar


@dataclass(frozen=True)
class FitResult:
    """What training came to.

    Attributes:
        run: the RUN folder.
        epochs: trained.
        best_epoch: the one whose weights were kept, from 1.
        valid_auc: its AUC on the validation split.
        valid_gauc: its GAUC.
        valid_log_loss: its LogLoss.
        stopped: why it ended: ``epochs`` (as many as were asked for) or ``patience`` (nothing got better).
        parameters: trained numbers.
        steps: training steps.
        seconds: of this call; a run that was resumed took longer.
    """

    run: str
    epochs: int
    best_epoch: int
    valid_auc: float | None
    valid_gauc: float | None
    valid_log_loss: float | None
    stopped: str
    parameters: int
    steps: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def fit(
    data: Dataset | Path | str,
    config: RunConfig,
    out: Path | str,
    *,
    resume: bool = False,
    progress: bool = True,
) -> FitResult:
    """Train a model; the epoch with the best validation AUC is kept, and the test split is not read.

    The same data, configuration and machine give the same weights to the bit, whether or not training was
    stopped and resumed on the way.

    Args:
        data: the DATA, or its folder.
        config: model and training.
        out: the RUN folder to write.
        resume: go on where ``out`` was stopped; starts where there is no RUN yet.
        progress: whether to show progress on standard error.

    Returns:
        What training came to. For a RUN that has finished: what it came to then.

    Raises:
        RunError: ``out`` exists and ``resume`` was not asked for; it was started with another configuration
            or other data; it cannot be written; or training diverged.
        DataError: the DATA cannot be read or has no training rows.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    if not len(dataset.splits["train"]):
        raise DataError(f"{dataset.path / 'train'}: no rows to train on; prepare more data")
    out, started = Path(out), time.perf_counter()
    run = _resumed(out, config, dataset) if resume and out.exists() else Run.create(out, config, dataset)
    with Bar(progress) as bar:
        if run.finished:
            bar.print(f"{out}: training has finished already; nothing to do")
            return read_result(run)
        with core_for_prefetch(), _repeatable(config.training.seed):
            module = ClickModule(build(config.model, dataset.schema), run, dataset, bar)
            try:
                if not module.standing.stopped:
                    _train(module)
            finally:
                module.close()
    standing = module.standing
    save_tensors(run.path / WEIGHTS, load_file(run.path / "checkpoints" / standing.best_file))
    result = FitResult(
        run=str(out),
        epochs=standing.epochs,
        best_epoch=standing.best_epoch,
        valid_auc=standing.best["auc"],
        valid_gauc=standing.best["gauc"],
        valid_log_loss=standing.best["log_loss"],
        stopped=str(standing.stopped),
        parameters=sum(parameter.numel() for parameter in module.model.parameters()),
        steps=standing.steps,
        seconds=round(time.perf_counter() - started, 3),
    )
    write_text(run.path / RESULT, json.dumps(result.to_dict(), indent=2) + "\n")
    return result


def read_result(run: Run) -> FitResult:
    """Read what the training of a finished RUN came to."""
    return FitResult(**json.loads((run.path / RESULT).read_text(encoding="utf-8")))


class _Stream(IterableDataset[Batch]):
    """The batches of a module as Lightning takes them."""

    def __init__(self, module: ClickModule) -> None:
        self._module = module

    def __iter__(self) -> Iterator[Batch]:
        return self._module.batches()


def _train(module: ClickModule) -> None:
    """Have Lightning train; epochs, checkpoints, records and progress are the module's."""
    trainer = Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
    )
    try:
        trainer.fit(module, _Stream(module))
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seed torch, have it choose repeatable kernels, keep Lightning quiet; then all is as it was."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    lightning = logging.getLogger("lightning.pytorch")
    level = lightning.level
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        lightning.setLevel(logging.ERROR)
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
            lightning.setLevel(level)


def _resumed(out: Path, config: RunConfig, dataset: Dataset) -> Run:
    """Open a RUN to go on with, if it is of the same configuration and data."""
    run = Run.open(out)
    for key, was, now in differences(run.config.model_dump(), config.model_dump()):
        raise RunError(
            f"{out}: was started with {key} = {was!r}, not {now!r}; resume with the same configuration "
            f"(--config {out / 'config.yaml'}) or choose another folder"
        )
    run.expect_data(dataset)
    return run
