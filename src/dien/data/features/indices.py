"""What features of ids have in common: a vocabulary that the training rows are counted in, or hashes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from dien.data.features.definition import Definition, Feature, Side
from dien.data.features.encoders import MOST_BUCKETS, Encoder, Encodes, Hashed
from dien.data.ragged import Column
from dien.data.vocabulary import Vocabulary

_ENTRIES_AT_ONCE = 1 << 22
_Count = Annotated[int, Field(gt=0, lt=2**31)]

RARE_SHARE = 0.1
"""Of ids, where a schema of tables does not say it: so that "unknown" is trained."""


class Indices(Definition):
    """A feature that is stored as indices: of a vocabulary, or of buckets.

    Attributes:
        min_count: a value that occurs less often among the training rows is unknown.
        max_size: at most so many values, the most frequent; the others are unknown.
        rare_share: share of the values that occur once which are unknown, so that "unknown" is trained.
        buckets: hash into so many buckets instead of counting a vocabulary.
        shares: the feature whose vocabulary and embedding table it shares.
    """

    min_count: _Count = 1
    max_size: _Count | None = None
    rare_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    buckets: Annotated[int, Field(gt=0, le=MOST_BUCKETS)] | None = None
    shares: str | None = None

    indexed: ClassVar[bool] = True
    encoders: ClassVar[tuple[type[Encoder], ...]] = (Hashed,)

    def vocabulary(self, name: str) -> str | None:
        """Name the vocabulary that the feature ``name`` is counted in; None where it is hashed."""
        return None if self.buckets else self.shares or name

    def fit(self, values: pl.Series, counts: NDArray[np.integer]) -> Encoder | None:
        """Hash, where it has buckets."""
        return Hashed(self.buckets, respelt=True) if self.buckets else None

    def feature(self, name: str, side: Side, size: int, encoder: Encoder | None) -> Feature:
        """Say what preparation made of it."""
        return replace(super().feature(name, side, size, encoder), table=self.shares)

    @classmethod
    def encode_values(cls, encoder: Encodes, values: Sequence[Any] | NDArray[Any]) -> Column:
        """Encode texts, or numbers that lie in intervals; None is unknown."""
        return encoder.encode_values(values)

    def entries(
        self, values: pl.Series, counts: NDArray[np.integer]
    ) -> tuple[pl.Series, NDArray[np.integer]]:
        """List the values ``[V]`` of a raw column ``[n]``, and how often each counts."""
        return values, counts

    def count(self, entries: Sequence[tuple[pl.Series, NDArray[np.integer]]]) -> tuple[Vocabulary, pl.Series]:
        """Count the entries of all features that share its vocabulary; what is rare it makes unknown.

        Returns:
            The vocabulary, and the values that are unknown by ``rare_share`` alone.
        """
        values: list[pl.Series] = []
        counts: list[NDArray[np.int64]] = []
        for column, occurrences in entries:
            if column.dtype == pl.Categorical:
                names = column.unique().drop_nulls()  # few: they are counted by their codes
                codes = column.to_physical()
                unknown = int(codes.max() or 0) + 1  # type: ignore[arg-type]
                of_code = np.zeros(unknown + 1, np.int64)
                for start in range(0, len(codes), _ENTRIES_AT_ONCE):  # bincount widens what it is given
                    part = slice(start, start + _ENTRIES_AT_ONCE)
                    codes_of_part = codes[part].fill_null(unknown).to_numpy()
                    of_code += np.bincount(codes_of_part, occurrences[part], unknown + 1).astype(np.int64)
                values += [names.cast(pl.String), pl.Series([None], dtype=pl.String)]
                counts.append(of_code[[*names.to_physical(), unknown]])
            else:
                values.append(column.cast(pl.String))
                counts.append(occurrences.astype(np.int64))
        vocabulary = Vocabulary.count(
            pl.concat([v.rename("value") for v in values], rechunk=True), np.concatenate(counts)
        )
        return self._trimmed(vocabulary)

    def _trimmed(self, vocabulary: Vocabulary) -> tuple[Vocabulary, pl.Series]:
        """Make rare values unknown; what they counted, unknown counts."""
        counts = vocabulary.counts
        kept = counts >= self.min_count
        if self.max_size is not None:
            kept[self.max_size + 1 :] = False
        kept[0] = True
        rare = np.zeros(len(kept), bool)
        if self.rare_share > 0:
            once = (kept & (counts == 1)).nonzero()[0]
            once = once[once > 0]
            draws = np.array(
                [zlib.crc32(value.encode()) for value in vocabulary.values.gather(once)], np.int64
            )
            rare[once[draws % 10_000 < self.rare_share * 10_000]] = True
            kept &= ~rare
        if kept.all():
            return vocabulary, vocabulary.values.clear()
        left = counts[kept].copy()
        left[0] += counts[~kept].sum()
        trimmed = Vocabulary(vocabulary.values.filter(pl.Series(kept)), left)
        return trimmed, vocabulary.values.filter(pl.Series(rare))


def within(indices: Column, size: int) -> bool:
    """Whether indices ``[V]`` are all of a table of this size."""
    assert isinstance(indices, np.ndarray)
    indices = indices.astype(np.int32, copy=False)
    return not len(indices) or bool(indices.min() >= 0 and indices.max() < size)
