"""What the configurations of all models share: strict pydantic classes, of which each model has its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dien.errors import ConfigError, nearest, visible

if TYPE_CHECKING:  # a configuration does not need torch
    from dien.data.features import Schema

Activation = Literal["dice", "prelu", "relu", "sigmoid", "silu", "tanh"]
Width = Annotated[int, Field(gt=0, le=65_536)]  # no memory holds the matrices of much wider layers
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=100)]
Count = Annotated[int, Field(gt=0, lt=2**31)]


class Strict(BaseModel):
    """Refuses unknown keys, infinities and NaN, and cannot be changed once made.

    Raises:
        ConfigError: a key is unknown, or a value is not what the key takes; the message names every one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            said = problems(error, self.known_keys(given))
            raise ConfigError(f"{type(self).__name__}: {said}") from None

    # By this pydantic tells that it need not call it for a configuration within another, or from plain data.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def known_keys(cls, given: Mapping[str, Any]) -> list[str]:
        """List the keys, dotted where they are of a configuration within this one.

        Args:
            given: keys and values that it is to be made of, on which the others may depend.
        """
        return list(cls.model_fields)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the keys whose values are not the defaults; those that are configurations, always."""
        for key, field in type(self).model_fields.items():
            value = getattr(self, key)
            if isinstance(value, Strict) or value != field.get_default():
                yield key, value

    def __str__(self) -> str:
        return repr(self)


def problems(error: ValidationError, known: Sequence[str]) -> str:
    """Say what is wrong with each key of a configuration.

    Args:
        error: what pydantic has found.
        known: the keys that there are, dotted.
    """
    return visible("; ".join(_problem(problem, known) for problem in error.errors()))


def _problem(problem: ErrorDetails, known: Sequence[str]) -> str:
    """Say what is wrong with a key; of an unknown one, which may be meant."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}{_meant(key, known)}"
    said = problem["msg"].removeprefix("Value error, ")  # which pydantic puts before our own words
    return f"{key + ': ' if key else ''}{said} (found {problem['input']!r})"


def _meant(key: str, known: Sequence[str]) -> str:
    """Suggest a key: the same one elsewhere, else one that is spelled alike; else list those beside it."""
    section, _, name = key.rpartition(".")
    elsewhere = next((other for other in known if other.rpartition(".")[2] == name), None)
    if close := elsewhere or nearest(key, known):
        return f"; did you mean {close}?"
    return f"; expected one of: {', '.join(other for other in known if other.rpartition('.')[0] == section)}"


class ModelConfig(Strict):
    """Keys that every model has. A model's own class adds its keys, and its name as a ``Literal``.

    Attributes:
        name: of the model; its configuration class follows from it.
        embedding_size: width of a feature's embedding where the feature names none.
        embedding_dropout: fraction of the numbers of embeddings that training drops: of items, behaviours,
            users and context alike, of the auxiliary loss's negatives too.
        max_history: newest behaviours read; older ones are cut.
        filter_by: a feature of items with ids, as ``category``, or ``item``: each candidate then reads the
            newest ``max_history`` of those behaviours alone that have its value, or one of its values, as
            in SIM's hard search (docs/models.md). null reads whatever is the newest.
        filter_history: newest behaviours that are searched for these.
        matches: whether the head has numbers of how often the history has the target's item, and each of its
            other ids (category, brand, tags), and how long ago (docs/models.md). A GRU's state blurs them.
        match_history: newest behaviours that matches are counted over, whatever the model reads of them
            (``max_history``, ``filter_by``).
        match_dropout: fraction of the candidates whose matches training hides. With them always in sight the
            embeddings learn too little where rows are few (docs/ablations.md).
        popularity: whether the head has numbers of how often everyone had the target's item, and each of its
            other ids, before the impression, in all and lately (docs/models.md). The log must have times.
        position_embedding: whether each behaviour of a history has, beside its embedding, a learned vector of
            its place, counted from the newest behaviour; ``embedding_size`` wide. Its age is a feature of the
            data, ``time_since`` (docs/data.md).
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head.
        sparse_gradients: whether the gradients of embedding tables are sparse: a training step then reads and
            writes the rows it has looked up, and no others, whatever the size of the vocabularies. false is
            for a training loop of your own with torch's Adam, weight decay or gradient clipping, which take
            dense gradients only. Scores do not depend on it.
        conversion_weight: weight of the loss of conversions, where the data has them; 0 trains without the
            head that predicts them.
    """

    name: str
    embedding_size: Width = 18
    embedding_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    max_history: Count = 50
    filter_by: str | None = None
    filter_history: Count = 1000
    matches: bool = False
    match_history: Count = 1000
    match_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    popularity: bool = False
    position_embedding: bool = False
    head_hidden: Widths = (200, 80)
    head_activation: Activation = "dice"
    sparse_gradients: bool = True
    conversion_weight: Annotated[float, Field(ge=0)] = 1.0

    @property
    def needs_negatives(self) -> bool:
        """Whether training needs a negative for each behaviour, as DIEN's auxiliary loss does."""
        return False

    @property
    def supervised_steps(self) -> Literal["all", "new"]:
        """Steps that need one, as batches take it (``Batches(auxiliary_steps=...)``)."""
        return "all"

    @property
    def matched_history(self) -> int | None:
        """Newest behaviours that matches are counted over, as batches take it; None without matches."""
        return self.match_history if self.matches else None

    @property
    def searched_history(self) -> int:
        """Newest behaviours that a model's steps are taken of: all of them, or those that a filter leaves."""
        return self.max_history if self.filter_by is None else self.filter_history

    @property
    def longest_history(self) -> int:
        """Newest behaviours of a history of which something is read: the steps, or the matches."""
        return max(self.searched_history, self.matched_history or 0)

    def wants_conversions(self, schema: Schema) -> bool:
        """Whether a model of this data is to have a second head, which predicts conversions."""
        return schema.conversion and self.conversion_weight > 0

    def serving(self) -> ModelConfig:
        """Configure what scores: the model itself, unless training needs more than scoring."""
        return self

    def without_effect(self) -> dict[str, str]:
        """Name the keys that do nothing beside the values of others.

        Returns:
            For each such key, the key whose value makes it so.
        """
        idle = {} if self.matches else {"match_history": "matches", "match_dropout": "matches"}
        return idle if self.filter_by is not None else {**idle, "filter_history": "filter_by"}
