"""From what a dataset stores of a behaviour feature back to raw values, which a store of behaviours keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.features import Feature
from dien.data.features.encoders import Intervals, Scaled, ScaledVectors
from dien.data.ragged import Column, Ragged
from dien.data.vocabulary import Ids, Vocabulary

Decode = Callable[[Column], list[Any]]
"""Gives the raw values ``[n]`` of a column; None where one is unknown."""


def decoder(feature: Feature, vocabularies: Mapping[str, Vocabulary]) -> Decode | None:
    """Make what finds the raw values of a feature again.

    Of intervals it is a number that lies in the interval, of a scaled number one that is the same in 32 bits.

    Args:
        feature: of a dataset or a run.
        vocabularies: of the same, which name what is stored.

    Returns:
        It; None where what is stored does not tell the value, as of a hash.
    """
    encoder = feature.encoder
    if encoder is None:
        return _of_vocabulary(vocabularies[feature.table or feature.name])
    if isinstance(encoder, Intervals):
        return _of_intervals(encoder)
    if isinstance(encoder, Scaled):
        return _of_numbers(encoder)
    if isinstance(encoder, ScaledVectors):
        return _of_vectors(encoder)
    return None


def _of_vocabulary(ids: Ids) -> Decode:
    def values(column: Column) -> list[Any]:
        if not isinstance(column, Ragged):
            return ids.decode(column.astype(np.int64)).to_list()
        flat = ids.decode(column.values).to_list()
        rows = zip(column.offsets[:-1].tolist(), column.offsets[1:].tolist(), strict=True)
        lists = ([value for value in flat[start:end] if value is not None] for start, end in rows)
        return [found or None for found in lists]

    return values


def _of_intervals(encoder: Intervals) -> Decode:
    below = float(np.nextafter(encoder.edges[0], -np.inf)) if encoder.edges else 0.0
    numbers = [None, below, *encoder.edges]

    def values(column: Column) -> list[Any]:
        assert isinstance(column, np.ndarray)
        return [numbers[index] for index in column.tolist()]

    return values


def _of_numbers(encoder: Scaled) -> Decode:
    def values(column: Column) -> list[Any]:
        assert isinstance(column, np.ndarray)
        scaled = column.astype(np.float64) * encoder.std + encoder.mean
        return _short(np.sign(scaled) * np.expm1(np.abs(scaled)) if encoder.log else scaled)

    return values


def _of_vectors(encoder: ScaledVectors) -> Decode:
    def values(column: Column) -> list[Any]:
        assert isinstance(column, np.ndarray)
        vectors = column.astype(np.float64) * encoder.norm + np.array(encoder.mean)  # [n, size]
        missing = np.isnan(vectors).any(1).tolist()
        return [None if none else _short(row) for row, none in zip(vectors, missing, strict=True)]

    return values


def _short(numbers: NDArray[np.float64]) -> list[float | None]:
    """Write numbers with the digits that 32 bits tell apart: as 12.5, not 12.500000476837158."""
    return [None if x != x else float(str(x)) for x in numbers.astype(np.float32)]
