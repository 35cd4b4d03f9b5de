"""Any number of values a row, as the tags of an item: a list of indices, whose embeddings are pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.features.definition import Feature, MapFile, Pooling, Side, Text, register
from dien.data.features.encoders import Encoder, Encodes
from dien.data.features.indices import Indices, within
from dien.data.ragged import Column, Ragged, row_of, to_offsets
from dien.data.readers.literals import with_literals
from dien.data.readers.messages import refuse_type
from dien.data.readers.values import WHOLE, evaluated, text


@register
class Multi(Indices):
    """Any number of values a row, stored as the indices of all rows and the offsets of each row's.

    Attributes:
        separator: between the values, where they are read from text.
        pooling: how the embeddings of a row's values become one.
    """

    separator: Text = "|"
    pooling: Pooling = "mean"

    kind: ClassVar[str] = "multi"
    dtype: ClassVar[pl.DataType] = pl.List(pl.String())
    one_value: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = ("", ".offsets")

    def parse(self, values: pl.Series, precision: pl.DataType) -> pl.Series:
        """Read lists, text with a separator between values, or text as ``[4, 0]``: lists of String.

        Whole numbers are lists of one, as they are where they stand in text.
        """
        expected = (
            f"a list of text, or text with {self.separator!r} between values, or as ['a', 'b']; convert it "
            "or change kind"
        )
        dtype = values.dtype
        if isinstance(dtype, pl.Array):
            values = values.arr.to_list()
        if isinstance(values.dtype, pl.List):
            inner = values.dtype.inner
            if inner.is_float():
                values, inner = _whole(values, expected), pl.Int64()
            if not (inner.is_integer() or isinstance(inner, pl.String | pl.Categorical | pl.Enum | pl.Null)):
                refuse_type(values, expected)
            lists = values.cast(pl.List(pl.String))
        else:
            written = text(values, expected)
            lists = with_literals(written, written.str.split(self.separator), expected)
        known = lists.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != "")))
        return evaluated(pl.when(known.list.len() > 0).then(known))

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Whether a column is of lists; those of floats are vectors."""
        return isinstance(dtype, pl.List) and not dtype.inner.is_float()

    def feature(self, name: str, side: Side, size: int, encoder: Encoder | None) -> Feature:
        """Say what preparation made of it."""
        return replace(super().feature(name, side, size, encoder), pooling=self.pooling)

    def entries(
        self, values: pl.Series, counts: NDArray[np.integer]
    ) -> tuple[pl.Series, NDArray[np.integer]]:
        """List the values of all lists; each counts as often as its row."""
        flat, lengths = flatten(values)
        return flat, np.repeat(counts, lengths)

    @classmethod
    def encode(cls, encoder: Encodes, values: pl.Series) -> Column:
        """Encode lists; nulls in them are left out."""
        flat, lengths = flatten(values)
        indices = encoder.encode(flat)
        assert isinstance(indices, np.ndarray)
        return Ragged(indices.astype(np.int32, copy=False), to_offsets(lengths))

    @classmethod
    def encode_values(cls, encoder: Encodes, values: Sequence[Any] | NDArray[Any]) -> Column:
        """Encode lists of text; None in them, or in place of one, is left out."""
        lists = [[value for value in one or () if value is not None] for one in values]
        indices = encoder.encode_values(list(chain.from_iterable(lists)))
        assert isinstance(indices, np.ndarray)
        lengths = np.array([len(one) for one in lists], np.int64)
        return Ragged(indices.astype(np.int32, copy=False), to_offsets(lengths))

    @classmethod
    def open(cls, file: MapFile, rows: int, size: int) -> Column:
        """Map the offsets ``[rows + 1]`` and the indices that they point into."""
        offsets = file(".offsets", np.int64, rows + 1)
        return Ragged(file("", np.int32, int(offsets[-1])), offsets)

    @classmethod
    def fits(cls, column: Column, size: int) -> bool:
        """Whether the offsets rise from 0 and every index is of its table."""
        assert isinstance(column, Ragged)
        offsets = column.offsets
        rising = bool((offsets[:-1] <= offsets[1:]).all())
        return bool(offsets[0] == 0) and rising and within(column.values, size)

    @classmethod
    def known(cls, column: Column) -> NDArray[np.bool_]:
        """Mark the rows that have an index other than 0."""
        assert isinstance(column, Ragged)
        row = row_of(np.diff(column.offsets))
        return np.bincount(row, column.values > 0, minlength=len(column)) > 0

    @classmethod
    def indices(
        cls, column: Column, weight: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """List the indices of all rows; each counts as often as its row."""
        assert isinstance(column, Ragged)
        return column.values, np.repeat(weight, np.diff(column.offsets))


def _whole(lists: pl.Series, expected: str) -> pl.Series:
    """Make lists of floats that are whole numbers, or NaN for none, lists of integers."""
    fraction = (pl.element() != pl.element().floor()) | (pl.element().abs() >= WHOLE)
    bad = lists.list.eval(fraction & pl.element().is_not_nan()).list.any().fill_null(False)
    if bad.any():
        refuse_type(lists, expected, bad)
    return lists.list.eval(pl.element().fill_nan(None).cast(pl.Int64))


def flatten(lists: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Join the lists of a column ``[n]``, nulls left out: their values, and how many each row has."""
    lists = lists.list.drop_nulls()
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    # explode would put a null in place of an empty list
    return lists.filter(pl.Series(lengths > 0)).explode(), lengths
