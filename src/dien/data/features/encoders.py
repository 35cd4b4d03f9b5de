"""How raw values become what a batch holds, when preparing and when serving alike."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.ragged import Column
from dien.data.spelling import spelling_of

MOST_BUCKETS = 2**31 - 2  # and "unknown": indices have 32 bits
_VECTORS_AT_ONCE = 1 << 14  # scaled in 64 bits: memory stays flat
_NO_NUMBER = "a number of its vector is missing or not finite; mend it"


class Encodes(Protocol):
    """A vocabulary or an encoder."""

    def encode(self, values: pl.Series) -> Column:
        """Encode raw values ``[N]``: int32 indices or float32 numbers."""

    def encode_values(self, values: Sequence[Any] | NDArray[Any]) -> Column:
        """Do the same for ``N`` Python values, without Polars: its threads are lost in a forked process."""


class Encoder(Encodes, Protocol):
    """What a feature without a vocabulary is encoded by: a frozen dataclass of numbers, for a JSON file.

    Attributes:
        type: its name in that file.
        size: number of indices, "unknown" included; of numbers, how many a row has.
    """

    type: ClassVar[str]

    @property
    def size(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Hashed:
    """Index of an unbounded id by its hash: no vocabulary, and ids that share a bucket share an embedding.

    Attributes:
        buckets: how many; indices run from 1 to this.
        respelt: whether values are hashed in their one spelling (:mod:`dien.data.spelling`); in folders of
            earlier versions they are not.
    """

    type: ClassVar[str] = "hashed"
    buckets: Annotated[int, msgspec.Meta(ge=1, le=MOST_BUCKETS)]
    respelt: bool = False

    @property
    def size(self) -> int:
        """Number of indices, "unknown" included."""
        return self.buckets + 1

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        """Hash a column ``[N]`` of strings: ``1 + CRC-32 of the UTF-8 bytes modulo buckets``; null is 0."""
        distinct = values.cast(pl.String).unique(maintain_order=True)
        hashed = [self._hash(value) for value in distinct.to_list()]
        known = pl.DataFrame({"value": distinct, "index": pl.Series(hashed, dtype=pl.Int32)})
        found = pl.DataFrame({"value": values.cast(pl.String)}).join(
            known, on="value", how="left", maintain_order="left", nulls_equal=True
        )
        indices: NDArray[np.int32] = found["index"].to_numpy()
        return indices

    def encode_values(self, values: Sequence[str | None] | NDArray[Any]) -> NDArray[np.int32]:
        """Hash ``N`` texts."""
        return np.array([self._hash(value) for value in values], np.int32)

    def _hash(self, value: str | None) -> int:
        if value is None:
            return 0
        spelt = spelling_of(value) if self.respelt else value
        return 1 + zlib.crc32(spelt.encode(errors="surrogatepass")) % self.buckets


@dataclass(frozen=True)
class Intervals:
    """Index of the interval a number lies in.

    Attributes:
        edges: rising; index ``k`` (from 1) is the interval from ``edges[k - 2]`` on, below ``edges[k - 1]``.
    """

    type: ClassVar[str] = "intervals"
    edges: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of indices, "unknown" included."""
        return len(self.edges) + 2

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        """Find the intervals of numbers ``[N]``; null and NaN are 0."""
        return self.encode_values(_numbers(values))

    def encode_values(self, values: Sequence[float | None] | NDArray[Any]) -> NDArray[np.int32]:
        """Find the intervals of ``N`` numbers; None is 0, too."""
        numbers = np.asarray(values, np.float64)
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

    type: ClassVar[str] = "scaled"
    mean: float
    std: Annotated[float, msgspec.Meta(gt=0)]
    log: bool = False

    @property
    def size(self) -> int:
        """One number a row."""
        return 1

    def encode(self, values: pl.Series) -> NDArray[np.float32]:
        """Scale numbers ``[N]``; what is missing stays missing (NaN)."""
        return self.encode_values(_numbers(values))

    def encode_values(self, values: Sequence[float | None] | NDArray[Any]) -> NDArray[np.float32]:
        """Scale ``N`` numbers; None is missing."""
        numbers = np.asarray(values, np.float64)  # None becomes NaN
        if self.log:
            numbers = signed_log(numbers)
        most = float(np.finfo(np.float32).max)
        return np.clip((numbers - self.mean) / self.std, -most, most).astype(np.float32)


class BadVectorError(ValueError):
    """A vector that is not what its encoder takes.

    Args:
        index: of it among the values, from 0; the message counts rows from 1.
        what: is wrong with it.
    """

    def __init__(self, index: int, what: str) -> None:
        super().__init__(f"row {index + 1}: {what}")
        self.index, self.what = index, what


@dataclass(frozen=True)
class ScaledVectors:
    """A vector as the model sees it: ``(x - mean) / norm``; one number for all keeps the angles between them.

    Attributes:
        mean: of each number of the training rows' vectors.
        norm: root mean square of what these vectors measure without their mean, above 0.
    """

    type: ClassVar[str] = "scaled-vectors"
    mean: Annotated[tuple[float, ...], msgspec.Meta(min_length=1)]
    norm: Annotated[float, msgspec.Meta(gt=0)]

    def __repr__(self) -> str:
        some = ", ".join(f"{number:.4g}" for number in self.mean[:3])
        more = ", ..." if self.size > 3 else ""
        return f"ScaledVectors({self.size} numbers of mean {some}{more}; norm {self.norm:.4g})"

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return len(self.mean)

    def encode(self, values: pl.Series) -> NDArray[np.float32]:
        """Scale lists of numbers ``[N]``, returning ``[N, size]``; a null is missing, a row of NaN.

        Raises:
            BadVectorError: a vector is of another length, or has a number that is missing or not finite.
        """
        lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
        known = lists.is_not_null()
        lengths = lists.list.len()
        if (wrong := (lengths != self.size).fill_null(False)).any():
            row = int(wrong.arg_max() or 0)
            raise self._of_another_length(row, lengths[row])
        numbers = lists.drop_nulls().explode().to_numpy().reshape(-1, self.size)
        found = np.full((len(lists), self.size), np.nan, np.float32)
        rows = known.arg_true().to_numpy()
        for start in range(0, len(rows), _VECTORS_AT_ONCE):
            some = slice(start, start + _VECTORS_AT_ONCE)
            if not (finite := np.isfinite(numbers[some]).all(1)).all():
                raise BadVectorError(int(rows[start + int(finite.argmin())]), _NO_NUMBER)
            found[rows[some]] = self._scaled(numbers[some])
        return found

    def encode_values(self, values: Sequence[Sequence[float] | None] | NDArray[Any]) -> NDArray[np.float32]:
        """Scale ``N`` vectors; None is missing.

        Raises:
            BadVectorError: a vector is of another length, or has a number that is missing or not finite.
        """
        found = np.full((len(values), self.size), np.nan, np.float32)
        for row, vector in enumerate(values):
            if vector is None:
                continue
            if len(vector) != self.size:
                raise self._of_another_length(row, len(vector))
            numbers = np.asarray(vector, np.float64)  # None becomes NaN
            if not np.isfinite(numbers).all():
                raise BadVectorError(row, _NO_NUMBER)
            found[row] = self._scaled(numbers)
        return found

    def _of_another_length(self, index: int, length: int) -> BadVectorError:
        return BadVectorError(index, f"a vector of {length} numbers; expected {self.size}")

    def _scaled(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Scale numbers ``[..., size]``, rounded first as those of tables are: requests give the same."""
        most = float(np.finfo(np.float32).max)
        rounded = np.clip(numbers, -most, most).astype(np.float32).astype(np.float64)
        scaled: NDArray[np.float64] = np.clip((rounded - self.mean) / self.norm, -most, most)
        return scaled.astype(np.float32)


def signed_log(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sign(x) log(1 + |x|)``: a logarithm that takes 0 and numbers below."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))


def _numbers(values: pl.Series) -> NDArray[np.float64]:
    return np.asarray(values.cast(pl.Float64).to_numpy(), np.float64)  # null becomes NaN
