"""What every source hands to a recipe: events, items and users as tables of raw ids, and their origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import polars as pl


class SourceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that was read.

    Attributes:
        name: its name, without the folder it lay in.
        sha256: of its bytes as they lie on disk, compressed or not.
        size: bytes.
    """

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class FeatureRule:
    """How a feature's raw values are encoded and embedded.

    Attributes:
        side: of a column of the events: of the impression, or of the behaviour that a click becomes.
        min_count: a value that occurs less often among the training rows is unknown.
        max_size: at most so many values, the most frequent; the others are unknown.
        rare_share: share of the values that occur once which are unknown, so that "unknown" is trained.
        buckets: hash into so many buckets instead of counting a vocabulary.
        scale: of numbers: ``standard`` (mean 0, standard deviation 1), or ``log`` (that after a logarithm).
        quantiles: of numbers: index of one of so many intervals that hold equally many training values,
            instead of the number itself.
        edges: of numbers: index of one of the intervals between these.
        width: width of the embedding; None for the model's.
        pooling: of lists.
        table: the feature whose vocabulary and embedding table it shares.
    """

    side: Literal["context", "behaviour"] = "context"
    min_count: int = 1
    max_size: int | None = None
    rare_share: float = 0.0
    buckets: int | None = None
    scale: Literal["standard", "log"] = "standard"
    quantiles: int | None = None
    edges: tuple[float, ...] | None = None
    width: int | None = None
    pooling: Literal["mean", "sum", "max"] = "mean"
    table: str | None = None


@dataclass(frozen=True)
class Log:
    """A click log with raw ids, before any recipe.

    A feature is categorical where its column holds strings (or categories), multi-valued where it holds lists
    of strings, and numeric where it holds floats; null is unknown.

    Attributes:
        events: in the order of the source. Columns ``user`` and ``item`` (String, or Int32: the row of the
            tables below, from 1), ``time`` (Int64, seconds since 1970), and a column for each feature of the
            context or of behaviours. Where the log has them: ``label`` (Int8, 1 clicked, 0 shown and not
            clicked), ``impression`` (integers, equal for what was shown together) and ``split`` (Int8,
            0 train, 1 valid, 2 test, 3 none).
        items: column ``item`` (String, unique) and a column for each item feature. Every item of ``events``
            has a row.
        users: column ``user`` (String, unique) and a column for each user feature. Every user of ``events``
            has a row.
        sources: the files that were read.
        excluded: what was left out, and how often, for the report.
        features: rules of features by name, ``item`` and ``user`` (their ids) among them; the others have the
            usual one. A rule named ``time_since`` (edges in seconds) asks for that behaviour feature, which
            has no column.
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    sources: tuple[SourceFile, ...]
    excluded: dict[str, int] = field(default_factory=dict)
    features: Mapping[str, FeatureRule] = field(default_factory=dict)
