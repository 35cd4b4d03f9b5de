"""A number a row, as a price or an age: scaled, or the index of the interval it lies in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from dien.data.features.categorical import Categorical
from dien.data.features.definition import Definition, Feature, MapFile, Side, register
from dien.data.features.encoders import Encoder, Encodes, Intervals, Scaled, signed_log
from dien.data.ragged import Column
from dien.data.readers.values import numbers


@register
class Numeric(Definition):
    """A number a row, stored scaled (``[n]`` float32, NaN where missing) or, cut into intervals, as an index.

    Attributes:
        scale: ``standard`` (mean 0, standard deviation 1), or ``log`` (that after a logarithm).
        quantiles: index of one of so many intervals that hold equally many training values, instead of the
            number itself.
        edges: index of one of the intervals between these.
    """

    scale: Literal["standard", "log"] = "standard"
    quantiles: Annotated[int, Field(ge=2, le=10_000)] | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=1)] | None = None

    kind: ClassVar[str] = "numeric"
    dtype: ClassVar[pl.DataType] = pl.Float64()
    encoders: ClassVar[tuple[type[Encoder], ...]] = (Scaled, Intervals)

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if edges is not None:
            rising = all(low < high for low, high in pairwise(edges))
            if not rising or not all(math.isfinite(edge) for edge in edges):
                raise ValueError("expected finite numbers that rise, as [10, 100, 1000]")
        return edges

    @model_validator(mode="after")
    def _one_way_of_cutting(self) -> Numeric:
        if self.quantiles and self.edges:
            raise ValueError("quantiles and edges exclude each other; give one of them")
        return self

    def parse(self, values: pl.Series, precision: pl.DataType) -> pl.Series:
        """Read numbers, or text that is: floats of this precision."""
        return numbers(values, precision)

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Whether a column is of floats."""
        return dtype.is_float()

    def fit(self, values: pl.Series, counts: NDArray[np.integer]) -> Encoder:
        """Find mean and standard deviation, or the intervals, of the numbers that count."""
        if self.edges is not None:
            return Intervals(self.edges)
        numbers = values.cast(pl.Float64).to_numpy()
        seen = (counts > 0) & np.isfinite(numbers)
        numbers, weights = numbers[seen], counts[seen].astype(np.float64)
        if self.quantiles is not None:
            return Intervals(_quantiles(numbers, weights, self.quantiles))
        if self.scale == "log":
            numbers = signed_log(numbers)
        if not len(numbers):
            return Scaled(0.0, 1.0, self.scale == "log")
        mean = float(np.average(numbers, weights=weights))
        return Scaled(mean, _spread(numbers - mean, weights) or 1.0, self.scale == "log")

    def feature(self, name: str, side: Side, size: int, encoder: Encoder | None) -> Feature:
        """Say what preparation made of it: cut into intervals, it is stored as an index."""
        made = super().feature(name, side, size, encoder)
        return replace(made, kind=Categorical.kind) if isinstance(encoder, Intervals) else made

    @classmethod
    def encode_values(cls, encoder: Encodes, values: Sequence[Any] | NDArray[Any]) -> Column:
        """Encode numbers; None is missing."""
        return encoder.encode_values(values)

    @classmethod
    def open(cls, file: MapFile, rows: int, size: int) -> Column:
        """Map the numbers ``[rows]``."""
        return file("", np.float32, rows)

    @classmethod
    def fits(cls, column: Column, size: int) -> bool:
        """Whether no number is infinite."""
        assert isinstance(column, np.ndarray)
        return not bool(np.isinf(column).any())

    @classmethod
    def known(cls, column: Column) -> NDArray[np.bool_]:
        """Mark the rows whose number is not missing."""
        assert isinstance(column, np.ndarray)
        return ~np.isnan(column)

    @classmethod
    def moments(cls, column: Column, weight: NDArray[np.int64]) -> tuple[float, float]:
        """Sum up the known numbers, and their squares."""
        assert isinstance(column, np.ndarray)
        known = cls.known(column)
        numbers, times = column[known].astype(np.float64), weight[known].astype(np.float64)
        return float(times @ numbers), float(times @ numbers**2)


def _spread(centred: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Give the standard deviation of numbers of mean 0, also where no float holds their squares."""
    std = float(np.sqrt(np.average(centred**2, weights=weights)))
    most = float(np.abs(centred).max())
    if most and not 1e-140 < std < 1e140:
        std = most * float(np.sqrt(np.average((centred / most) ** 2, weights=weights)))
    return std


def _quantiles(
    numbers: NDArray[np.float64], weights: NDArray[np.float64], intervals: int
) -> tuple[float, ...]:
    """Edges between so many intervals of equal weight; fewer where numbers repeat."""
    if not len(numbers):
        return ()
    order = np.argsort(numbers, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    places = np.searchsorted(share, np.arange(1, intervals) / intervals, side="right")
    edges = np.unique(numbers[order][np.minimum(places, len(numbers) - 1)])
    return tuple(float(edge) for edge in edges if edge > numbers.min())
