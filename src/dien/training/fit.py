"""Train a model on a dataset into a run folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dien.calibration import Calibration, from_texts
from dien.config import RunConfig, TrainConfig
from dien.data.batches import core_for_prefetch
from dien.data.dataset import Dataset
from dien.data.id_dropout import sides_with_ids
from dien.data.leakage import warn_of_leaking
from dien.data.popularity import popularity_of
from dien.data.tables import SplitName
from dien.device import device_of
from dien.errors import ConfigError, DataError, DatasetWarning, RunError
from dien.memory import kept_memory
from dien.models import ModelConfig, build, model_config
from dien.models.registry import expect_fitting
from dien.places import owned
from dien.run import RESULT, WEIGHTS, Run, differences, training_weights
from dien.run_info import Origin
from dien.tensors import finite, read_tensors
from dien.training.checkpoint import has_checkpoint, save_tensors
from dien.training.going_on import checkpoints_of
from dien.training.platt import FEWEST
from dien.training.pretrained import Vectors, read_vectors
from dien.training.progress import Bar
from dien.training.records import load, text_of
from dien.training.resumable import write_text
from dien.training.step_size import settled
from dien.training.trainer import Trainer
from dien.training.warm import copy_weights, expect_extension, origin, since

READ: tuple[SplitName, ...] = ("train", "valid")
"""Splits that training reads."""


@dataclass(frozen=True)
class FitResult:
    """The result of training.

    Attributes:
        run: the run folder.
        epochs: trained.
        best_epoch: the one whose weights were kept, or in which they were, from 1.
        valid_auc: its AUC on the validation split.
        valid_gauc: its GAUC.
        valid_log_loss: its LogLoss, after calibration.
        stopped: why it ended: ``epochs`` (as many as were asked for) or ``patience`` (nothing got better).
        parameters: trained numbers, without those that only training needs, as a teacher's.
        steps: training steps.
        seconds: of this call; a run that was resumed took longer.
        rows_per_second: candidates trained on, validation left out, whether or not it was resumed.
        calibration: what was fitted on the validation split; None with ``training.calibration=none``, or
            where that split has too few clicks or non-clicks.
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
    rows_per_second: float | None = None  # unknown of a run that an earlier version trained
    calibration: Calibration | None = None  # likewise

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def fit(
    data: Dataset | Path | str,
    config: RunConfig | ModelConfig | str,
    out: Path | str,
    *,
    start_from: Run | Path | str | None = None,
    resume: bool = False,
    show_progress: bool = True,
) -> FitResult:
    """Train a model; the weights with the best validation metric are kept, and the test split is not read.

    The same data, configuration, machine and number of threads (``torch.set_num_threads``) give the same
    weights to the bit, whether or not training was stopped and resumed on the way. With another number of
    threads sums are added up in another order: the last bits differ. ``run.json`` keeps the number, and
    resuming with another one warns.

    Args:
        data: the dataset, or its folder.
        config: model and training; or a model's configuration, or its name, to train it by the defaults.
        out: the run folder to write.
        start_from: a finished run whose weights to start from, on the rows it was not trained on
            (:mod:`dien.training.warm`); None for fresh weights and all rows. A run that is resumed knows
            where it started.
        resume: go on where ``out`` was stopped; starts where there is no run yet.
        show_progress: whether to show a bar and lines on standard error.

    Returns:
        The result; for a run that has finished already, the result it had then.

    Raises:
        TypeError: an argument is of another type; the message says what is expected.
        ConfigError: no model has this name, there is no such device here, the model does not fit the data
            (:func:`dien.models.build`), ``model.popularity`` is set and the data has no times, or vectors of
            ``training.pretrained`` are for no table of the model or not as wide; or ``start_from`` is given
            with ``training.fresh_embeddings``.
        RunError: ``out`` exists and ``resume`` was not asked for; it was started with another configuration,
            other data or from another run; the model or data does not extend that of ``start_from``; ``out``
            cannot be written; or training diverged.
        DataError: the dataset, or a file of ``training.pretrained``, cannot be read, or there are no training
            rows.
    """
    config = run_config(config, "fit: config")
    device_of(config.training.device)
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    if not len(dataset.splits["train"]):
        raise DataError(f"{dataset.path / 'train'}: no rows to train on; prepare more data")
    warn_of_validation(dataset, calibrated=config.training.calibration != "none")
    warn_of_ids(dataset, [config])
    out, started = Path(out), time.perf_counter()
    expect_fitting(config.model, dataset.schema)
    if config.model.popularity:
        warn_of_counts(dataset, popularity_of(dataset).untimed)
    with core_for_prefetch():
        threads = torch.get_num_threads()
    with owned(out, RunError):
        begun = resume and ((out / RESULT).exists() or has_checkpoint(out / "checkpoints"))
        vectors = [] if begun else read_vectors(config, dataset)
        if resume and out.exists():
            run = _resumed(out, config, dataset, start_from)
            dataset.check(READ)
            if not run.finished and run.info.threads not in (None, threads):
                warnings.warn(
                    f"{out}: was begun with {run.info.threads} threads of torch and goes on with {threads}: "
                    "the last bits of its weights will be others; OMP_NUM_THREADS or torch.set_num_threads "
                    "sets them",
                    stacklevel=2,
                )
        else:
            run = _created(out, config, dataset, start_from, threads)
        return _trained(run, dataset, vectors, show_progress, started)


def _trained(
    run: Run, dataset: Dataset, vectors: Sequence[Vectors], show_progress: bool, started: float
) -> FitResult:
    """Train a run to its end from where it is; a fresh one starts from the vectors."""
    config = run.config
    with Bar(show_progress) as bar:
        if run.finished:
            bar.print(f"{run.path}: training has finished already; nothing to do")
            return read_result(run)
        with kept_memory(), core_for_prefetch(), _repeatable(config.training.seed):
            trainer = Trainer(build(config.model, dataset.schema), run, dataset, bar)
            try:
                if run.info.start_from and trainer.fresh:
                    _start_warm(trainer, run, run.info.start_from, dataset, bar)
                trainer.start_from(vectors)
                _warn_of_a_long_warmup(trainer, config)
                trainer.train()
            finally:
                trainer.close()
    state = trainer.state
    assert state.best is not None
    best, texts = read_tensors(checkpoints_of(run.folder), state.best_file)
    for name, tensor in best.items():
        if not finite(tensor):  # by the last step, where nothing validates
            raise RunError(
                f"{run.path}: training diverged: NaN or infinity in {name}; train again with a smaller "
                f"training.learning_rate (now {config.training.learning_rate})"
            )
    if only := trainer.model.training_only:
        split_off = {name: best.pop(name) for name in list(best) if name.startswith(only + ".")}
        save_tensors(run.path / training_weights(only), split_off)
    save_tensors(run.path / WEIGHTS, best, texts)
    calibration = from_texts(texts)
    if calibration is None and config.training.calibration != "none" and min(_labels(dataset)) >= FEWEST:
        warnings.warn(
            f"{run.path}: was begun by an earlier version of dien, so its scores are not calibrated: they "
            "are as the model gives them",
            stacklevel=3,
        )
    result = FitResult(
        run=str(run.path),
        epochs=state.epochs,
        best_epoch=state.best_epoch,
        valid_auc=state.best.auc,
        valid_gauc=state.best.gauc,
        valid_log_loss=state.best.log_loss,
        stopped=str(state.stopped),
        parameters=sum(p.numel() for name, p in trainer.model.named_parameters() if name in best),
        steps=state.steps,
        seconds=round(time.perf_counter() - started, 3),
        rows_per_second=round(state.timed_rows / state.timed_seconds, 1) if state.timed_seconds else None,
        calibration=calibration,
    )
    write_text(run.path / RESULT, text_of(result))
    return result


def read_result(run: Run) -> FitResult:
    """Read the result of a finished run."""
    return load(run.path / RESULT, FitResult, "dien train")


def run_config(config: RunConfig | ModelConfig | str, where: str) -> RunConfig:
    """Complete what is to be trained by the defaults of training.

    Args:
        config: a configuration, that of a model, or the name of one.
        where: what an error begins with, as ``fit: config``.

    Raises:
        TypeError: it is something else.
        ConfigError: no model has this name.
    """
    if isinstance(config, RunConfig):
        return config
    if isinstance(config, str):
        config = model_config(config)
    if isinstance(config, ModelConfig):
        return RunConfig(model=config)
    expected = (
        "RunConfig(model=DIENConfig(...), training=TrainConfig(...)), DIENConfig(...), or a model's name"
    )
    if isinstance(config, torch.nn.Module):
        expected += "; the model is built in here (for one of your own: dien.register)"
    elif isinstance(config, Mapping | PathLike):
        expected += "; load_config reads a YAML file"
    raise TypeError(f"{where} is a {type(config).__name__}; expected {expected}")


def _warn_of_a_long_warmup(trainer: Trainer, config: RunConfig) -> None:
    steps, warmup = len(trainer.batches) * config.training.epochs, config.training.warmup_steps
    if warmup >= steps:
        warnings.warn(
            f"training.warmup_steps is {warmup}, and there are {steps} steps in all epochs: the learning "
            "rate will not reach its full height",
            stacklevel=3,
        )


def _start_warm(trainer: Trainer, run: Run, start_from: Origin, dataset: Dataset, bar: Bar) -> None:
    """Give a model its first weights from an earlier run, and say which rows it will see."""
    try:
        source = Run.open(start_from.run)
        expect_extension(source, run.config.model, dataset)  # what lies there may be another run by now
        copy_weights(source, trainer.model)
    except RunError as error:
        raise RunError(
            f"{run.path}: has no checkpoint yet and cannot start from the earlier run: {error}; put it back, "
            f"or remove {run.path} and train anew"
        ) from error
    rows, seen = f"{trainer.batches.rows:,} rows", "later than what it was trained on"
    if start_from.rows_after is None:
        bar.print(f"from {source.path}: none of the {rows} is {seen}; training on all")
    else:
        bar.print(f"from {source.path}: training on the {rows} {seen}")


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seed torch and have it choose repeatable kernels; restore its settings afterwards."""
    mode = torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms loads the compiler: 1 s
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def warn_of_validation(dataset: Dataset, *, calibrated: bool) -> None:
    """Warn where nothing chooses the epoch, or calibration is asked for and has too few rows."""
    if not len(dataset.splits["valid"]):
        warnings.warn(
            f"{dataset.path}: valid is empty, so there is no AUC, nothing stops training early, and the "
            "weights of the last epoch are kept; prepare the data again so that valid has rows "
            "(--valid-from, --test-from or --split of dien prepare)",
            DatasetWarning,
            stacklevel=3,
        )
    elif calibrated and min(labels := _labels(dataset)) < FEWEST:
        warnings.warn(
            f"{dataset.path}: valid has {labels[1]} clicks and {labels[0]} non-clicks, too few to calibrate "
            f"scores ({FEWEST} of each): they will be as the model gives them; prepare the data again so "
            "that valid has more rows, or set training.calibration=none",
            DatasetWarning,
            stacklevel=3,
        )


def warn_of_ids(dataset: Dataset, configs: Iterable[RunConfig]) -> None:
    """Warn where ids are to be hidden by a key set by hand, for any run, and those of a side never are."""
    if all(config.training.id_dropout in (0, TrainConfig().id_dropout) for config in configs):
        return
    known = sides_with_ids(dataset.schema)
    for side in (one for one in ("item", "user") if one not in known):
        warnings.warn(
            f"training.id_dropout has no effect on {side}s: their ids are hashed into buckets, or all were "
            "too rare to be a feature, so that none is ever unknown; prepare the data again without "
            f"ids.{side}.buckets, or leave the key out",
            DatasetWarning,
            stacklevel=3,
        )


def warn_of_counts(dataset: Dataset, untimed: int) -> None:
    """Warn of what popularity counts otherwise than one may think.

    Args:
        dataset: with times.
        untimed: how many of its behaviours are passed over for want of one.
    """
    if untimed:
        warnings.warn(
            f"model.popularity: {untimed:,} of {len(dataset.behaviours.item):,} behaviours of {dataset.path} "
            "have no time and are not counted; give every entry of a history its time, and prepare again",
            DatasetWarning,
            stacklevel=3,
        )
    if dataset.info.own_histories:
        warnings.warn(
            f"model.popularity: each row of {dataset.path} has a history of its own, so that a behaviour is "
            "known from the rows after it alone: the count before an impression has behaviours that were not "
            "known then, as they stand in later rows, of the test split, too, and what is counted when "
            "serving is less; prepare from a log of all behaviours, or set model.popularity=false",
            DatasetWarning,
            stacklevel=3,
        )


def _labels(dataset: Dataset) -> tuple[int, int]:
    """Count the non-clicks and the clicks of the validation split that have weight."""
    rows = dataset.splits["valid"]
    counted = np.ones(len(rows.label), bool) if rows.weight is None else rows.weight > 0
    clicks = int(np.count_nonzero(counted & (rows.label == 1)))
    return int(np.count_nonzero(counted)) - clicks, clicks


def _created(
    out: Path, config: RunConfig, dataset: Dataset, start_from: Run | Path | str | None, threads: int
) -> Run:
    """Start a run; note in it which run its weights are from."""
    began = None
    if start_from is not None:
        if config.training.fresh_embeddings:
            raise ConfigError(
                "training.fresh_embeddings draws every table anew, and those of the earlier run would be "
                "lost after an epoch; set it to false"
            )
        source = start_from if isinstance(start_from, Run) else Run.open(start_from)
        began = origin(source, config.model, dataset)
    dataset.check(READ)  # reads all of it: what is refused sooner is refused before
    warn_of_leaking(dataset.schema, dataset.splits["train"])
    return Run.create(out, settled(config, dataset, since(began)), dataset, began, threads)


def _resumed(out: Path, config: RunConfig, dataset: Dataset, start_from: Run | Path | str | None) -> Run:
    """Open a run to resume, if its configuration, data and, where one is named, source are the same."""
    run = Run.open(out)
    if start_from is not None:
        source = (start_from.path if isinstance(start_from, Run) else Path(start_from)).resolve()
        was = run.info.start_from.run if run.info.start_from else "fresh weights"
        if str(source) != was:
            raise RunError(
                f"{out}: was started from {was}, not from {source}; resume without --from "
                "or choose another folder"
            )
    config = settled(config, dataset, since(run.info.start_from))
    idle = run.config.without_effect().keys() & config.without_effect().keys()
    for key, was, now in differences(run.config.model_dump(), config.model_dump()):
        if key in idle:
            continue
        raise RunError(
            f"{out}: was started with {key} = {was!r}, not {now!r}; resume with the same configuration "
            f"({run.options()}) or choose another folder"
        )
    run.expect_data(dataset)
    return run
