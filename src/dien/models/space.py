"""What ``dien tune`` may search, as data: ranges of keys, and those that every model shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LogUniform:
    """Every number between two, those of one magnitude as likely as those of another.

    Attributes:
        low: the least.
        high: the greatest.
    """

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} .. {self.high:g}, log-uniform"


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: those beside each other are taken for alike.
    """

    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return " | ".join(shown(value) for value in self.values)


Space = dict[str, LogUniform | Choice]
"""Dotted keys of :class:`~dien.config.RunConfig`, and the values each may take."""

SHARED: Space = {
    "training.learning_rate": LogUniform(5e-4, 1e-2),
    "training.batch_size": Choice((64, 128, 256, 512, 1024)),
    "model.embedding_size": Choice((8, 12, 18, 24, 36, 48, 64)),
    "model.head_hidden": Choice(((80, 40), (200, 80), (256, 128, 64))),
    "training.id_dropout": Choice((0.0, 1.0, 2.0, 4.0, 8.0)),
}
"""Keys of every model, which are searched in the same ranges for all."""

MATCHED: Space = {"model.match_dropout": Choice((0.0, 0.25, 0.5, 0.75))}
"""How many candidates' matches are hidden, for the models whose heads have matches."""

POOLED: Space = {"model.pooled_history": Choice((False, True))}
"""Whether the summed history joins the head, for the models that leave it open."""


def shown(value: Any) -> str:
    """Write a value of a key as people and YAML do."""
    if isinstance(value, tuple | list):
        return "-".join(str(part) for part in value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
