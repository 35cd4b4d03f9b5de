"""Typed configuration of models and training: pydantic classes, YAML in and out, ``key=value`` overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from dien.errors import ConfigError
from dien.presets import PRESETS, preset_or_file

Activation = Literal["dice", "prelu", "relu", "sigmoid", "silu", "tanh"]
GRUKind = Literal["gru", "aigru", "agru", "augru", "augru-complement"]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Model(_Strict):
    @property
    def needs_negatives(self) -> bool:
        """Whether training needs a negative for each behaviour, as DIEN's auxiliary loss does."""
        return False

    def serving(self) -> ModelConfig:
        """Configure what scores: the model itself, unless training needs more than scoring."""
        return cast("ModelConfig", self)


class SumPoolingConfig(_Model):
    """BaseModel of the paper: embeddings, the history sum-pooled, an MLP.

    Attributes:
        embedding_size: width of a feature's embedding where the feature names none.
        max_history: newest behaviours read; older ones are cut.
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head.
    """

    name: Literal["sum-pooling"] = "sum-pooling"
    embedding_size: PositiveInt = 18
    max_history: PositiveInt = 50
    head_hidden: Widths = (200, 80)
    head_activation: Activation = "dice"


class WideDeepConfig(_Model):
    """Wide & Deep (Cheng et al., 2016): a linear model beside the network of BaseModel.

    Attributes:
        embedding_size: width of a feature's embedding where the feature names none.
        max_history: newest behaviours read; older ones are cut.
        sparse_weights: whether each value of every feature has a weight of its own in the wide part, as in
            the paper of Wide & Deep; without, the wide part is that of the code of DIEN's authors, which is
            linear in the embeddings of target and history and their product.
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head.
    """

    name: Literal["wide-deep"] = "wide-deep"
    embedding_size: PositiveInt = 18
    max_history: PositiveInt = 50
    sparse_weights: bool = True
    head_hidden: Widths = (200, 80)
    head_activation: Activation = "dice"


class PNNConfig(_Model):
    """Product-based neural network (Qu et al., 2016), with inner products.

    Attributes:
        embedding_size: width of a feature's embedding where the feature names none.
        max_history: newest behaviours read; older ones are cut.
        inner_products: whether the inner products of all pairs of fields join the head; without, its only
            products are those of target and history, element by element, as in the code of DIEN's authors.
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head.
    """

    name: Literal["pnn"] = "pnn"
    embedding_size: PositiveInt = 18
    max_history: PositiveInt = 50
    inner_products: bool = True
    head_hidden: Widths = (200, 80)
    head_activation: Activation = "dice"


class DINConfig(_Model):
    """Deep Interest Network; the defaults are what DIEN's authors ran beside DIEN.

    Attributes:
        embedding_size: width of a feature's embedding where the feature names none.
        max_history: newest behaviours read; older ones are cut.
        attention_hidden: widths of the attention's hidden layers, on ``[q, k, q - k, q * k]``.
        attention_activation: their activation.
        attention_softmax: whether a softmax over the history makes the weights of its behaviours add up to
            1, as in the authors' code. DIN's paper weighs by the activations as they are (eq. 3, section
            4.3), so that the sum grows with how much of a history bears on the target.
        pooled_history: whether the sum of the history and its product with the target join the head, as in
            the authors' code.
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head.
    """

    name: Literal["din"] = "din"
    embedding_size: PositiveInt = 18
    max_history: PositiveInt = 50
    attention_hidden: Widths = (80, 40)
    attention_activation: Activation = "sigmoid"
    attention_softmax: bool = True
    pooled_history: bool = False
    head_hidden: Widths = (200, 80)
    head_activation: Activation = "dice"


class DIENConfig(_Model):
    """Deep Interest Evolution Network. The defaults are :meth:`paper`'s, but for the auxiliary loss.

    The paper sums that over a history's steps (eq. 6), so that it grows with the histories and, where they
    are long, drowns the target's loss. The default averages it, with a weight that suits short histories as
    well as long ones (docs/ablations.md).

    Attributes:
        embedding_size: width of a feature's embedding where the feature names none.
        max_history: newest behaviours read; older ones are cut.
        hidden_size: width ``n_H`` of both GRUs; null makes it an item's, as in RecBole.
        gru: the evolving layer: ``gru`` (attention pools the states of a second GRU), ``aigru`` (eq. 9),
            ``agru`` (eq. 10), ``augru`` (eq. 11-12), or ``augru-complement``, the AUGRU of the authors' code,
            which takes an ordinary GRU's step where the attention is 0.
        gru_reset: whether the reset gate of both GRUs stands ``after`` the recurrent product, as in the paper
            and torch.nn.GRU, or ``before`` it, as in TensorFlow's GRUCell. There are no fast kernels for
            ``before``: it computes in plain PyTorch.
        gru_gate_bias: what the biases of both GRUs' reset and update gates start as, 1 in TensorFlow's
            GRUCell; null draws them as torch.nn.GRU does. The update gate is the share of the old state that
            is kept, but for ``augru``, where it is that of the new (eq. 11-12).
        gru_initialisation: initial weights of the evolving AGRU or AUGRU. ``uniform``: as torch.nn.GRU's;
            ``normal``: N(0, 1) and biases 0, as RecBole's, by which most gates start saturated.
        attention: ``bilinear`` (eq. 8) or ``mlp`` on ``[q, k, q - k, q * k]``.
        attention_hidden: widths of the MLP attention's hidden layers; unused by ``bilinear``.
        attention_scale: whether the MLP attention's logits are divided by ``sqrt(hidden_size)``, as RecBole
            does and neither paper nor authors do; unused by ``bilinear``.
        attention_query: what the attention compares with the states: the target (``plain``; projected where
            the MLP attention needs another width), or a linear layer and a PReLU of it (``prelu``), as in the
            authors' code.
        auxiliary_weight: alpha of eq. (7); 0 trains without the auxiliary loss.
        auxiliary_hidden: hidden widths of the auxiliary network.
        auxiliary_activation: its activation. The paper names none; with a sigmoid it hardly learns on small
            data (its loss stays at 2 ln 2), with PReLU it does. With ``none``, as in RecBole, the network is
            linear, whatever its depth.
        auxiliary_affine: whether a learned scale and shift of its input stand before it, as in the authors'
            code, whose batch normalisation is never put in training mode.
        auxiliary_average: ``pairs`` averages over every click and non-click, as RecBole; ``histories`` sums
            steps and both terms and averages over histories, as eq. (6); ``positions`` averages that sum over
            the ``R * (T - 1)`` places of histories filled up to the batch's longest, as the authors' code.
        target_weight: weight of the target's cross-entropy in eq. (7). In the authors' code it is a half:
            they average over both classes of the softmax.
        pooled_history: whether the sum of the history and its product with the target join the head, as in
            the authors' code; the paper's head has the final state, the target, user and context only.
        head_affine: whether a learned scale and shift of the head's input stand before it, as in the authors'
            code.
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head. RecBole's Dice, whose alpha is always 0, is ``silu``.
        head_batch_norm: whether a batch normalisation stands before each activation of the head, as in
            RecBole; Dice then takes what it gives and does not standardise again.
        head_dropout: share of each head layer's inputs that training drops.
    """

    name: Literal["dien"] = "dien"
    embedding_size: PositiveInt = 18
    max_history: PositiveInt = 50
    hidden_size: PositiveInt | None = 36
    gru: GRUKind = "augru"
    gru_reset: Literal["after", "before"] = "after"
    gru_gate_bias: float | None = None
    gru_initialisation: Literal["uniform", "normal"] = "uniform"
    attention: Literal["bilinear", "mlp"] = "bilinear"
    attention_hidden: Widths = (80, 40)
    attention_scale: bool = False
    attention_query: Literal["plain", "prelu"] = "plain"
    auxiliary_weight: Annotated[float, Field(ge=0)] = 3.0
    auxiliary_hidden: Widths = (100, 50)
    auxiliary_activation: Activation | Literal["none"] = "prelu"
    auxiliary_affine: bool = False
    auxiliary_average: Literal["pairs", "histories", "positions"] = "pairs"
    target_weight: PositiveFloat = 1.0
    pooled_history: bool = False
    head_affine: bool = False
    head_hidden: Widths = (200, 80)
    head_activation: Activation = "dice"
    head_batch_norm: bool = False
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def needs_negatives(self) -> bool:
        """Whether there is an auxiliary loss."""
        return self.auxiliary_weight > 0

    @classmethod
    def paper(cls) -> DIENConfig:
        """Follow the paper's equations; what they leave open is set to what trains best."""
        return cls(auxiliary_weight=1.0, auxiliary_average="histories")

    @classmethod
    def authors(cls) -> DIENConfig:
        """Follow the TensorFlow code of the paper's authors.

        It goes as far as this. Dice standardises by running averages in testing, where theirs takes the
        statistics of the batch at hand: a score must not depend on the other rows of its batch. Histories
        are cut in testing too, and their sum holds no padding, of whose embedding theirs adds one for every
        place a history is shorter than its batch's longest. A softmax over two outputs is a sigmoid of their
        difference, of which one is kept. Initial weights but for the gates' biases are drawn as everywhere
        here, not as TensorFlow's. How it is trained is not the model's: theirs is Adam at 1e-3, halved each
        epoch, with the negatives of the preparation, which are these keys of :class:`TrainConfig`::

            --set training.learning_rate=0.001 --set training.learning_rate_decay=0.5
            --set training.epochs=3 --set training.batch_size=128 --set training.negatives=stored

        The epoch is chosen by the validation AUC, where theirs chooses among every 100 steps by the test AUC.
        """
        return cls(
            max_history=100,
            gru="augru-complement",
            gru_reset="before",
            gru_gate_bias=1.0,
            attention="mlp",
            attention_query="prelu",
            auxiliary_weight=1.0,
            auxiliary_activation="sigmoid",
            auxiliary_affine=True,
            auxiliary_average="positions",
            target_weight=0.5,
            pooled_history=True,
            head_affine=True,
        )

    @classmethod
    def recbole(cls) -> DIENConfig:
        """Follow RecBole 1.2.1 with its defaults.

        Its one ``mlp_hidden_size`` is ``attention_hidden``, ``auxiliary_hidden`` and ``head_hidden`` here.
        It goes as far as this. Embeddings and linear layers start as everywhere here, not as Xavier's normal
        distribution has it. Several values of a feature are pooled as the data's schema says, not by one
        ``pooling_mode``. How it is trained is not the model's: that RecBole draws the auxiliary loss's
        negatives once is ``--set training.auxiliary_negatives=fixed``. RecBole with its own data and
        training, to the same numbers, is :mod:`dien.recbole`.
        """
        widths = (256, 256, 256)
        return cls(
            embedding_size=10,
            hidden_size=None,
            gru_initialisation="normal",
            attention="mlp",
            attention_hidden=widths,
            attention_scale=True,
            auxiliary_weight=1.0,
            auxiliary_hidden=widths,
            auxiliary_activation="none",
            auxiliary_average="pairs",
            head_hidden=widths,
            head_activation="silu",
            head_batch_norm=True,
        )


class RocketConfig(DIENConfig):
    """Rocket Launching (Zhou et al., AAAI 2018): a light DIEN that learns from a booster trained beside it.

    The keys are those of the light net, which alone scores, and hold for the booster too, but for its sizes,
    which have keys of their own. Both nets read the same embeddings, have an auxiliary loss each, and differ
    from DIEN in nothing else.

    Attributes:
        hidden_size: width of the light net's GRUs; null makes it an item's.
        head_hidden: widths of the hidden layers of the light net's head.
        booster_hidden_size: width of the booster's GRUs, at least that of the light net's.
        booster_head_hidden: widths of the hidden layers of the booster's head.
        hint_weight: lambda, the weight of the mean squared difference of both nets' logits; 0 trains the nets
            without a word between them, but for the embeddings they share. Of 0, 0.3, 1, 3 and 10 the default
            had the best validation AUC on Amazon's Beauty (docs/models.md).
    """

    name: Literal["rocket"] = "rocket"  # type: ignore[assignment]
    hidden_size: PositiveInt | None = 12
    head_hidden: Widths = (80, 40)
    booster_hidden_size: Annotated[PositiveInt, Field(validate_default=True)] = 36
    booster_head_hidden: Widths = (200, 80)
    hint_weight: Annotated[float, Field(ge=0)] = 3.0

    @field_validator("booster_hidden_size")
    @classmethod
    def _no_smaller_than_the_light_net(cls, value: int, others: ValidationInfo) -> int:
        light = others.data.get("hidden_size")
        if light is not None and value < light:
            raise ValueError(f"the booster's width must be at least hidden_size, the light net's {light}")
        return value

    def light(self) -> DIENConfig:
        """Configure the light net, as a DIEN alone."""
        return DIENConfig(**{key: getattr(self, key) for key in DIENConfig.model_fields if key != "name"})

    def serving(self) -> DIENConfig:
        """Configure what scores: the light net."""
        return self.light()

    def booster(self) -> DIENConfig:
        """Configure the booster, as a DIEN alone."""
        sizes = {"hidden_size": self.booster_hidden_size, "head_hidden": self.booster_head_hidden}
        return self.light().model_copy(update=sizes)


ModelConfig = Annotated[
    DIENConfig | DINConfig | PNNConfig | WideDeepConfig | SumPoolingConfig | RocketConfig,
    Field(discriminator="name"),
]


class TrainConfig(_Strict):
    """How a model is trained.

    Attributes:
        batch_size: candidates a step.
        learning_rate: Adam's step size, for dense parameters and embedding rows alike.
        learning_rate_decay: factor on the learning rate after each epoch, in (0, 1]; 1 leaves it as it is.
        epochs: at most so many passes over the training rows.
        patience: stop after so many epochs without a better validation AUC.
        negatives: ``redrawn`` samples the negatives of training rows anew each epoch, ``stored`` keeps those
            of the preparation. Data with real negatives is always ``stored``.
        auxiliary_negatives: ``redrawn`` draws the auxiliary loss's negatives anew at every step; with
            ``fixed``, as in RecBole, a behaviour has the same one all through the training. Models without
            the loss have none.
        seed: initialisation, order of the rows and negatives follow from it alone.
        checkpoint_steps: write a checkpoint to resume from every so many steps, and at each epoch's end.
    """

    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 2e-3
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    epochs: PositiveInt = 10
    patience: PositiveInt = 2
    negatives: Literal["redrawn", "stored"] = "redrawn"
    auxiliary_negatives: Literal["redrawn", "fixed"] = "redrawn"
    seed: int = 0
    checkpoint_steps: PositiveInt = 1000


class RunConfig(_Strict):
    """Everything a RUN is made from besides its data: ``config.yaml``."""

    model: ModelConfig = DIENConfig()
    training: TrainConfig = TrainConfig()

    def to_yaml(self) -> str:
        """Every key with its value, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


MODELS: dict[str, ModelConfig] = {
    "sum-pooling": SumPoolingConfig(),
    "wide-deep": WideDeepConfig(),
    "pnn": PNNConfig(),
    "din": DINConfig(),
    "gru-attention": DIENConfig(gru="gru", auxiliary_weight=0),
    "gru+aigru": DIENConfig(gru="aigru", auxiliary_weight=0),
    "gru+agru": DIENConfig(gru="agru", auxiliary_weight=0),
    "gru+augru": DIENConfig(gru="augru", auxiliary_weight=0),
    "dien": DIENConfig(),
    "dien:paper": DIENConfig.paper(),
    "dien:authors": DIENConfig.authors(),
    "dien:recbole": DIENConfig.recbole(),
    "rocket": RocketConfig(),
}
"""The models of the paper's tables, in their order, by their names on the command line.

BaseModel is ``sum-pooling``. ``gru-attention`` is the two-layer GRU with attention; those with a ``+`` are
DIEN without the auxiliary loss; after the colon stands whose DIEN is meant. ``rocket`` is a light DIEN that
the paper compresses for serving.
"""


def model_config(name: str) -> ModelConfig:
    """Defaults of a model by its name in :data:`MODELS`.

    Raises:
        ConfigError: no model has this name.
    """
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}; expected one of: {', '.join(MODELS)}")
    return MODELS[name]


def load_config(
    path: Path | None = None,
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
            none is named, a key is unknown, or a value is not what the key takes.
    """
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
    layers = [common, own.get(model or "", {})]
    return override(start, layers, overrides, f"{path}: " if path is not None else "")


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; an empty file holds an empty one.

    Args:
        path: the file, or the name of one of :data:`~dien.presets.PRESETS`.

    Raises:
        ConfigError: it cannot be read or holds something else.
    """
    try:
        loaded = yaml.safe_load(preset_or_file(path).read_bytes())
    except OSError as error:
        presets = "" if path.suffix else f"; presets are {', '.join(PRESETS)}"
        raise ConfigError(f"{path}: cannot be read: {error.strerror}{presets}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
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
        overrides: dotted keys with YAML values, as ``model.hidden_size=64``.
        where: what an error begins with, as the file the keys come from.

    Raises:
        ConfigError: a key is unknown, or a value is not what the key takes.
    """
    data: dict[str, Any] = base.model_dump(mode="json")
    for layer in layers:
        _merge(data, layer)
    for setting in overrides:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {setting}: expected key=value, as model.hidden_size=64")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {setting}: the value is not YAML: {error}") from error
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(data, value)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{_key(problem['loc'])}: {problem['msg']} (found {problem['input']!r})"
            for problem in error.errors()
        )
        raise ConfigError(f"{where}{problems}") from error


def _key(loc: tuple[int | str, ...]) -> str:
    """Spell a key as the user does: pydantic puts the model's name after ``model``."""
    return ".".join(str(part) for i, part in enumerate(loc) if i != 1 or loc[0] != "model")


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
