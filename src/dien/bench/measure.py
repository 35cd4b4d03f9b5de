"""Rates of training and scoring on this machine, and where a training step's time goes."""

from __future__ import annotations

import importlib.metadata
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from dien.bench.profile import Profile, profile
from dien.bench.shapes import SHAPES, draws
from dien.bench.subject import Subject, in_turns
from dien.bench.work import Sizes
from dien.config import RunConfig
from dien.errors import ConfigError
from dien.memory import kept_memory
from dien.ops import cpu
from dien.progress import Progress


def measure(
    config: RunConfig,
    shapes: Sequence[str] = tuple(SHAPES),
    *,
    rounds: int = 11,
    threads: int | None = None,
    profiled: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a model on random batches; shapes, training and scoring take turns in every round.

    Args:
        config: the model, and Adam's step size.
        shapes: names of :data:`~dien.bench.shapes.SHAPES`.
        rounds: measurements of each, at least 1.
        threads: of torch and of the C++ backend; None for as many as torch has.
        profiled: whether to profile the training step of each shape, too.
        progress: called with 1 after each measurement, :func:`measurements` times.

    Returns:
        Plain data for JSON: what ran, and by shape the rates and the profile, quartiles over rounds.

    Raises:
        ConfigError: no shape has this name, or the step of another model than DIEN is to be profiled.
    """
    for name in shapes:
        if name not in SHAPES:
            raise ConfigError(f"unknown shape {name!r}; expected one of: {', '.join(SHAPES)}")
    if profiled and config.model.name != "dien":
        raise ConfigError(
            f"a profile has the stages of dien; expected no other model, not {config.model.name}"
        )
    with kept_memory(), _threads(threads):
        subjects = {name: Subject(config, draws(SHAPES[name], config)) for name in shapes}
        timers = {(name, mode): subjects[name].timer(mode) for name, mode in _modes(shapes)}
        seconds = in_turns(timers, rounds, progress)
        found: dict[str, dict[str, Any]] = {}
        for name, subject in subjects.items():
            found[name] = {"about": SHAPES[name].about, **vars(Sizes.mean(subject.batches))}
            if profiled and SHAPES[name].train:
                found[name]["profile"] = _profile(profile(subject, rounds, progress))
        for (name, mode), measured in seconds.items():
            found[name][mode] = _rate(measured, SHAPES[name].rows)
        return {
            "dien": importlib.metadata.version("dien"),
            "torch": torch.__version__,
            "backend": cpu.backend_name(),
            "threads": torch.get_num_threads(),
            "rounds": rounds,
            "model": config.model.model_dump(mode="json"),
            "shapes": found,
        }


def measurements(shapes: Sequence[str], rounds: int, profiled: bool) -> int:
    """Count the calls of ``progress`` in :func:`measure`, for what shows it."""
    known = [name for name in shapes if name in SHAPES]
    profiles = sum(SHAPES[name].train for name in known) if profiled else 0
    return len(_modes(known)) * rounds + profiles * (rounds + 1)


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Summarise measurements: ``median``, and the quartiles ``low`` and ``high``."""
    low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else list(values) * 3
    return {"median": median, "low": low, "high": high}


def _modes(shapes: Sequence[str]) -> list[tuple[str, str]]:
    modes = (("train", "score") if SHAPES[name].train else ("score",) for name in shapes)
    return [(name, mode) for name, of_shape in zip(shapes, modes, strict=True) for mode in of_shape]


def _rate(seconds: Sequence[float], rows: int) -> dict[str, Any]:
    return {
        "milliseconds": quartiles([1e3 * one for one in seconds]),
        "rows_per_second": quartiles([rows / one for one in seconds]),
    }


def _profile(found: Profile) -> dict[str, Any]:
    return {
        "stages": {
            name: {
                "forward_ms": 1e3 * stage.forward,
                "backward_ms": 1e3 * stage.backward,
                "update_ms": 1e3 * stage.update,
                "share": stage.seconds / found.seconds,
                "gflop": stage.operations / 1e9,
                "gflop_per_second": stage.operations / 1e9 / stage.seconds,
            }
            for name, stage in found.stages.items()
        },
        "sum_ms": 1e3 * found.seconds,
        "step_ms": 1e3 * found.step,
        "difference": found.seconds / found.step - 1,
    }


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
