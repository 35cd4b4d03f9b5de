"""Configuration of a run: a model and its training, YAML in and out, ``key=value`` overrides."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainValidator,
    PositiveFloat,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from dien.errors import ConfigError
from dien.models.config import Count, ModelConfig, Strict, problems
from dien.models.registry import config_classes, model_config
from dien.presets import PRESETS, preset_or_file
from dien.yaml_text import MOST_LEVELS, YamlTextError, parse_yaml, read_yaml

DEVICES = ["auto", "cpu", "cuda", "cuda:N", "mps"]

_is_device = re.compile(r"auto|cpu|cuda(:\d{1,3})?|mps").fullmatch


def device_name(name: str) -> str:
    """Check the name of a device, whether or not there is such a one here.

    Raises:
        PydanticCustomError: it is none; a ValueError.
    """
    if not _is_device(name):
        raise PydanticCustomError("device", "expected one of {names}", {"names": ", ".join(DEVICES)})
    return name


class Pretrained(Strict):
    """Vectors from a file that rows of an embedding table start from.

    Attributes:
        file: Parquet of two columns, ids and lists of numbers; or ``.npy`` of vectors ``[ids, width]``.
        ids: of a ``.npy`` file: lines of text, or Parquet of one column.
        frozen: whether training leaves these rows as they are.
    """

    file: Annotated[str, Field(min_length=1)]
    ids: Annotated[str, Field(min_length=1)] | None = None
    frozen: bool = False

    @model_validator(mode="after")
    def _ids_beside_npy_alone(self) -> Pretrained:
        suffix = Path(self.file).suffix
        if suffix not in (".parquet", ".npy"):
            raise ValueError(f"file is {self.file!r}, expected a name ending in .parquet or .npy")
        if suffix == ".npy" and self.ids is None:
            raise ValueError("a .npy file holds no ids; name the file that does as ids")
        if suffix == ".parquet" and self.ids is not None:
            raise ValueError("a Parquet file holds the ids itself; leave ids out")
        return self


class TrainConfig(Strict):
    """How a model is trained.

    Attributes:
        batch_size: candidates a step; null takes the power of two that comes nearest to 512 steps an epoch,
            from 128 to 512. Small batches are better where rows are few.
        learning_rate: Adam's step size, for dense parameters and embedding rows alike; null goes with the
            square root of the batch size, 0.005 for 512.
        learning_rate_decay: factor on the learning rate after each epoch, in (0, 1]; 1 leaves it as it is.
        warmup_steps: the learning rate rises over so many first steps, evenly, to its full height.
        schedule: how the learning rate falls after that, to reach 0 at the end of the last of all ``epochs``:
            ``linear`` evenly, ``cosine`` by half a wave; ``constant`` leaves it.
        weight_decay: decoupled, as in AdamW: a step first shrinks what it updates by ``learning_rate *
            weight_decay``. Of an embedding table these are the rows that the step has looked up.
        gradient_clip: scales a step's gradients down to this norm over all of them; null leaves them.
        epochs: at most so many passes over the training rows.
        patience: stop after so many validations without a better ``metric``.
        metric: of the validation split, by which the best weights are chosen: the highest ``auc`` or
            ``gauc``, the lowest ``log_loss`` or ``calibration_error``. The latter two are those after
            calibration.
        calibration: ``platt`` fits the scale and the shift of the log odds on the validation split (Platt
            scaling), with the weights of each validation: scores are probabilities then, in the same order
            as before. ``none`` leaves the scores as the model gives them.
        validation_steps: validate every so many steps, too; null for each epoch's end alone.
        negatives: ``redrawn`` samples the negatives of training rows anew each epoch, ``stored`` keeps those
            of the preparation. Data with real negatives is always ``stored``.
        auxiliary_negatives: ``redrawn`` draws the auxiliary loss's negatives anew at every step; with
            ``fixed``, as in RecBole, a behaviour has the same one all through the training. Models without
            the loss have none.
        seed: initialisation, order of the rows, negatives and hidden ids follow from it alone.
        checkpoint_steps: write a checkpoint to resume from every so many steps, and at each epoch's end.
        device: where the model is trained: ``auto`` takes the first GPU of CUDA where there is one, else the
            processor; ``cpu``, ``cuda``, ``cuda:N`` and ``mps`` are these alone.
        fresh_embeddings: whether each epoch but the first begins with embedding tables that are drawn anew,
            while the rest of the network goes on (MEDA, arXiv 2305.19531). Weights are chosen at the end of
            an epoch, with the tables of that epoch.
        label_smoothing: in [0, 1): the loss of clicks is taken with labels ``1 - s / 2`` and ``s / 2`` in
            place of 1 and 0.
        id_dropout: ``k`` of at least 0: an item or a user that training has ``n`` times is treated as new in
            a batch with probability ``k / (k + n)``: the id is unknown there, as candidate, in histories and
            as negative alike, while the other features stay. So "unknown" is trained, rare ids are not
            learned by heart, and new items are scored by their features. Hashed ids are never unknown, and
            stay. 0 hides none.
        weight_average: decay of a moving average of all weights, in (0, 1), as 0.999: the average is what is
            validated and kept. It takes as much memory as the weights. null keeps the weights as they are.
        pretrained: by feature, vectors from a file for rows of its embedding table (docs/models.md), as
            ``{item: {file: vectors.parquet, frozen: true}}``; a ``.npy`` file has its ids in another one,
            ``ids``.
    """

    batch_size: Count | None = None
    learning_rate: PositiveFloat | None = None
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    warmup_steps: NonNegativeInt = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    weight_decay: NonNegativeFloat = 0.0
    gradient_clip: PositiveFloat | None = None
    epochs: Count = 10
    patience: Count = 2
    metric: Literal["auc", "gauc", "log_loss", "calibration_error"] = "auc"
    calibration: Literal["platt", "none"] = "platt"
    validation_steps: Count | None = None
    negatives: Literal["redrawn", "stored"] = "redrawn"
    auxiliary_negatives: Literal["redrawn", "fixed"] = "redrawn"
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0  # as torch takes it
    checkpoint_steps: Count = 1000
    device: Annotated[str, AfterValidator(device_name), WithJsonSchema({"enum": DEVICES})] = "auto"
    fresh_embeddings: bool = False
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    id_dropout: NonNegativeFloat = 4.0
    weight_average: Annotated[float, Field(gt=0, lt=1)] | None = 0.999
    pretrained: dict[str, Pretrained] = Field(default={})

    @model_validator(mode="after")
    def _fresh_or_pretrained(self) -> TrainConfig:
        if self.fresh_embeddings and self.pretrained:
            raise ValueError(
                "fresh_embeddings draws every table anew, and pretrained vectors would be lost; leave one out"
            )
        return self

    @classmethod
    def known_keys(cls, given: Mapping[str, Any]) -> list[str]:
        """List the keys, dotted, those of the given vectors among them."""
        vectors = given.get("pretrained")
        names = vectors if isinstance(vectors, Mapping) else ()
        return [
            *cls.model_fields,
            *(f"pretrained.{name}.{key}" for name in names for key in Pretrained.model_fields),
        ]


def _of_its_class(value: Any) -> ModelConfig:
    """Validate the configuration of a model by the class that its name stands for."""
    if isinstance(value, ModelConfig):
        return value
    if not isinstance(value, Mapping):
        raise PydanticCustomError("mapping", "expected a mapping of the model's keys")
    classes, name = config_classes(), value.get("name")
    if not isinstance(name, str) or name not in classes:
        problem = PydanticCustomError(
            "model",
            "no model has this name; expected one of: {names}; a model of your own is known once the file "
            "that registers it is imported",
            {"names": ", ".join(classes)},
        )
        raise ValidationError.from_exception_data(
            "model", [InitErrorDetails(type=problem, loc=("name",), input=name)]
        )
    return classes[name].model_validate(value)


class RunConfig(Strict):
    """Everything a run is made from besides its data: ``config.yaml``.

    Attributes:
        model: the configuration of a model, of the class that its ``name`` stands for.
        training: how it is trained.
    """

    model: Annotated[SerializeAsAny[ModelConfig], PlainValidator(_of_its_class)] = Field(
        default_factory=lambda: model_config("dien")
    )
    training: TrainConfig = TrainConfig()

    @classmethod
    def known_keys(cls, given: Mapping[str, Any]) -> list[str]:
        """List the keys, dotted: those of training, and those of the model whose name is given."""
        model, training = given.get("model"), given.get("training")
        training = training if isinstance(training, Mapping) else {}
        known = [*cls.model_fields, *(f"training.{key}" for key in TrainConfig.known_keys(training))]
        name = model.get("name") if isinstance(model, Mapping) else None
        if isinstance(name, str) and name in (classes := config_classes()):
            known += (f"model.{key}" for key in classes[name].model_fields)
        return known

    def to_yaml(self) -> str:
        """Every key with its value, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def without_effect(self) -> dict[str, str]:
        """Name the dotted keys that do nothing beside the values of others, and say beside which."""
        model = self.model
        idle = {
            f"model.{key}": f"with model.{cause}={getattr(model, cause)}"
            for key, cause in model.without_effect().items()
        }
        if not model.needs_negatives:
            idle["training.auxiliary_negatives"] = "without an auxiliary loss"
        if self.training.epochs == 1:
            idle["training.fresh_embeddings"] = "with training.epochs=1"
        return idle


def load_config(
    path: Path | str | None = None,
    overrides: Iterable[str] = (),
    base: RunConfig | None = None,
    *,
    model: str | None = None,
) -> RunConfig:
    """Read a configuration: defaults, then a YAML file, then ``key=value`` overrides.

    Args:
        path: YAML file with any of the keys of :class:`RunConfig`, and under ``models: NAME:`` with such keys
            for one model, over the others, or the name of a preset; None for the defaults alone.
        overrides: dotted keys with YAML values, as ``model.hidden_size=64``.
        base: the defaults to start from.
        model: the name of a model, whose configuration is the model's defaults; what the file says of a model
            of another kind does not count. None takes the model of the file: the one named under ``models``,
            or that of its keys.

    Raises:
        ConfigError: no model has this name, the file is no YAML mapping, has keys for several models of which
            none is named, a key is unknown, or a value is not what the key takes. A key without effect is
            warned of.
    """
    if isinstance(overrides, str):
        raise TypeError(f"load_config: overrides is {overrides!r}; expected a list, as [{overrides!r}]")
    path = Path(path) if isinstance(path, str) else path
    start = base or RunConfig()
    common, own = read_layers(path) if path is not None else ({}, {})
    if model is None and own:
        if len(own) > 1:
            raise ConfigError(f"{path}: has keys for {', '.join(own)}; say which with --model")
        model = next(iter(own))
    if model is not None:
        start = start.model_copy(update={"model": model_config(model)})
        kind = common["model"].get("name") if isinstance(common.get("model"), dict) else None
        if kind not in (None, start.model.name):
            del common["model"]
    layers, overrides = [common, own.get(model or "", {})], list(overrides)
    config = override(start, layers, overrides, f"{path}: " if path is not None else "")
    warn(idle_keys(config, layers, overrides), config)
    return config


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; an empty file holds an empty one.

    Args:
        path: the file, or the name of one of :data:`~dien.presets.PRESETS`.

    Raises:
        ConfigError: it cannot be read or holds something else.
    """
    try:
        loaded = read_yaml(preset_or_file(path))
    except OSError as error:
        presets = "" if path.suffix else f"; presets are {', '.join(PRESETS)}"
        raise ConfigError(f"{path}: cannot be read: {error.strerror}{presets}") from error
    except YamlTextError as error:
        raise ConfigError(f"{path}: {error}") from error
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(loaded).__name__}")
    return loaded


def read_layers(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read a YAML file of keys for any model and, under ``models: NAME:``, for one.

    Returns:
        The keys for any model, and by name those for one, which go over them.

    Raises:
        ConfigError: it cannot be read, or ``models`` holds something else or a name that no model has.
    """
    common = read_mapping(path)
    own = common.pop("models", None) or {}
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: models: expected a mapping of names, found {type(own).__name__}")
    for name, layer in own.items():
        try:
            model_config(name)
        except ConfigError as error:
            raise ConfigError(f"{path}: models: {error}") from error
        if not isinstance(layer, dict):
            raise ConfigError(f"{path}: models.{name}: expected a mapping, found {type(layer).__name__}")
    return common, own


def override(
    base: RunConfig, layers: Iterable[Mapping[str, Any]], overrides: Iterable[str] = (), where: str = ""
) -> RunConfig:
    """Lay mappings of keys over a configuration, then ``key=value`` overrides.

    Args:
        base: what holds where nothing is said.
        layers: any of the keys of :class:`RunConfig`, each over the ones before it.
        overrides: dotted keys with YAML values, as ``model.hidden_size=64``, the later over the earlier; but
            the name of a model holds for all of them, wherever it stands.
        where: what an error begins with, as the file the keys come from.

    Raises:
        ConfigError: a key is unknown, or a value is not what the key takes.
    """
    data: dict[str, Any] = base.model_dump(mode="json")
    for layer in layers:
        _merge(data, layer)
    settings = [_nested(*_key_and_value(setting)) for setting in overrides]
    for setting in sorted(settings, key=lambda keys: not _names_model(keys)):  # it drops another model's keys
        _merge(data, setting)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{where}{problems(error, RunConfig.known_keys(data))}") from error


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _names_model(keys: Mapping[str, Any]) -> bool:
    return isinstance(model := keys.get("model"), dict) and "name" in model


def set_by_hand(layers: Iterable[Mapping[str, Any]], settings: Iterable[str]) -> set[str]:
    """Tell which dotted keys the layers of a file and ``key=value`` of ``--set`` name."""
    keys = {key for layer in layers for key in _dotted(layer)}
    for setting in settings:
        key, value = _key_and_value(setting)
        keys.update(_dotted({key: value}))
    return keys


def _key_and_value(setting: str) -> tuple[str, Any]:
    """Read a ``key=value`` of ``--set``.

    Raises:
        ConfigError: it is none, or the value is not YAML.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key or key.count(".") > MOST_LEVELS:
        raise ConfigError(f"--set {setting[:100]}: expected key=value, as model.hidden_size=64")
    try:
        return key, parse_yaml(text)
    except YamlTextError as error:
        raise ConfigError(f"--set {setting[:100]}: the value: {error}") from error


def idle_keys(config: RunConfig, layers: Iterable[Mapping[str, Any]], settings: Iterable[str]) -> set[str]:
    """Tell which dotted keys are set by hand and have no effect.

    A layer that names every key of the model or of the training, as the ``config.yaml`` of a run folder does,
    sets none of these by hand.

    Args:
        config: what the layers and settings come to.
        layers: mappings of keys, as of a file.
        settings: ``key=value`` of ``--set``.
    """
    every = {"model": type(config.model).model_fields.keys(), "training": TrainConfig.model_fields.keys()}
    chosen = [
        {part: keys for part, keys in layer.items() if not every[part] <= keys.keys()} for layer in layers
    ]
    return set_by_hand(chosen, settings) & config.without_effect().keys()


def warn(idle: Iterable[str], config: RunConfig, where: str = "") -> None:
    """Warn (``UserWarning``) of keys that have no effect in a configuration."""
    reasons = config.without_effect()
    for key in sorted(idle):
        warnings.warn(f"{where}{key} has no effect {reasons[key]}", stacklevel=3)


def _dotted(layer: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in layer.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Overwrite ``into`` with ``new``; a model of another name drops the old model's keys."""
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            if "name" in value and value["name"] != old.get("name"):
                into[key] = value
            else:
                _merge(old, value)
        else:
            into[key] = value
