"""The learning rate of a step, which follows from its number alone: a run that stopped goes on exactly."""

from __future__ import annotations

import math

from dien.config import TrainConfig


def learning_rate(settings: TrainConfig, step: int, steps_an_epoch: int) -> float:
    """Compute the learning rate of a step.

    Args:
        settings: of the run: its ``learning_rate``, a number by now (:mod:`dien.training.step_size`), the
            ``learning_rate_decay`` of each epoch, the ``warmup_steps`` over which it rises, and the
            ``schedule`` by which it then falls.
        step: number of the step, from 0.
        steps_an_epoch: how many.
    """
    assert settings.learning_rate is not None
    rate = settings.learning_rate * settings.learning_rate_decay ** (step // steps_an_epoch)
    if step < settings.warmup_steps:
        return rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return rate
    steps = settings.epochs * steps_an_epoch - settings.warmup_steps
    done = min(1.0, (step - settings.warmup_steps) / steps) if steps > 0 else 1.0
    return rate * (1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2)
