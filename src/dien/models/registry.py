"""The models by their names. Each file of this folder registers its own; nothing else lists them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from dien.errors import ConfigError
from dien.models.config import ModelConfig
from dien.models.space import Space

if TYPE_CHECKING:  # torch takes seconds to load, and a configuration does not need it before its model
    from dien.data.features import Schema
    from dien.models.model import Model

_FIRST = ("sum_pooling", "wide_deep", "pnn", "din", "dien")
"""The order of the paper's tables. Other files of the folder come after these, by name."""


@dataclass(frozen=True)
class Registered:
    """What a name stands for.

    Attributes:
        config: the default of every key.
        model: the module that such a configuration builds.
        space: what ``dien tune`` searches; None where it is not tuned.
    """

    config: ModelConfig
    model: type[Model]
    space: Space | None


_models: dict[str, Registered] = {}


def register(name: str, model: type[Model], config: ModelConfig, space: Space | None = None) -> None:
    """Make a model known by a name, as ``--model`` takes it.

    A model is registered by the name of its configuration. Further names give the same class other defaults:
    ``gru+augru`` is a ``dien``.

    Args:
        name: on the command line.
        model: the class; called with a configuration and a schema.
        config: the defaults.
        space: dotted keys for ``dien tune`` to search, and their ranges.

    Raises:
        TypeError: ``model`` is no class derived from :class:`~dien.models.Model`, or ``config`` no
            :class:`~dien.models.ModelConfig`.
        ValueError: the name is taken, by another class than an earlier one of the same file and name.
    """
    if not isinstance(config, ModelConfig):
        raise TypeError(f"register: config is {config!r}; expected a configuration, as MyConfig()")
    from dien.models.model import Model  # here, where the caller has loaded torch for its class

    if not (isinstance(model, type) and issubclass(model, Model)):
        raise TypeError(f"register: model is {model!r}; expected a class derived from dien.Model")
    new, earlier = Registered(config, model, space), _models.get(name)
    if earlier not in (None, new):
        # Where a cell or a file is run again, its class is made again.
        again = earlier.model is not model and _place(earlier.model) == _place(model)
        if not again:
            raise ValueError(f"register: the name {name!r} is taken, by {earlier.model.__qualname__}")
    _models[name] = new


def _place(model: type) -> tuple[str, str]:
    return model.__module__, model.__qualname__


def models() -> Mapping[str, Registered]:
    """List the models by their names, the paper's first, in the order of its tables."""
    files = [f"dien.models.{file}" for file in _load()]
    place = {file: number for number, file in enumerate(files)}
    return dict(sorted(_models.items(), key=lambda found: place.get(found[1].model.__module__, len(files))))


def model_config(name: str) -> ModelConfig:
    """Look up the defaults of a model.

    Raises:
        ConfigError: no model has this name.
    """
    return _registered(name).config


def config_classes() -> dict[str, type[ModelConfig]]:
    """List the configuration classes by the names that ``model.name`` takes."""
    return {name: type(found.config) for name, found in models().items() if name == found.config.name}


def build(config: ModelConfig, schema: Schema) -> Model:
    """Build the model a configuration describes, with fresh weights from torch's global generator.

    Raises:
        ConfigError: no model is registered for the configuration, it has no head for the conversions of the
            data, or histories are to be filtered by a feature that items do not have.
    """
    expect_fitting(config, schema)
    model = _registered(config.name).model(config, schema)
    if not config.sparse_gradients:
        model.sparse_gradients = False  # also of a model whose author has not thought of it
    return model


def expect_fitting(config: ModelConfig, schema: Schema) -> None:
    """Refuse a model that has no head for what the data says, or reads what the data does not have.

    Raises:
        ConfigError: as :func:`build`.
    """
    if config.wants_conversions(schema) and not _registered(config.name).model.predicts_conversions:
        raise ConfigError(
            f"the model {config.name} has no head for conversions, which the data has; set "
            "model.conversion_weight=0 to train it on clicks alone, or train another model"
        )
    if config.filter_by is not None and config.filter_by not in schema.matched:
        raise ConfigError(
            f"model.filter_by: items of the data have no feature {config.filter_by!r} with ids; expected one "
            f"of: {', '.join(schema.matched)}; or null, which does not filter"
        )


def _registered(name: str) -> Registered:
    known = models()
    if not isinstance(name, str) or name not in known:
        raise ConfigError(
            f"unknown model {name!r}; expected one of: {', '.join(known)}; a model of your own is known once "
            "the file that registers it is imported"
        )
    config = known[name].config
    if config.name not in known:
        raise ConfigError(
            f"the configuration of the model {name!r} has the name {config.name!r}, by which none is "
            f'registered; expected name: Literal["{name}"] = "{name}" in {type(config).__name__}'
        )
    return known[name]


@cache
def _load() -> tuple[str, ...]:
    """Import every file of this folder, and name them in their order; then the entry points of others."""
    package = importlib.import_module("dien.models")
    found = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    files = (*_FIRST, *(name for name in found if name not in _FIRST))
    for name in files:
        importlib.import_module(f"dien.models.{name}")
    for point in entry_points(group="dien.models"):
        _load_plugin(point)
    return files


def _load_plugin(point: EntryPoint) -> None:
    """Import the file of a model in another package."""
    try:
        point.load()
    except Exception as error:
        raise ConfigError(
            f"the entry point {point.name} = {point.value} of dien.models cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall its package"
        ) from error
