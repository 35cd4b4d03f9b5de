"""Where the time of one training step of DIEN goes, stage by stage, measured from outside the model.

The timer always runs for one stage. Forward, it is switched where the model calls a stage and where that
returns. Backward, it is switched by identities in the graph, set around each stage's inputs and outputs:
autograd goes through operations in the reverse of their order, so that what runs between the identities at a
stage's end and those at its beginning is the stage's own.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dien.bench.subject import Subject
from dien.bench.work import Sizes, operations
from dien.data.batch import Batch
from dien.models import DIEN
from dien.packed import Packed
from dien.progress import Progress

Part = Literal["forward", "backward", "update"]

STAGES = (
    "embeddings",
    "extractor",
    "attention",
    "evolution",
    "auxiliary network",
    "head",
    "loss",
    "optimiser",
    "rest",
)
"""``evolution`` is the GRU under attention. Where the C++ backend serves, the ``auxiliary network`` computes
gradients in its forward pass. ``rest`` is what lies between the stages: lists of pairs, concatenation, and
what autograd and Python cost there."""


@dataclass(frozen=True)
class StageCost:
    """What a stage costs in a step, medians over steps.

    Attributes:
        forward: seconds.
        backward: seconds.
        update: seconds; the optimiser's, which has nothing else.
        operations: floating-point operations by formula (:mod:`dien.bench.work`), 0 where none count.
    """

    forward: float
    backward: float
    update: float
    operations: float

    @property
    def seconds(self) -> float:
        """Of all three."""
        return self.forward + self.backward + self.update


@dataclass(frozen=True)
class Profile:
    """The profile of a training step.

    Attributes:
        stages: by name, in the order of :data:`STAGES`.
        step: seconds of the same steps without a timer, median.
        sizes: of the batches, means.
    """

    stages: dict[str, StageCost]
    step: float
    sizes: Sizes

    @property
    def seconds(self) -> float:
        """Sum over the stages."""
        return sum(stage.seconds for stage in self.stages.values())


def profile(subject: Subject, rounds: int, progress: Progress | None = None) -> Profile:
    """Profile training steps.

    Args:
        subject: a DIEN with its batches.
        rounds: passes over the batches, half of the steps with a timer and half without.
        progress: called with 1 after each round.

    Raises:
        TypeError: the model is no DIEN.
    """
    model = subject.model
    if type(model) is not DIEN:
        raise TypeError(f"{type(model).__name__}: only DIEN's step has these stages")
    model.train()
    plain: list[float] = []
    found: dict[tuple[str, Part], list[float]] = defaultdict(list)
    for turn in range(rounds + 1):
        if turn == 1:  # the first has warmed up
            plain.clear()
            found.clear()
        for batch in subject.batches:
            start = time.perf_counter()
            subject.train(batch)
            plain.append(time.perf_counter() - start)
        with _watched(model) as timer:
            for batch in subject.batches:
                for moment, seconds in _step(subject, batch, timer).items():
                    found[moment].append(seconds)
        if progress:
            progress(1)
    sizes = Sizes.mean(subject.batches)
    counted = operations(model, sizes)

    def median(stage: str, part: Part) -> float:
        return statistics.median(found[stage, part]) if (stage, part) in found else 0.0

    stages = {
        stage: StageCost(
            median(stage, "forward"),
            median(stage, "backward"),
            median(stage, "update"),
            counted.get(stage, 0.0),
        )
        for stage in STAGES
        if any(stage == known for known, _ in found)
    }
    return Profile(stages, statistics.median(plain), sizes)


class _StageTimer:
    """Seconds by stage; runs for one of them from the first switch to the stop."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, Part], float] = defaultdict(float)
        self.stage, self._since = "rest", 0.0
        self._part: Part = "forward"

    def switch(self, stage: str, part: Part) -> None:
        """Run for a stage from now on."""
        now = time.perf_counter()
        if self._since:
            self.seconds[self.stage, self._part] += now - self._since
        self.stage, self._part, self._since = stage, part, now

    def stop(self) -> dict[tuple[str, Part], float]:
        """Stop, and start anew at zero."""
        self.switch("rest", "forward")
        seconds, self.seconds, self._since = self.seconds, defaultdict(float), 0.0
        return seconds


def _step(subject: Subject, batch: Batch, timer: _StageTimer) -> dict[tuple[str, Part], float]:
    """Take a step like :meth:`Subject.train`, of a model that is watched."""
    timer.switch("rest", "forward")
    loss = subject.model.losses(batch).total
    timer.switch("rest", "backward")
    subject.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    timer.switch("optimiser", "update")
    subject.optimiser.step()
    return timer.stop()


@contextmanager
def _watched(model: DIEN) -> Iterator[_StageTimer]:
    """Have the stages of a model switch a timer, within a ``with`` block."""
    timer = _StageTimer()
    evolution = model.evolution
    stages: tuple[tuple[torch.nn.Module, str, str], ...] = (
        (model.inputs, "forward", "embeddings"),
        (model.extractor, "states", "extractor"),
        (model.query, "forward", "attention"),
        (evolution.attention_layer, "forward", "attention"),
        (evolution, "evolve", "evolution"),
        (model.extractor, "loss", "auxiliary network"),
        (model.head, "forward", "head"),
        (model.logit, "forward", "head"),
        (model, "loss", "loss"),
    )
    # An instance's own attributes hide the methods of its class.
    before = [dict(vars(module)) for module, _, _ in stages]
    try:
        for module, method, stage in stages:
            vars(module)[method] = _timed(getattr(module, method), stage, timer)
        yield timer
    finally:
        for (module, method, _), own in zip(stages, before, strict=True):
            del vars(module)[method]
            vars(module).update({method: own[method]} if method in own else {})


def _timed(call: Callable[..., Any], stage: str, timer: _StageTimer) -> Callable[..., Any]:
    """Have a call, and its part of the backward pass, be counted as a stage's."""

    def run(*arguments: Any, **options: Any) -> Any:
        outer = timer.stage
        arguments = _mark(arguments, timer, outer)  # backward, the outer stage goes on before this one
        timer.switch(stage, "forward")
        result = _mark(call(*arguments, **options), timer, stage)
        timer.switch(outer, "forward")
        return result

    return run


def _mark(value: Any, timer: _StageTimer, stage: str) -> Any:
    """Have the timer switch to a stage when the backward pass comes by, in whatever holds tensors."""
    if isinstance(value, Tensor):
        return _Mark.apply(value, timer, stage) if value.requires_grad else value  # type: ignore[no-untyped-call]
    if isinstance(value, Packed):
        return Packed(_mark(value.values, timer, stage), value.offsets)
    if isinstance(value, tuple):
        marked = [_mark(part, timer, stage) for part in value]
        return type(value)(*marked) if hasattr(value, "_fields") else tuple(marked)
    return value


class _Mark(torch.autograd.Function):
    """The identity."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, timer: _StageTimer, stage: str) -> Tensor:
        ctx.timer, ctx.stage = timer, stage
        return tensor

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        ctx.timer.switch(ctx.stage, "backward")
        return grads[0], None, None
