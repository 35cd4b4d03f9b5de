"""What the columns of a dataset are: the features, whose they are, and how many values each has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Side = Literal["item", "user", "context"]


@dataclass(frozen=True)
class Feature:
    """A categorical feature.

    Attributes:
        name: its column, unique in the schema.
        side: whose it is: the item's (behaviour, negative and target alike), the user's, or the context of
            the impression.
        size: number of indices, "unknown" (index 0) included; the height of its embedding table.
    """

    name: str
    side: Side
    size: int


@dataclass(frozen=True)
class Schema:
    """The features of a dataset, in the order in which their embeddings are concatenated.

    The first item feature is the item's own id, the first user feature the user's.
    """

    features: tuple[Feature, ...]

    def of(self, side: Side) -> tuple[Feature, ...]:
        """Features of one side, in order."""
        return tuple(feature for feature in self.features if feature.side == side)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {"features": [asdict(feature) for feature in self.features]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Inverse of :meth:`to_json`."""
        return cls(tuple(Feature(**feature) for feature in data["features"]))
