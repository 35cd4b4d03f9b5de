"""The features of a dataset, in order, and how ``dataset.json`` says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeVar

import msgspec

from dien.data.features.definition import KINDS, Feature, Side
from dien.data.features.encoders import Encoder
from dien.data.features.stored import check_stored

T = TypeVar("T")


@dataclass(frozen=True)
class Schema:
    """The features of a dataset, in the order in which their embeddings are concatenated.

    The ids of items and users are the features ``item`` and ``user``, the first of their sides.

    Attributes:
        features: in this order.
        conversion: whether rows say, beside the click, whether it led to what it is for.
    """

    features: tuple[Feature, ...]
    conversion: bool = False

    def of(self, *sides: Side) -> tuple[Feature, ...]:
        """Features of some sides, side after side, each in order."""
        return tuple(feature for side in sides for feature in self.features if feature.side == side)

    def id_of(self, side: Literal["item", "user"]) -> Feature | None:
        """Find the item's or user's own id; None where every id was too rare to be a feature."""
        return next((feature for feature in self.of(side) if feature.name == side), None)

    @property
    def matched(self) -> tuple[str, ...]:
        """Name what a target and a history are matched by: the item itself, and its features with values."""
        features = (f.name for f in self.of("item") if f.kind in ("categorical", "multi"))
        return ("item", *(name for name in features if name != "item"))

    @property
    def vocabularies(self) -> dict[str, int]:
        """Size of each vocabulary by the feature that owns it."""
        return {f.vocabulary: f.size for f in self.features if f.vocabulary is not None}

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file; what is as usual is left out."""
        features = {"features": [_to_json(feature) for feature in self.features]}
        return {**features, "conversion": True} if self.conversion else features

    @classmethod
    def from_json(cls, data: Any) -> Schema:
        """Inverse of :meth:`to_json`.

        An unknown field of a feature or an encoder is refused: it would change what the indices mean.

        Raises:
            ValueError: a field is missing, unknown or of the wrong type, or a feature cannot have its name,
                size, table or encoder; the message names the feature by its place, and the field.
        """
        found = msgspec.convert(data, _Stored)
        stored = found.features
        features: list[Feature] = []
        try:
            for feature in stored:
                features.append(_from_json(feature))  # noqa: PERF401  # its length is needed
        except ValueError as error:
            raise ValueError(f"features[{len(features)}]: {error}") from error
        check_stored(features)
        return cls(tuple(features), found.conversion)


def encoder_to_json(encoder: Any) -> dict[str, Any]:
    """Plain data: the type of the encoder and its numbers."""
    return {"type": encoder.type, **asdict(encoder)}


def encoder_from_json(data: Any) -> Encoder:
    """Inverse of :func:`encoder_to_json`.

    Raises:
        ValueError: there is no such encoder, or a field is missing, unknown or of the wrong type.
    """
    encoders: dict[Any, Any] = {encoder.type: encoder for kind in KINDS.values() for encoder in kind.encoders}
    numbers = dict(msgspec.convert(data, dict[str, Any]))
    name = numbers.pop("type", None)
    if not isinstance(name, str) or name not in encoders:
        raise ValueError(f"type {name!r}; expected one of {', '.join(encoders)}")
    made: Encoder = _checked(numbers, encoders[name])
    return made


class _Stored(msgspec.Struct):
    features: list[Any]
    conversion: bool = False


def _to_json(feature: Feature) -> dict[str, Any]:
    usual = {field.name: field.default for field in fields(Feature)}
    data = {name: value for name, value in vars(feature).items() if value != usual[name]}
    if feature.encoder is not None:
        data["encoder"] = encoder_to_json(feature.encoder)
    return data


def _from_json(data: Any) -> Feature:
    said = dict(msgspec.convert(data, dict[str, Any]))
    encoder = said.pop("encoder", None)
    feature = _checked(said, Feature)
    if encoder is None:
        return feature
    try:
        return replace(feature, encoder=encoder_from_json(encoder))
    except ValueError as error:
        raise ValueError(f"encoder: {error}") from error


def _checked(data: Mapping[str, Any], kind: type[T]) -> T:
    """Make a dataclass of plain data; its fields and their types are checked."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if unknown := sorted(data.keys() - known):
        raise ValueError(f"unknown field `{unknown[0]}`")
    made = msgspec.convert(data, kind)
    return replace(made)  # type: ignore[type-var]  # its ``vars`` lack what has a default
