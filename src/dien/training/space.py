"""What ``dien tune`` searches: for every model the keys and their ranges, as data.

The keys that all models have are searched in the same ranges for all, but that those of ``dien:recbole``
hold RecBole's sizes too. What a model is, is not searched: its kind of GRU, and what sets DIENs apart whose
names have a colon. How long a run trains is not searched either: ``training.patience`` stops it by the
validation split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dien.config import RunConfig, override, read_layers
from dien.errors import ConfigError


@dataclass(frozen=True)
class LogUniform:
    """Every number between two, those of one magnitude as likely as those of another."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} .. {self.high:g}, log-uniform"


@dataclass(frozen=True)
class Choice:
    """One of several values; those beside each other are taken for alike."""

    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return " | ".join(shown(value) for value in self.values)


Space = dict[str, LogUniform | Choice]
"""Dotted keys of :class:`~dien.config.RunConfig`, and the values each may take."""

_SHARED: Space = {
    "training.learning_rate": LogUniform(5e-4, 1e-2),
    "training.batch_size": Choice((64, 128, 256, 512)),
    "model.embedding_size": Choice((8, 12, 18, 24, 36, 48, 64)),
    "model.head_hidden": Choice(((80, 40), (200, 80), (256, 128, 64))),
}
_POOLED: Space = {"model.pooled_history": Choice((False, True))}
_GRU: Space = {
    **_POOLED,
    "model.hidden_size": Choice((18, 24, 36, 54, 72)),
    "model.attention": Choice(("bilinear", "mlp")),
}
_RECBOLE: Space = {  # the shared sizes and RecBole's own
    "model.embedding_size": Choice((8, 10, 12, 18, 24, 36, 48, 64)),
    "model.head_hidden": Choice(((80, 40), (200, 80), (256, 128, 64), (256, 256, 256))),
}
_AUXILIARY: Space = {"model.auxiliary_weight": LogUniform(0.02, 4.0)}

SPACES: dict[str, Space] = {
    "sum-pooling": _SHARED,
    "wide-deep": _SHARED,
    "pnn": {**_SHARED, "model.inner_products": Choice((False, True))},
    "din": {**_SHARED, **_POOLED, "model.attention_hidden": Choice(((36,), (80, 40), (128, 64)))},
    "gru-attention": {**_SHARED, **_GRU},
    "gru+aigru": {**_SHARED, **_GRU},
    "gru+agru": {**_SHARED, **_GRU},
    "gru+augru": {**_SHARED, **_GRU},
    "dien": {**_SHARED, **_GRU, **_AUXILIARY, "model.auxiliary_average": Choice(("histories", "pairs"))},
    "dien:authors": {**_SHARED, "model.hidden_size": _GRU["model.hidden_size"], **_AUXILIARY},
    "dien:recbole": {**_SHARED, **_RECBOLE, **_AUXILIARY},
}


def search_space(model: str, path: Path | None = None, settings: Iterable[str] = ()) -> Space:
    """Tell what to search for a model: its space without the keys that are set by hand.

    Args:
        model: its name.
        path: the file of ``--config``; its keys for all models and for this one are set.
        settings: ``key=value`` of ``--set``.

    Raises:
        ConfigError: there is no space for the model, or nothing of it is left.
    """
    if model not in SPACES:
        raise ConfigError(f"--model: nothing to search is stated for {model!r}; one of: {', '.join(SPACES)}")
    common, own = read_layers(path) if path is not None else ({}, {})
    fixed = set_by_hand([common, own.get(model, {})], settings)
    space = {key: values for key, values in SPACES[model].items() if key not in fixed}
    if not space:
        raise ConfigError(f"--config and --set leave nothing to search of {', '.join(SPACES[model])}")
    return space


def set_by_hand(layers: Iterable[Mapping[str, Any]], settings: Iterable[str]) -> set[str]:
    """Tell which dotted keys the layers of a file and ``key=value`` of ``--set`` name."""
    keys = {key for layer in layers for key in _keys(layer)}
    for setting in settings:
        key, _, text = setting.partition("=")
        keys.update(_keys({key: yaml.safe_load(text)}))
    return keys


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Set dotted keys of a configuration.

    Raises:
        ConfigError: a value is not what its key takes.
    """
    return override(config, [nested(values)])


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys, ``part.key``, into the mapping of mappings that YAML has."""
    parts: dict[str, Any] = {}
    for dotted, value in values.items():
        part, key = dotted.split(".")
        parts.setdefault(part, {})[key] = value
    return parts


def flat(config: RunConfig) -> dict[str, Any]:
    """Give every key of a configuration, dotted, with its value: what :func:`nested` turns back."""
    parts = {"model": config.model, "training": config.training}
    return {f"{part}.{key}": value for part, keys in parts.items() for key, value in keys}


def shown(value: Any) -> str:
    """Write a value of a key as people and YAML do."""
    if isinstance(value, tuple | list):
        return "-".join(str(part) for part in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _keys(layer: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in layer.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")
