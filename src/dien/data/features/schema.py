"""The features of a dataset, in order, and how ``dataset.json`` says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from dien.data.features.definition import KINDS, Feature, Side
from dien.data.features.encoders import Encoder


@dataclass(frozen=True)
class Schema:
    """The features of a dataset, in the order in which their embeddings are concatenated.

    The ids of items and users are the features ``item`` and ``user``, the first of their sides.
    """

    features: tuple[Feature, ...]

    def of(self, *sides: Side) -> tuple[Feature, ...]:
        """Features of some sides, side after side, each in order."""
        return tuple(feature for side in sides for feature in self.features if feature.side == side)

    def id_of(self, side: Literal["item", "user"]) -> Feature | None:
        """Find the item's or user's own id; None where every id was too rare to be a feature."""
        return next((feature for feature in self.of(side) if feature.name == side), None)

    @property
    def vocabularies(self) -> dict[str, int]:
        """Size of each vocabulary by the feature that owns it."""
        return {f.vocabulary: f.size for f in self.features if f.vocabulary is not None}

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file; what is as usual is left out."""
        return {"features": [_to_json(feature) for feature in self.features]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Inverse of :meth:`to_json`."""
        return cls(tuple(_from_json(feature) for feature in data["features"]))


def encoder_to_json(encoder: Any) -> dict[str, Any]:
    """Plain data: the type of the encoder and its numbers."""
    return {"type": encoder.type, **asdict(encoder)}


def encoder_from_json(data: Mapping[str, Any]) -> Encoder:
    """Inverse of :func:`encoder_to_json`."""
    encoders: dict[str, Any] = {encoder.type: encoder for kind in KINDS.values() for encoder in kind.encoders}
    numbers = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in data.items()
        if name != "type"
    }
    made: Encoder = encoders[data["type"]](**numbers)
    return made


def _to_json(feature: Feature) -> dict[str, Any]:
    usual = {field.name: field.default for field in fields(Feature)}
    data = {name: value for name, value in vars(feature).items() if value != usual[name]}
    if feature.encoder is not None:
        data["encoder"] = encoder_to_json(feature.encoder)
    return data


def _from_json(data: Mapping[str, Any]) -> Feature:
    encoder = {"encoder": encoder_from_json(data["encoder"])} if "encoder" in data else {}
    return Feature(**{**data, **encoder})
