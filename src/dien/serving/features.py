"""The fields of a request: what each may hold, and how it becomes what a model reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.features import TIME_SINCE, Feature
from dien.data.ragged import Column, row_of
from dien.data.tables import FeatureTable
from dien.data.vocabulary import Ids
from dien.run import Run

Leaf = Literal["id", "number", "time"]
_LEAVES: dict[Leaf, tuple[type[pl.DataType], str]] = {
    "id": (pl.String, "strings or integers"),
    "number": (pl.Float64, "finite numbers"),
    "time": (pl.Int64, "integers, seconds since 1970"),
}
_FEW = 256  # ids that a dictionary finds sooner than a join with the vocabulary does


@dataclass(frozen=True)
class Field:
    """A field of a request.

    Attributes:
        name: of the field.
        leaf: what it holds, or its lists do.
        depth: 0 for a value, 1 for a list, 2 for a list of lists.
        required: whether every request has it; in lists, without any null.
        of_history: whether it is a list with an entry for each item of the history.
    """

    name: str
    leaf: Leaf = "id"
    depth: int = 0
    required: bool = False
    of_history: bool = False

    @property
    def dtype(self) -> pl.DataType:
        """How Polars holds it."""
        dtype = _LEAVES[self.leaf][0]()
        for _ in range(self.depth):
            dtype = pl.List(dtype)
        return dtype

    @property
    def expected(self) -> str:
        """What it must be, for people."""
        return ("", "a list of ", "a list of lists of ")[self.depth] + _LEAVES[self.leaf][1]

    @property
    def nullable(self) -> bool:
        """Whether it may be null, for what is unknown."""
        return not (self.required and self.depth)

    @property
    def entry(self) -> Field:
        """An entry of the list that it is."""
        return replace(self, depth=self.depth - 1)

    def column(self, values: Sequence[Any]) -> pl.Series:
        """Make a column of values given in Python, each one such field.

        Raises:
            ValueError: a value is not what is expected.
        """
        for value in values:
            if not _fits(value, self.leaf, self.depth):
                raise ValueError(f"{self.name}: {value!r}, expected {self.expected}")
        return pl.Series(self.name, [plain(value, self.leaf, self.depth) for value in values], self.dtype)


TIMES = Field("times", "time", 1, of_history=True)
TIME = Field("time", "time")


class RequestFields:
    """The fields of the requests of a run, and the encoding of its features.

    Args:
        run: whose requests.

    Attributes:
        context: a field for each feature of the context.
        behaviours: a field for each feature that the entries of a history bring along.
        times: ``times`` of the history and ``time`` of the request, where the run has ``time_since``.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._features = {f.name: f for f in run.schema.of("context", "behaviour")}
        self.context = tuple(_field(f) for f in run.schema.of("context"))
        self.behaviours = tuple(_field(f) for f in run.schema.of("behaviour") if f.name != TIME_SINCE)
        self.times: tuple[Field, ...] = ()
        if TIME_SINCE in self._features:
            self.times = TIMES, TIME

    @property
    def all(self) -> tuple[Field, ...]:
        """Every field, those that each request must have first."""
        lists = (Field(name, depth=1, required=True) for name in ("history", "candidates"))
        return Field("user", required=True), *lists, *self.context, *self.behaviours, *self.times

    def encode_context(self, given: Mapping[str, pl.Series], requests: int) -> FeatureTable:
        """Encode raw context ``[R]``; a feature that is not given is unknown."""
        return {
            field.name: self._encode(field.name, _or_nulls(given, field, requests)) for field in self.context
        }

    def encode_behaviours(
        self, given: Mapping[str, pl.Series], lengths: NDArray[np.integer], time: pl.Series | None
    ) -> FeatureTable:
        """Encode what histories bring along, ``time_since`` included; what is not given is unknown.

        Args:
            given: raw values ``[N]`` by field, history after history.
            lengths: ``[R]`` of the histories.
            time: ``[R]`` of the requests.
        """
        N = int(lengths.sum())
        table = {
            field.name: self._encode(field.name, _or_nulls(given, field.entry, N))
            for field in self.behaviours
        }
        if self.times:
            since = pl.Series([None], dtype=pl.Int64).new_from_index(0, N)
            if "times" in given and time is not None:
                since = time.gather(row_of(lengths)) - given["times"]
            table[TIME_SINCE] = self._encode(TIME_SINCE, since)
        return table

    def _encode(self, name: str, values: pl.Series) -> Column:
        return self._features[name].encode(values, self._vocabularies)

    @cached_property
    def _vocabularies(self) -> dict[str, Ids]:
        """Every vocabulary by the feature that owns it, read at first use."""
        return {name: _Dictionary(ids) for name, ids in self._run.vocabularies.items()}


class _Dictionary(Ids):
    """Finds a few ids one by one."""

    def __init__(self, ids: Ids) -> None:
        super().__init__(ids.values)
        self._ids = ids

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        if len(values) > _FEW:
            return self._ids.encode(values)
        return np.array([self._ids.index(value) for value in values.to_list()], np.int32)


def plain(value: Any, leaf: Leaf, depth: int) -> Any:
    """Make a value what Polars takes: ids as text, lists as lists."""
    if value is None:
        return None
    if depth:
        return [plain(part, leaf, depth - 1) for part in value]
    return str(value) if leaf == "id" else value


def _field(feature: Feature) -> Field:
    of_history = feature.side == "behaviour"
    dtype, depth = feature.raw.dtype, int(of_history)
    while isinstance(dtype, pl.List):
        dtype, depth = dtype.inner, depth + 1  # type: ignore[assignment]  # an instance
    return Field(feature.name, "number" if dtype.is_float() else "id", depth, of_history=of_history)


def _or_nulls(given: Mapping[str, pl.Series], field: Field, rows: int) -> pl.Series:
    if field.name in given:
        return given[field.name]
    nulls: pl.Series = pl.Series([None], dtype=field.dtype).new_from_index(0, rows)
    return nulls


def _fits(value: Any, leaf: Leaf, depth: int) -> bool:
    if value is None:
        return True
    if depth:
        is_list = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))
        return is_list and all(_fits(part, leaf, depth - 1) for part in value)
    if isinstance(value, bool):
        return False
    if leaf == "number":
        return isinstance(value, Real) and not math.isinf(value)
    if leaf == "time":
        return isinstance(value, Integral) and abs(int(value)) < 2**62
    return isinstance(value, (str, Integral))
