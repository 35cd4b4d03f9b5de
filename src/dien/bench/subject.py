"""A model with batches to train on and to score, as training and serving do it, and what measures it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import TypeVar

import torch

from dien.bench.shapes import ITEMS, schema
from dien.config import RunConfig
from dien.data.batch import Batch
from dien.models import build
from dien.progress import Progress
from dien.training.optimiser import RowAdam
from dien.training.step_size import learning_rate_for

K = TypeVar("K", bound=Hashable)

LEAST = 0.2
"""Seconds a measurement lasts, about: whole passes over the batches, at least one."""


class Subject:
    """A fresh model and a few batches of a shape, taken in turn, so that a batch's rows leave the caches.

    Args:
        config: model and step size.
        batches: as :func:`~dien.bench.shapes.draws` makes them.
        items: in the vocabulary.

    Attributes:
        model: the model.
        batches: with labels and negatives.
        optimiser: of the model.
    """

    def __init__(self, config: RunConfig, batches: list[Batch], items: int = ITEMS) -> None:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            self.model = build(config.model, schema(items))
        self.batches = batches
        rate = config.training.learning_rate or learning_rate_for(len(batches[0]))
        self.optimiser = RowAdam(self.model.parameters(), lr=rate)

    def train(self, batch: Batch) -> None:
        """Take a step of training."""
        loss = self.model.losses(batch).total
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def score(self, batch: Batch) -> None:
        """Score the candidates of a batch."""
        with torch.inference_mode():
            self.model(batch)

    def timer(self, mode: str) -> Callable[[], float]:
        """Warm up, and make what measures the seconds of a batch.

        Args:
            mode: ``train`` or ``score``.
        """
        training = mode == "train"
        call = self.train if training else self.score
        batches = self.batches
        if not training:
            batches = [replace(batch, label=None, negatives=None) for batch in batches]

        def measure(passes: int) -> float:
            self.model.train(training)
            start = time.perf_counter()
            for _ in range(passes):
                for batch in batches:
                    call(batch)
            return (time.perf_counter() - start) / passes / len(batches)

        seconds = min(measure(1), measure(1))
        passes = max(1, round(LEAST / seconds / len(batches)))
        return lambda: measure(passes)


def in_turns(
    timers: Mapping[K, Callable[[], float]], rounds: int, progress: Progress | None = None
) -> dict[K, list[float]]:
    """Have every timer measure once a round, so that what slows the machine down slows all of them.

    Args:
        timers: what measures, by anything.
        rounds: how many.
        progress: called with 1 after each measurement.

    Returns:
        By the same, what was measured in each round.
    """
    found: dict[K, list[float]] = {key: [] for key in timers}
    for _ in range(rounds):
        for key, timer in timers.items():
            found[key].append(timer())
            if progress:
                progress(1)
    return found
