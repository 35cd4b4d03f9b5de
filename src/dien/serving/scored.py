"""What a file of scores came to: how much was scored, and how much of it the run does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.features import Feature
from dien.data.ragged import Column, Ragged
from dien.serving.features import Described


@dataclass
class ScoredFile:
    """What scoring came to.

    Attributes:
        requests: how many; impressions of a split, or pairs.
        candidates: of all requests.
        unknown_candidates: candidates the run does not know.
        unknown_users: requests whose user the run does not know.
        behaviours: entries of all histories; of a split and of pairs, of those as the model reads them.
        unknown_behaviours: those whose item the run does not know.
        untimed_behaviours: those whose age is not known, where matches have one: the request gives not both
            ``times`` and ``time``.
        ageless_matches: candidates with a match whose age is not known, where matches have one.
        timeless_candidates: candidates of requests without a time, where the model reads popularity.
        late_candidates: candidates of requests more than a day later than the last behaviour that popularity
            is counted over.
        described_candidates: candidates of which the request gives a feature (docs/requests.md).
        described_users: users, likewise.
        missing_context: context features of the run that no request has: they counted as unknown.
        missing_behaviours: behaviour features, and ``times`` and ``time``, likewise.
        times: how times are written, and how many are so: ``seconds``, ``milliseconds``, ``text``, ...
        unknown_values: by feature, values that requests give and the run does not know, where there are any;
            those in lists, too.
        as_in_log: of pairs, what was read as in the log and not by the names of fields: a field and its
            column, or a key of the text (``encoding``, ...) and its value.
    """

    requests: int = 0
    candidates: int = 0
    unknown_candidates: int = 0
    unknown_users: int = 0
    behaviours: int = 0
    unknown_behaviours: int = 0
    untimed_behaviours: int = 0
    ageless_matches: int = 0
    timeless_candidates: int = 0
    late_candidates: int = 0
    described_candidates: int = 0
    described_users: int = 0
    missing_context: tuple[str, ...] = ()
    missing_behaviours: tuple[str, ...] = ()
    times: dict[str, int] = field(default_factory=dict)
    unknown_values: dict[str, int] = field(default_factory=dict)
    as_in_log: dict[str, str] = field(default_factory=dict)

    def add(self, other: ScoredFile) -> None:
        """Count what another part of the same came to."""
        for one in fields(self):
            own, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(own, int):
                setattr(self, one.name, own + theirs)
        _add(self.times, other.times)
        _add(self.unknown_values, other.unknown_values)

    def count_unknown(
        self, features: Mapping[str, Feature], given: Mapping[str, pl.Series], found: Mapping[str, Column]
    ) -> None:
        """Count the values that are given and not known; of numbers and hashes every value is.

        Args:
            features: of the run, by name.
            given: raw values by feature; null is not given.
            found: the same, encoded.
        """
        for name, values in given.items():
            if name not in features or features[name].vocabulary is None:
                continue
            column = found[name]
            if isinstance(column, Ragged):
                unknown = int(np.count_nonzero(column.values == 0))  # nulls have no entry
            else:
                unknown = int(np.count_nonzero((column == 0) & values.is_not_null().to_numpy()))
            if unknown:
                self.unknown_values[name] = self.unknown_values.get(name, 0) + unknown


@dataclass
class ChunkCounts:
    """What scoring a chunk came to, or several.

    Attributes:
        counts: of its requests, impressions or pairs.
        columns: fields that any of them has.
        late: by feature that changes over time, pairs that are later than the last change that is known.
    """

    counts: ScoredFile = field(default_factory=ScoredFile)
    columns: set[str] = field(default_factory=set)
    late: dict[str, int] = field(default_factory=dict)

    def add(self, other: ChunkCounts) -> None:
        """Count what another chunk came to."""
        self.counts.add(other.counts)
        self.columns |= other.columns
        _add(self.late, other.late)


def _add(counts: dict[str, int], others: Mapping[str, int]) -> None:
    counts |= {name: counts.get(name, 0) + count for name, count in others.items()}


def by_column(scores: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Name what ``Scorer.score_rows`` gives: ``scores``, and ``conversions`` where they are asked for."""
    return dict(zip(("scores", "conversions"), np.atleast_2d(scores), strict=False))


def described(features: Described) -> NDArray[np.bool_]:
    """Mark the candidates or users ``[n]`` of which any feature is given; empty without features."""
    marks = [known for _, known in features.values()]
    return np.any(marks, axis=0) if marks else np.zeros(0, bool)
