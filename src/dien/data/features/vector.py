"""A vector a row that was made elsewhere, as of an item's text or image: stored scaled, and never trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import model_validator

from dien.data.features.definition import Definition, Feature, MapFile, Side, Text, register
from dien.data.features.encoders import Encoder, Encodes, ScaledVectors
from dien.data.ragged import Column, row_of
from dien.data.readers.literals import in_brackets
from dien.data.readers.messages import BadValueError, refuse, refuse_type, shown
from dien.data.readers.values import LARGEST, cast

_LISTS = pl.List(pl.Float32())
_AT_ONCE = 1 << 14  # vectors that are widened to 64 bits
_EXPECTED = "a list of finite numbers, or null where it is unknown; mend it"


@register
class Vector(Definition):
    """As many numbers for each row, stored scaled: ``[n, size]`` float32, all NaN where a row has none.

    A model reads them through a learned linear map to ``width`` numbers.

    Attributes:
        file: of items or users: a file of ids and vectors, in place of a column of their table.
        ids: the ids of a ``.npy`` file.
        frozen: enter a model as they are, without a map: nothing is learned but what stands for a missing
            one.
    """

    file: Text | None = None
    ids: Text | None = None
    frozen: bool = False

    kind: ClassVar[str] = "vector"
    dtype: ClassVar[pl.DataType] = _LISTS
    one_value: ClassVar[bool] = False
    vectors: ClassVar[bool] = True
    encoders: ClassVar[tuple[type[Encoder], ...]] = (ScaledVectors,)

    @model_validator(mode="after")
    def _of_its_own_width(self) -> Vector:
        if self.frozen and self.width is not None:
            raise ValueError("a frozen vector is as wide as it is; leave width or frozen out")
        return self

    @model_validator(mode="after")
    def _of_a_file(self) -> Vector:
        if self.file is None:
            if self.ids is not None:
                raise ValueError("ids are those of a .npy file; name it as file, or leave ids out")
            return self
        if self.side not in ("item", "user", None):
            raise ValueError(f"file: is for vectors of items and users, not of the {self.side}")
        if self.column is not None or self.from_ is not None:
            raise ValueError("file and column (or from) each say where the vectors are; keep one")
        suffix = Path(self.file).suffix
        if suffix not in (".parquet", ".npy"):
            raise ValueError(f"file is {self.file!r}, expected a name ending in .parquet or .npy")
        if (suffix == ".npy") != (self.ids is not None):
            raise ValueError(
                "a .npy file holds no ids; name the file that does as ids"
                if self.ids is None
                else "a Parquet file holds the ids itself; leave ids out"
            )
        return self

    def parse(self, values: pl.Series, precision: pl.DataType) -> pl.Series:
        """Read lists of numbers, or text as ``[0.5, -1]``: lists of Float32, all of one length.

        Floats are of 32 bits whatever the precision is: vectors are wide.
        """
        return _parsed(values, None)

    def parser(self, precision: pl.DataType) -> Callable[[pl.Series], pl.Series]:
        """Make what reads a column part by part; the first vector says how long all are."""
        length: int | None = None

        def parse(values: pl.Series) -> pl.Series:
            nonlocal length
            found = _parsed(values, length)
            if length is None and (first := found.drop_nulls().head(1)).len():
                length = len(first[0])
            return found

        return parse

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Whether a column is of lists of floats."""
        return isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_float()

    def fit(self, values: pl.Series, counts: NDArray[np.integer]) -> Encoder:
        """Find the mean and the length, without it, of the vectors that count."""
        if isinstance(values.dtype, pl.Array):
            values = values.arr.to_list()
        lengths = values.list.len()
        known = lengths.drop_nulls()
        size = max(int(known[0]), 1) if len(known) else 1
        seen = (lengths == size).fill_null(False).to_numpy() & (counts > 0)  # others are refused later
        weights = counts[seen].astype(np.float64)
        if not len(weights):
            return ScaledVectors((0.0,) * size, 1.0)
        vectors = values.filter(pl.Series(seen)).explode().to_numpy().reshape(-1, size)
        parts = [slice(start, start + _AT_ONCE) for start in range(0, len(vectors), _AT_ONCE)]
        mean = sum(weights[one] @ vectors[one].astype(np.float64) for one in parts) / weights.sum()
        squares = sum(weights[one] @ ((vectors[one] - mean) ** 2).sum(1) for one in parts)
        norm = float(np.sqrt(squares / weights.sum()))
        if not np.isfinite(norm):  # a number is not finite, which is refused later
            return ScaledVectors((0.0,) * size, 1.0)
        return ScaledVectors(tuple(mean.tolist()), norm or 1.0)

    def feature(self, name: str, side: Side, size: int, encoder: Encoder | None) -> Feature:
        """Say what preparation made of it."""
        made = super().feature(name, side, size, encoder)
        return replace(made, frozen=True, width=size) if self.frozen else made

    @classmethod
    def encode_values(cls, encoder: Encodes, values: Sequence[Any] | NDArray[Any]) -> Column:
        """Encode lists of numbers; None is missing."""
        return encoder.encode_values(values)

    @classmethod
    def open(cls, file: MapFile, rows: int, size: int) -> Column:
        """Map the numbers ``[rows, size]``."""
        return file("", np.float32, rows, size)

    @classmethod
    def fits(cls, column: Column, size: int) -> bool:
        """Whether no number is infinite, and a row is missing as a whole or not at all."""
        assert isinstance(column, np.ndarray)
        for start in range(0, len(column), _AT_ONCE):
            part = column[start : start + _AT_ONCE]
            missing = np.isnan(part)
            if np.isinf(part).any() or (missing != missing[:, :1]).any():
                return False
        return True

    @classmethod
    def known(cls, column: Column) -> NDArray[np.bool_]:
        """Mark the rows whose vector is not missing."""
        assert isinstance(column, np.ndarray)
        return ~np.isnan(column[:, 0])


def expect_vectors(values: pl.Series, length: int | None) -> None:
    """Refuse lists of numbers ``[n]`` of which one has another length than the others, or an odd number.

    Args:
        values: List of floats; null is missing.
        length: of all; None for that of the first one.

    Raises:
        BadValueError: naming the first that is not what it must be.
    """
    lengths = values.list.len()
    if not len(known := lengths.drop_nulls()):
        return
    told = length is not None
    length = int(known[0]) if length is None else length
    wrong = ((lengths != length) | (lengths == 0)).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        others = "" if told else ", as the first one has"
        expected = f"{length} numbers{others}" if length else "numbers"
        raise BadValueError(
            row, f"a vector of {lengths[row]} numbers", f"{expected}, or null where it is unknown; mend it"
        )
    numbers = values.drop_nulls().explode()
    odd = ~(numbers.is_finite() & (numbers.abs() <= LARGEST)).fill_null(False)
    if odd.any():
        at = int(odd.arg_max() or 0)
        row = int(row_of(lengths.fill_null(0).to_numpy())[at])
        raise BadValueError(row, f"{shown(numbers[at])} as number {at % length + 1} of a vector", _EXPECTED)


def _parsed(values: pl.Series, length: int | None) -> pl.Series:
    """Read vectors of a length, that of the first one where it is None."""
    dtype = values.dtype
    if dtype == pl.Null:
        return cast(values, _LISTS)
    if isinstance(dtype, pl.Array):
        values = values.arr.to_list()
    elif isinstance(dtype, pl.String):
        values = _from_text(values)
    elif not isinstance(dtype, pl.List):
        _refuse_column(values)
    inner = values.dtype.inner  # type: ignore[attr-defined]
    if not (inner.is_numeric() or inner == pl.Null):
        _refuse_column(values)
    lists = cast(values, pl.List(pl.Float64()))
    expect_vectors(lists, length)
    return cast(lists, _LISTS)


def _from_text(values: pl.Series) -> pl.Series:
    """Read text as ``[0.5, -1]``; an empty cell is null."""
    text = values.str.strip_chars()
    text = text.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series()
    refuse(values, text.is_not_null() & ~in_brackets(text), f"{_EXPECTED}; write it as [0.5, -1]")
    numbers = text.str.slice(1, None).str.strip_suffix("]").str.split(",")
    found: pl.Series = numbers.list.eval(pl.element().str.strip_chars().cast(pl.Float64, strict=False))
    return found


def _refuse_column(values: pl.Series) -> NoReturn:
    refuse_type(values, "lists of numbers, all of one length; convert it or change kind")
