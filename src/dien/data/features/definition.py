"""What a feature is: its definition, before any data is read, and what preparation made of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar, get_args

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dien.data.features.columns import CHANGING
from dien.data.features.encoders import BadVectorError, Encoder, Encodes
from dien.data.ragged import Column
from dien.data.times import FromTime
from dien.errors import DataError, nearest

Side = Literal["item", "behaviour", "user", "context"]
Pooling = Literal["mean", "sum", "max"]
Text = Annotated[str, Field(min_length=1)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]  # checked where it is read from a file

KINDS: dict[str, type[Definition]] = {}
"""The kinds of features by name; the file of a kind registers its class."""

_Kind = TypeVar("_Kind", bound="type[Definition]")


def register(kind: _Kind) -> _Kind:
    """Make a class of features known under its ``kind``."""
    KINDS[kind.kind] = kind
    return kind


class MapFile(Protocol):
    """Maps a file of a feature and checks its type and its shape."""

    def __call__(self, suffix: str, dtype: type[np.generic], *shape: int | None) -> NDArray[Any]:
        """Map the file named as the feature, then ``suffix``, then ``.npy``.

        Raises:
            DataError: it is missing or does not fit.
        """


class Definition(BaseModel):
    """What is said of a feature, by a schema file or by a source; a subclass for each kind.

    A definition checks itself: it takes the options of its kind alone, and each says what it takes. An
    instance reads and prepares a raw column; what is stored needs no options, so class methods handle it.

    Attributes:
        side: whose it is: the item's, the user's, the behaviour's own (as the action or the dwell time; a
            target has none), or the context of the impression. None for that of its table; of a column of the
            events, context.
        column: its column in the tables it is read from; None for the feature's name.
        from_: of an item or a user (key ``from``): where it is read from, the interactions; None for the
            table of items or users.
        changes: whether what is read from there changes over time: the value that held at the time counts.
        width: of its embedding; None for the model's.

    Class attributes:
        kind: the name of the kind.
        dtype: of its raw values, in the tables of items and users and in requests.
        indexed: whether it is stored as indices, of a table of embeddings.
        one_value: whether a row has one value, by which impressions of the same moment are told apart.
        vectors: whether a value is a list of as many numbers as the feature's size, none of them missing.
        suffixes: of its files, before ``.npy``.
        encoders: that it may have in place of a vocabulary.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    dtype: ClassVar[pl.DataType]
    indexed: ClassVar[bool] = False
    one_value: ClassVar[bool] = True
    vectors: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    encoders: ClassVar[tuple[type[Encoder], ...]] = ()

    side: Side | None = None
    column: Text | None = None
    from_: Literal["interactions"] | None = Field(default=None, alias="from")
    changes: bool = False
    width: Annotated[int, Field(gt=0, le=65_536)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _options_of_its_kind(cls, data: Any) -> Any:
        names = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, Mapping) else ():
            if key in names:
                continue
            kinds = ", ".join(name for name, kind in KINDS.items() if key in kind.model_fields)
            if kinds:
                mend = f"leave it out or change kind (one that takes it: {kinds})"
                raise ValueError(f"{key} is not for a {cls.kind} feature; {mend}")
            options = [name for name in names if name != "side"]
            close = nearest(str(key), options)
            mend = f"did you mean {close}?" if close else f"expected some of {', '.join(options)}"
            raise ValueError(f"{key} is no option of a {cls.kind} feature; {mend}")
        return data

    @model_validator(mode="after")
    def _changes_in_the_log(self) -> Definition:
        if self.changes and self.from_ is None:
            raise ValueError(
                "changes is of what is read from the interactions ({from: interactions, changes: true}); of "
                "a table of items its times say it (items.time)"
            )
        return self

    # A raw column

    @property
    def timed(self) -> FromTime | None:
        """What of the interaction's time it is; None where it is read from a column."""
        return None

    @abstractmethod
    def parse(self, values: pl.Series, precision: pl.DataType) -> pl.Series:
        """Read a column of a table as a log has it; null is unknown.

        Args:
            values: ``[n]`` of any type.
            precision: of floats: Float32 where rows are many, else Float64.

        Returns:
            ``[n]`` of a type that :meth:`holds` takes.

        Raises:
            BadValueError: a value is not of this kind.
        """

    def parser(self, precision: pl.DataType) -> Callable[[pl.Series], pl.Series]:
        """Make what reads a column part by part, with what must hold among all parts.

        Args:
            precision: as of :meth:`parse`.

        Returns:
            :meth:`parse` of each part ``[n]``, in order.
        """
        return lambda values: self.parse(values, precision)

    @classmethod
    @abstractmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Whether a column of a log with this type is of this kind."""

    # Preparation

    def vocabulary(self, name: str) -> str | None:
        """Name the vocabulary that the feature ``name`` is counted in; None where an encoder encodes it."""
        return None

    def fit(self, values: pl.Series, counts: NDArray[np.integer]) -> Encoder | None:
        """Make what encodes it from a column ``[n]``; None where a vocabulary does.

        Args:
            values: raw, as :meth:`holds` has them.
            counts: ``[n]`` how often each counts in the training rows; 0 is none of them.
        """
        return None

    def feature(self, name: str, side: Side, size: int, encoder: Encoder | None) -> Feature:
        """Say what preparation made of it."""
        return Feature(name, side, size, self.kind, self.width, encoder=encoder)

    @classmethod
    def encode(cls, encoder: Encodes, values: pl.Series) -> Column:
        """Encode a raw column ``[n]`` with a vocabulary or an encoder."""
        return encoder.encode(values)

    @classmethod
    def encode_values(cls, encoder: Encodes, values: Sequence[Any] | NDArray[Any]) -> Column:
        """Do the same for ``n`` Python values, of the path of a request.

        A kind whose encoder needs no Polars overrides this: its threads are lost in a forked process.
        """
        return cls.encode(encoder, pl.Series(values, dtype=cls.dtype))

    # What is stored

    @classmethod
    @abstractmethod
    def open(cls, file: MapFile, rows: int, size: int) -> Column:
        """Map a column ``[rows]`` of a feature of this size from its files.

        Raises:
            DataError: a file is missing or does not fit.
        """

    @classmethod
    @abstractmethod
    def fits(cls, column: Column, size: int) -> bool:
        """Whether a stored column holds nothing but what a feature of this size may."""

    @classmethod
    @abstractmethod
    def known(cls, column: Column) -> NDArray[np.bool_]:
        """Mark the rows ``[n]`` of a stored column that have a known value."""

    @classmethod
    def indices(
        cls, column: Column, weight: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]] | None:
        """List the indices ``[V]`` of a stored column and how often each counts; None where it has none.

        Args:
            column: ``[n]``.
            weight: ``[n]`` how often each row counts.
        """
        return None

    @classmethod
    def moments(cls, column: Column, weight: NDArray[np.int64]) -> tuple[float, float] | None:
        """Sum up the known numbers of a stored column, and their squares; None where it is no number.

        Args:
            column: ``[n]``.
            weight: ``[n]`` how often each row counts.
        """
        return None


@dataclass(frozen=True)
class Feature:
    """A feature of a dataset: its definition, as far as a model reads it, and what preparation found.

    Attributes:
        name: its column, unique in the schema.
        side: whose it is, as of :class:`Definition`. An item's features are those of behaviours, negatives
            and targets alike.
        size: number of indices, "unknown" (index 0) included; the height of its embedding table. Of numbers,
            how many a row has.
        kind: ``categorical`` (an index), ``multi`` (any number of indices, pooled), ``numeric`` (a number,
            scaled already; NaN where it is missing), ``vector`` (``size`` numbers, scaled already; all NaN
            where it is missing), or another of :data:`KINDS`.
        width: width of its embedding; None for the model's.
        pooling: how the embeddings of a multi-valued feature become one; zero where it has no values.
        table: the feature whose embedding table (and vocabulary) it shares; None where it has its own.
        encoder: makes raw values what is stored; None where its vocabulary (that of ``table``) does.
        changes: whether it changes over time: of an item or a user the value that held at the time counts.
        frozen: whether a vector enters a model as it is, and not through a learned projection.

    Raises:
        ValueError: there is no such kind or side, or the size is below 1.
    """

    name: str
    side: Side
    size: AtLeastOne
    kind: str = "categorical"
    width: AtLeastOne | None = None
    pooling: Pooling = "mean"
    table: str | None = None
    encoder: Encoder | None = None
    changes: bool = False
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"feature {self.name}: kind {self.kind!r}; expected one of {', '.join(KINDS)}")
        if self.side not in (sides := get_args(Side)):  # else no model would read it
            raise ValueError(f"feature {self.name}: side {self.side!r}; expected one of {', '.join(sides)}")
        if self.size < 1:
            raise ValueError(
                f"feature {self.name}: size {self.size}; expected 1 at least, for unknown values"
            )

    @property
    def stored(self) -> type[Definition]:
        """The kind of what is stored of it."""
        return KINDS[self.kind]

    @property
    def raw(self) -> type[Definition]:
        """The kind of its raw values: intervals are of numbers, though an index is stored."""
        kinds = (self.stored, *KINDS.values())
        return next(k for k in kinds if self.encoder is None or type(self.encoder) in k.encoders)

    @property
    def vocabulary(self) -> str | None:
        """Name of the vocabulary that encodes it, None where an encoder does."""
        return (self.table or self.name) if self.encoder is None else None

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files."""
        suffixes = (*self.stored.suffixes, *(CHANGING if self.changes else ()))
        return tuple(f"{self.name}{suffix}.npy" for suffix in suffixes)

    def encode(
        self,
        values: pl.Series | Sequence[Any] | NDArray[Any],
        vocabularies: Mapping[str, Encodes],
        *,
        first: int = 1,
    ) -> Column:
        """Encode raw values ``[n]``.

        Args:
            values: null is unknown. Of a column of Polars many are encoded faster; of a list or an array a
                forked process encodes them, too (:mod:`dien.forks`).
            vocabularies: by the feature that owns each; read only where no encoder encodes it.
            first: row of the first value, for errors; 0 where "unknown" stands before those of a table.

        Raises:
            DataError: a value is not what the encoder takes.
        """
        encoder = vocabularies[self.table or self.name] if self.encoder is None else self.encoder
        try:
            if isinstance(values, pl.Series):
                return self.stored.encode(encoder, values)
            return self.stored.encode_values(encoder, values)
        except BadVectorError as error:
            raise DataError(f"feature {self.name}: row {first + error.index}: {error.what}") from error
        except ValueError as error:
            raise DataError(f"feature {self.name}: {error}") from error

    def fits(self, column: Column) -> bool:
        """Whether a stored column holds nothing but what the feature may."""
        return self.stored.fits(column, self.size)
