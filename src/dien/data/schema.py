"""What the columns of a dataset are: the features, whose they are, and how a model takes them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from dien.data.encoding import Encoder, encoder_from_json, encoder_to_json

Side = Literal["item", "behaviour", "user", "context"]
Kind = Literal["categorical", "multi", "numeric"]
Pooling = Literal["mean", "sum", "max"]

TIME_SINCE = "time_since"
"""The behaviour feature that is computed in every batch: seconds from the behaviour to the impression."""


TAKEN = ("ids", "popularity", "history", "candidates", "time", "times")
"""Names no feature may have: files of DATA, and fields of requests."""


def is_file_name(name: str) -> bool:
    """Whether a feature's name can be a file's, on every system."""
    return bool(name) and name[0] != "." and all(c not in '/\\:*?"<>|' and c.isprintable() for c in name)


@dataclass(frozen=True)
class Feature:
    """A feature.

    Attributes:
        name: its column, unique in the schema.
        side: whose it is: the item's (behaviour, negative and target alike), the behaviour's own (as the
            action or the dwell time; a target has none), the user's, or the context of the impression.
        size: number of indices, "unknown" (index 0) included; the height of its embedding table. 1 where it
            is numeric.
        kind: ``categorical`` (an index), ``multi`` (any number of indices, pooled) or ``numeric`` (a number,
            scaled already; NaN where it is missing).
        width: width of its embedding; None for the model's.
        pooling: how the embeddings of a multi-valued feature become one; zero where it has no values.
        table: the feature whose embedding table (and vocabulary) it shares; None where it has its own.
        encoder: makes raw values what is stored; None where its vocabulary (that of ``table``) does.
    """

    name: str
    side: Side
    size: int
    kind: Kind = "categorical"
    width: int | None = None
    pooling: Pooling = "mean"
    table: str | None = None
    encoder: Encoder | None = None

    @property
    def vocabulary(self) -> str | None:
        """Name of the vocabulary that encodes it, None where an encoder does."""
        return (self.table or self.name) if self.encoder is None else None


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


def _to_json(feature: Feature) -> dict[str, Any]:
    usual = {field.name: field.default for field in fields(Feature)}
    data = {name: value for name, value in vars(feature).items() if value != usual[name]}
    if feature.encoder is not None:
        data["encoder"] = encoder_to_json(feature.encoder)
    return data


def _from_json(data: Mapping[str, Any]) -> Feature:
    encoder = {"encoder": encoder_from_json(data["encoder"])} if "encoder" in data else {}
    return Feature(**{**data, **encoder})
