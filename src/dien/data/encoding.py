"""How raw values become what a batch holds, when preparing and when serving alike."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.ragged import Column, Ragged, to_offsets
from dien.data.vocabulary import Ids


@dataclass(frozen=True)
class Hashed:
    """Index of an unbounded id by its hash: no vocabulary, and ids that share a bucket share an embedding.

    Attributes:
        buckets: how many; indices run from 1 to this.
    """

    buckets: int

    @property
    def size(self) -> int:
        """Number of indices, "unknown" included."""
        return self.buckets + 1

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        """Hash a column ``[N]`` of strings: ``1 + CRC-32 of the UTF-8 bytes modulo buckets``; null is 0."""
        distinct = values.cast(pl.String).unique(maintain_order=True)
        hashed = [
            0 if value is None else 1 + zlib.crc32(value.encode()) % self.buckets
            for value in distinct.to_list()
        ]
        known = pl.DataFrame({"value": distinct, "index": pl.Series(hashed, dtype=pl.Int32)})
        found = pl.DataFrame({"value": values.cast(pl.String)}).join(
            known, on="value", how="left", maintain_order="left", nulls_equal=True
        )
        indices: NDArray[np.int32] = found["index"].to_numpy()
        return indices


@dataclass(frozen=True)
class Intervals:
    """Index of the interval a number lies in.

    Attributes:
        edges: rising; index ``k`` (from 1) is the interval from ``edges[k - 2]`` on, below ``edges[k - 1]``.
    """

    edges: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of indices, "unknown" included."""
        return len(self.edges) + 2

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        """Find the intervals of numbers ``[N]``; null and NaN are 0."""
        numbers = _numbers(values)
        found = 1 + np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), 0, found).astype(np.int32)


@dataclass(frozen=True)
class Scaled:
    """A number as the model sees it: ``(x - mean) / std``, after ``sign(x) log(1 + |x|)`` where ``log``.

    Attributes:
        mean: of the training values, after the logarithm if there is one.
        std: likewise, above 0.
        log: whether the logarithm is taken first.
    """

    mean: float
    std: float
    log: bool = False

    size = 1

    def encode(self, values: pl.Series) -> NDArray[np.float32]:
        """Scale numbers ``[N]``; what is missing stays missing (NaN)."""
        numbers = _numbers(values)
        if self.log:
            numbers = signed_log(numbers)
        most = float(np.finfo(np.float32).max)
        return np.clip((numbers - self.mean) / self.std, -most, most).astype(np.float32)


Encoder = Hashed | Intervals | Scaled
_ENCODERS: dict[str, type[Encoder]] = {"hashed": Hashed, "intervals": Intervals, "scaled": Scaled}


def encoder_to_json(encoder: Encoder) -> dict[str, Any]:
    """Plain data: the kind of the encoder and its numbers."""
    name = next(name for name, kind in _ENCODERS.items() if isinstance(encoder, kind))
    return {"type": name, **asdict(encoder)}


def encoder_from_json(data: Mapping[str, Any]) -> Encoder:
    """Inverse of :func:`encoder_to_json`."""
    numbers: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in data.items()
        if name != "type"
    }
    return _ENCODERS[data["type"]](**numbers)


def encode(encoder: Encoder | Ids, values: pl.Series) -> Column:
    """Encode a column of any kind of feature.

    Args:
        encoder: the feature's, or its vocabulary.
        values: ``[n]`` raw values: strings or categories, numbers, or lists of strings (multi-valued).

    Returns:
        ``[n]`` int32 indices or float32 numbers; for lists the indices of their values, nulls left out.
    """
    if not isinstance(values.dtype, pl.List):
        return encoder.encode(values)
    flat, lengths = flatten(values)
    return Ragged(encoder.encode(flat).astype(np.int32, copy=False), to_offsets(lengths))


def flatten(lists: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Join the lists of a column ``[n]``, nulls left out: their values, and how many each row has."""
    lists = lists.list.drop_nulls()
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    # explode would put a null in place of an empty list
    return lists.filter(pl.Series(lengths > 0)).explode(), lengths


def signed_log(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sign(x) log(1 + |x|)``: a logarithm that takes 0 and numbers below."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))


def _numbers(values: pl.Series) -> NDArray[np.float64]:
    return np.asarray(values.cast(pl.Float64).fill_null(float("nan")).to_numpy())
