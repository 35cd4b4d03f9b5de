"""What the columns of one's own tables mean: the YAML schema of ``dien prepare table``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from dien.data.log import FeatureRule
from dien.data.schema import TAKEN, TIME_SINCE, Kind, Pooling, Side, is_file_name
from dien.errors import DataError

TimeUnit = Literal["s", "ms", "us", "ns", "iso"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# fmt: off
_SINCE = tuple(float(seconds) for seconds in (
    _MINUTE, 5 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 3 * _DAY,
    7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY,
))
# fmt: on
RESERVED = ("user", "item", "label", "impression", "split", *TAKEN)
"""Names that no feature may have."""
_FOR_IDS = ("min_count", "max_size", "rare_share", "buckets", "shares")
_FOR_NUMBERS = ("scale", "quantiles", "edges")
_FOR_LISTS = ("separator", "pooling")


def _or_defaults(value: Any) -> Any:
    return {} if value is None else value  # ``category:`` with nothing after it


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Text = Annotated[str, Field(min_length=1)]


class Interactions(_Strict):
    """Columns of the interactions.

    Attributes:
        user: who; text or integers.
        item: with what; text or integers.
        time: when.
        time_unit: of integers; ``iso`` for text as 2024-01-31T10:00:00Z and for typed times; None to tell by
            each file's values.
        label: 1 clicked and 0 shown but not clicked; None where every row is a click.
        threshold: of a label that is a number, as a rating: so much or more is clicked, less is not.
        impression: equal for what was shown together; None where the log does not say.
        split: train, valid or test, anything else in none of them; None where the log does not say.
    """

    user: _Text = "user"
    item: _Text = "item"
    time: _Text = "time"
    time_unit: TimeUnit | None = None
    label: _Text | None = None
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    impression: _Text | None = None
    split: _Text | None = None

    @model_validator(mode="after")
    def _threshold_of_a_label(self) -> Interactions:
        if self.threshold is not None and self.label is None:
            raise ValueError("threshold is of a label; name its column as label, or leave threshold out")
        return self


class Items(_Strict):
    """The items' table: its key column."""

    item: _Text = "item"


class Users(_Strict):
    """The users' table: its key column."""

    user: _Text = "user"


class IdRule(_Strict):
    """How ids are encoded and embedded; as in :class:`~dien.data.log.FeatureRule`."""

    min_count: PositiveInt = 1
    max_size: PositiveInt | None = None
    rare_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    buckets: PositiveInt | None = None
    width: PositiveInt | None = None

    def rule(self) -> FeatureRule:
        """Make the rule for the log."""
        return FeatureRule(**self.model_dump())


class FeatureSpec(IdRule):
    """A feature: its column, its kind, and how it is encoded and embedded.

    Attributes:
        column: its column; None for the feature's name.
        kind: ``categorical``, ``multi`` (lists, or text with a separator) or ``numeric``.
        separator: between the values of a ``multi`` that is text.
        scale: see :class:`~dien.data.log.FeatureRule`, as for the others.
        shares: the feature whose vocabulary and embedding table it shares.
        from_time: worked out from the time of the interaction instead of read from a column.
        zone: the time zone of ``from_time``, as America/New_York.
    """

    column: _Text | None = None
    kind: Kind = "categorical"
    separator: _Text = "|"
    scale: Literal["standard", "log"] = "standard"
    quantiles: Annotated[int, Field(ge=2)] | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    pooling: Pooling = "mean"
    shares: str | None = None
    from_time: Literal["hour", "weekday"] | None = None
    zone: str = "UTC"

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if edges is not None:
            rising = all(low < high for low, high in pairwise(edges))
            if not rising or not all(math.isfinite(edge) for edge in edges):
                raise ValueError("expected finite numbers that rise, as [10, 100, 1000]")
        return edges

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):  # a folder of zones, as "America", is an OSError
            raise ValueError("expected a time zone as America/New_York or UTC") from None
        return zone

    @model_validator(mode="after")
    def _fits_its_kind(self) -> FeatureSpec:
        unfit = {
            "categorical": (*_FOR_NUMBERS, *_FOR_LISTS),
            "multi": _FOR_NUMBERS,
            "numeric": (*_FOR_IDS, *_FOR_LISTS),
        }[self.kind]
        if wrong := [key for key in unfit if key in self.model_fields_set]:
            raise ValueError(f"{wrong[0]} is not for a {self.kind} feature; leave it out or change kind")
        if self.quantiles and self.edges:
            raise ValueError("quantiles and edges exclude each other; give one of them")
        if self.from_time is None and "zone" in self.model_fields_set:
            raise ValueError("zone goes with from_time; leave it out or add from_time: hour")
        if self.from_time is not None and (self.column is not None or self.kind != "categorical"):
            raise ValueError("a feature from_time has no column and is categorical; leave them out")
        return self

    def rule(self, side: Side = "item") -> FeatureRule:
        """Make the rule for the log.

        Args:
            side: whose the feature is.
        """
        return FeatureRule(
            side="behaviour" if side == "behaviour" else "context",
            min_count=self.min_count,
            max_size=self.max_size,
            rare_share=self.rare_share if self.kind != "numeric" else 0.0,
            buckets=self.buckets,
            scale=self.scale,
            quantiles=self.quantiles,
            edges=self.edges,
            width=self.width,
            pooling=self.pooling,
            table=self.shares,
        )


_Features = Annotated[
    dict[str, Annotated[FeatureSpec, BeforeValidator(_or_defaults)]], BeforeValidator(_or_defaults)
]


class Features(_Strict):
    """The features of each side by name."""

    item: _Features = {}
    user: _Features = {}
    behaviour: _Features = {}
    context: _Features = {}

    def named(self) -> Iterator[tuple[Side, str, FeatureSpec]]:
        """Every feature with its side and name."""
        sides: tuple[Side, ...] = ("item", "user", "behaviour", "context")
        for side in sides:
            for name, feature in getattr(self, side).items():
                yield side, name, feature


class Ids(_Strict):
    """Rules of the id features."""

    item: Annotated[IdRule, BeforeValidator(_or_defaults)] = IdRule()
    user: Annotated[IdRule, BeforeValidator(_or_defaults)] = IdRule()


class TableSpec(_Strict):
    """What the columns of interactions, items and users mean."""

    interactions: Annotated[Interactions, BeforeValidator(_or_defaults)] = Interactions()
    items: Annotated[Items, BeforeValidator(_or_defaults)] = Items()
    users: Annotated[Users, BeforeValidator(_or_defaults)] = Users()
    features: Annotated[Features, BeforeValidator(_or_defaults)] = Features()
    ids: Annotated[Ids, BeforeValidator(_or_defaults)] = Ids()

    @classmethod
    def load(cls, path: Path) -> TableSpec:
        """Read a YAML file.

        Raises:
            DataError: it cannot be read, or a key is unknown or its value not what it takes.
        """
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read: {error.strerror}; give the path of a YAML file"
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise DataError(f"{path}: not YAML: {error}") from error
        return cls.of(data, str(path))

    @classmethod
    def of(cls, data: Any, source: str) -> TableSpec:
        """Check plain data, of a YAML file or of a command line.

        Args:
            data: mappings by the names of the attributes; None for the defaults alone.
            source: where the data comes from, for errors.

        Raises:
            DataError: a key is unknown or its value not what it takes.
        """
        if not isinstance(data, Mapping | None):
            raise DataError(
                f"{source}: found {type(data).__name__}, expected keys {', '.join(cls.model_fields)}"
            )
        try:
            return cls.model_validate(data or {})
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc'] if part != '[key]') or 'schema'}: "
                f"{problem['msg'].removeprefix('Value error, ')}" + _found(problem["input"])
                for problem in error.errors()
            )
            raise DataError(f"{source}: {problems}") from error

    def rules(self) -> dict[str, FeatureRule]:
        """Rules of all features, ids among them, for the log."""
        rules = {"item": self.ids.item.rule(), "user": self.ids.user.rule()}
        for side, name, feature in self.features.named():
            if name == TIME_SINCE:
                rules[name] = FeatureRule(
                    side="behaviour", edges=feature.edges or _SINCE, width=feature.width
                )
            else:
                rules[name] = feature.rule(side)
        return rules

    @model_validator(mode="before")
    @classmethod
    def _time_since_is_numeric(cls, data: Any) -> Any:
        """Say for the user that ``time_since`` is a number, so that it takes edges."""
        match data:
            case {"features": {"behaviour": {"time_since": since}}}:
                since = {} if since is None else since
                if isinstance(since, Mapping):
                    if wrong := sorted(set(map(str, since)) - {"edges", "width"}):
                        raise ValueError(
                            f"features.behaviour.time_since.{wrong[0]}: takes only edges (seconds), width"
                        )
                    behaviour = {**data["features"]["behaviour"], TIME_SINCE: {**since, "kind": "numeric"}}
                    return {**data, "features": {**data["features"], "behaviour": behaviour}}
        return data

    @model_validator(mode="after")
    def _names_fit_together(self) -> TableSpec:
        seen: dict[str, str] = {}
        kinds: dict[str, FeatureSpec | IdRule] = {"item": self.ids.item, "user": self.ids.user}
        for side, name, feature in self.features.named():
            where = f"features.{side}.{name}"
            if name == TIME_SINCE and side != "behaviour":
                raise ValueError(f"{where}: this name is kept for the behaviours' feature; rename it")
            if not is_file_name(name):
                raise ValueError(
                    f"{where}: a feature's name is a file's name: rename it, without / \\ : * ? \" < > | "
                    "and no dot first, and give its column as column"
                )
            if name.casefold() in RESERVED or name.endswith(".offsets"):
                raise ValueError(f"{where}: this name is kept; rename it and give its column as column")
            if name.casefold() in seen:
                raise ValueError(
                    f"{where}: named as {seen[name.casefold()]} is; rename one and give its column as column"
                )
            if feature.from_time is not None and side != "context":
                raise ValueError(f"{where}: from_time is for features of the context; move it there")
            seen[name.casefold()] = where
            kinds[name] = feature
        for side, name, feature in self.features.named():
            owner = kinds.get(feature.shares) if feature.shares is not None else None
            if feature.shares is None:
                continue
            where = f"features.{side}.{name}.shares"
            if owner is None or feature.shares == name or owner.model_dump().get("shares") is not None:
                raise ValueError(
                    f"{where}: {feature.shares!r} is no feature with a table of its own; "
                    f"expected one of {', '.join(other for other in kinds if other != name)}"
                )
            if isinstance(owner, FeatureSpec) and owner.kind == "numeric":
                raise ValueError(f"{where}: {feature.shares!r} is numeric and has no table to share")
            if owner.buckets != feature.buckets:
                raise ValueError(f"{where}: give {name} the buckets of {feature.shares!r}")
        return self


def _found(value: Any) -> str:
    return "" if isinstance(value, Mapping) else f" (found {value!r})"
