"""One value a row, as a category, an id or the hour of the day: an index."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from dien.data.features.definition import MapFile, register
from dien.data.features.indices import Indices, within
from dien.data.ragged import Column
from dien.data.readers.values import cast, text
from dien.data.times import FromTime, known_zone


@register
class Categorical(Indices):
    """A feature with one value a row, stored as an index, ``[n]`` int32.

    Attributes:
        from_time: worked out from the time of the interaction instead of read from a column.
        zone: the time zone of ``from_time``, as America/New_York.
    """

    from_time: Literal["hour", "weekday"] | None = None
    zone: str = "UTC"

    kind: ClassVar[str] = "categorical"
    dtype: ClassVar[pl.DataType] = pl.String()

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        return known_zone(zone)

    @model_validator(mode="after")
    def _of_a_time(self) -> Categorical:
        if self.from_time is None and "zone" in self.model_fields_set:
            raise ValueError("zone goes with from_time; leave it out or add from_time: hour")
        if self.from_time is not None and self.column is not None:
            raise ValueError("a feature from_time has no column; leave column or from_time out")
        if self.from_time is not None and self.side != "context":
            raise ValueError("from_time is for features of the context; move it there")
        return self

    @property
    def timed(self) -> FromTime | None:
        """The hour or the weekday of the interaction, by the clock of its zone."""
        return None if self.from_time is None else FromTime(what=self.from_time, zone=self.zone)

    def parse(self, values: pl.Series, precision: pl.DataType) -> pl.Series:
        """Read text or whole numbers, floats that are whole among them: String."""
        dtype = values.dtype
        if dtype == pl.Boolean or dtype == pl.Date:
            return cast(values, pl.String())
        return text(values, "text or whole numbers (say kind: multi for lists, numeric for numbers)")

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Whether a column is of text, categories or whole numbers."""
        return not dtype.is_nested() and not dtype.is_float()

    @classmethod
    def open(cls, file: MapFile, rows: int, size: int) -> Column:
        """Map the indices ``[rows]``."""
        return file("", np.int32, rows)

    @classmethod
    def fits(cls, column: Column, size: int) -> bool:
        """Whether every index is of its table."""
        return within(column, size)

    @classmethod
    def known(cls, column: Column) -> NDArray[np.bool_]:
        """Mark the rows whose index is not 0."""
        assert isinstance(column, np.ndarray)
        return column > 0

    @classmethod
    def indices(
        cls, column: Column, weight: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Give the column as it is: an index a row."""
        assert isinstance(column, np.ndarray)
        return column.astype(np.int32, copy=False), weight
