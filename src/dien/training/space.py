"""What ``dien tune`` searches for a model: the space that its file states, without what is set by hand.

What a model is, is not searched: its kind of GRU, and what sets DIENs apart whose names have a colon. How
long a run trains is not searched either: ``training.patience`` stops it by the validation split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dien.config import RunConfig, override, read_layers, set_by_hand
from dien.errors import ConfigError
from dien.models import Space, model_config, models


def spaces() -> dict[str, Space]:
    """List the models that can be tuned, with what is searched of each."""
    return {name: found.space for name, found in models().items() if found.space is not None}


def search_space(model: str, path: Path | None = None, settings: Iterable[str] = ()) -> Space:
    """Tell what to search for a model: its space without keys that are set by hand or then have no effect.

    Args:
        model: its name.
        path: the file of ``--config``; its keys for all models and for this one are set.
        settings: ``key=value`` of ``--set``.

    Raises:
        ConfigError: there is no space for the model, or nothing of it is left.
    """
    known = spaces()
    if model not in known:
        raise ConfigError(f"--model: nothing to search is stated for {model!r}; one of: {', '.join(known)}")
    common, own = read_layers(path) if path is not None else ({}, {})
    layers, settings = [common, own.get(model, {})], list(settings)
    fixed = set_by_hand(layers, settings)
    space = {key: values for key, values in known[model].items() if key not in fixed}
    config = override(RunConfig(model=model_config(model)), layers, settings).model
    for key, cause in config.without_effect().items():
        if f"model.{cause}" not in space:
            space.pop(f"model.{key}", None)
    if not space:
        raise ConfigError(f"--config and --set leave nothing to search of {', '.join(known[model])}")
    return space


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
