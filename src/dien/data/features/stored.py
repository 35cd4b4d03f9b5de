"""What must hold of features that are read from a file: names fit for files, tables and encoders that fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dien.data.features.definition import KINDS, Feature
from dien.data.features.encoders import Hashed, Intervals, Scaled, ScaledVectors
from dien.data.features.rules import TIME_SINCE, name_problem

_MOST = 2**31 - 1  # indices are int32
_SIDES = {"item": "item", "user": "user", TIME_SINCE: "behaviour"}


def check_stored(features: Sequence[Feature]) -> None:
    """Check the features of a dataset.

    Raises:
        ValueError: a feature cannot have its name, its size, its table or its encoder; the message names it
            by its place.
    """
    seen: dict[str, str] = {}
    by_name = {feature.name: feature for feature in features}
    for place, feature in enumerate(features):
        problem = (
            _name(feature, seen)
            or _changes(feature)
            or _size(feature)
            or _table(feature, by_name)
            or _encoder(feature)
            or _frozen(feature)
        )
        if problem:
            raise ValueError(f"features[{place}]: {feature.name!r}: {problem}")
        seen[feature.name.casefold()] = f"features[{place}]"


def _name(feature: Feature, seen: Mapping[str, str]) -> str | None:
    if (side := _SIDES.get(feature.name)) is None:
        return name_problem(feature.name, seen)
    if feature.side != side:
        return f"is a feature of the {feature.side}, expected one of the {side}"
    return f"{seen[feature.name]} has this name, too" if feature.name in seen else None


def _changes(feature: Feature) -> str | None:
    if feature.changes and (feature.side not in ("item", "user") or feature.name == feature.side):
        return "changes over time, which features of items and users alone can, but no id"
    return None


def _size(feature: Feature) -> str | None:
    return f"size {feature.size}, expected {_MOST} at most" if feature.size > _MOST else None


def _table(feature: Feature, by_name: Mapping[str, Feature]) -> str | None:
    if feature.table is None:
        return None
    owner = by_name.get(feature.table)
    if owner is None or owner.table is not None or owner is feature:
        return f"shares the table of {feature.table!r}, which has none of its own"
    if not (feature.stored.indexed and owner.stored.indexed):
        return f"shares the table of {feature.table!r}, though one of the two has no indices"
    if feature.size != owner.size or feature.encoder != owner.encoder:
        return f"shares the table of {feature.table!r}, which is of another size or encoder"
    return None


def _encoder(feature: Feature) -> str | None:
    encoder, indexed = feature.encoder, feature.stored.indexed
    if encoder is None:
        return None if indexed else f"is {feature.kind} and has no encoder"
    if indexed:
        known = any(type(encoder) in kind.encoders for kind in KINDS.values())
        wrong = not known or isinstance(encoder, Scaled | ScaledVectors)
    else:
        wrong = type(encoder) not in feature.stored.encoders or isinstance(encoder, Hashed | Intervals)
    if wrong:
        return f"is {feature.kind}, which has no encoder of type {encoder.type}"
    if encoder.size != feature.size:
        return f"size {feature.size}, that of its encoder is {encoder.size}"
    if isinstance(encoder, Intervals) and list(encoder.edges) != sorted(set(encoder.edges)):
        return "the edges of its encoder do not rise"
    if isinstance(encoder, ScaledVectors) and not all(map(math.isfinite, (*encoder.mean, encoder.norm))):
        return "a number of its encoder is not finite"
    return None


def _frozen(feature: Feature) -> str | None:
    if not feature.frozen:
        return None
    if not feature.stored.vectors:
        return f"is {feature.kind} and frozen, which vectors alone can be"
    return None if feature.width == feature.size else f"is frozen, its width is that of its {feature.size}"
