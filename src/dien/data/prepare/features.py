"""The features of a log, encoded: vocabularies counted and numbers scaled by what the training rows hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.changing import Attributes, Changing
from dien.data.features import TIME_SINCE, Definition, Feature, Numeric, Schema, Side
from dien.data.features.columns import CHANGING
from dien.data.features.encoders import Intervals, Scaled, signed_log
from dien.data.features.indices import Indices
from dien.data.features.rules import check_names, check_shared
from dien.data.log import Log
from dien.data.prepare.changes import known_values, lines_of, side_of
from dien.data.prepare.events import Events
from dien.data.readers.values import LARGEST
from dien.data.tables import FeatureTable
from dien.data.vocabulary import Vocabulary
from dien.errors import DataError

_NUMBERS_LOOKED_AT = 100_000  # of a column, for outliers
_ALL_BUT_EQUAL = 1e-3  # standard deviations


@dataclass(frozen=True)
class Occurrences:
    """How often the training rows hold what features belong to.

    Attributes:
        item: ``[items]`` of each item row.
        user: ``[users]`` of each user row.
        context: ``[E]`` of each event's context; integers.
        behaviour: ``[E]`` of each event as a behaviour.
        changing: of each changing feature by name: ``[S]`` of each of its values.
    """

    item: NDArray[np.integer]
    user: NDArray[np.integer]
    context: NDArray[np.integer]
    behaviour: NDArray[np.integer]
    changing: Mapping[str, NDArray[np.integer]] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """The features of a log, ready to encode with.

    Attributes:
        schema: those with at least one known value.
        dropped: names of the others.
        vocabularies: by the feature that owns each.
        items: item features of the item rows.
        users: user features of the user rows.
        rare: how many values occur once and are unknown by ``rare_share``, by vocabulary.
    """

    schema: Schema
    dropped: tuple[str, ...]
    vocabularies: dict[str, Vocabulary]
    items: Attributes = field(default_factory=dict)
    users: Attributes = field(default_factory=dict)
    rare: dict[str, int] = field(default_factory=dict)

    def encode(self, events: pl.DataFrame, side: Side) -> FeatureTable:
        """Encode the columns of some events for the context or for behaviours."""
        return {
            feature.name: feature.encode(events[feature.name], self.vocabularies)
            for feature in self.schema.of(side)
            if feature.name != TIME_SINCE
        }


@dataclass(frozen=True)
class _Column:
    """A column of a log that is a feature.

    Attributes:
        side: whose it is.
        definition: of the feature.
        values: ``[n]`` raw.
        counts: ``[n]`` how often each counts in the training rows.
        changes: whether it changes over time.
    """

    side: Side
    definition: Definition
    values: pl.Series
    counts: NDArray[np.integer]
    changes: bool = False

    @property
    def name(self) -> str:
        return self.values.name

    @property
    def vocabulary(self) -> str:
        """The vocabulary it is counted in, empty where an encoder encodes it."""
        return self.definition.vocabulary(self.name) or ""

    def known(self) -> NDArray[np.bool_]:
        """Mark the rows ``[n]`` that hold a value of it."""
        return known_values(self.values)

    def any_known(self) -> bool:
        """Whether a training row holds a value of it."""
        return bool(((self.counts > 0) & self.known()).any())

    def text(self) -> str:
        """Say what it holds, and of what."""
        changes = ", which changes over time" if self.changes else ""
        return f"{self.values.dtype} of the {self.side}{changes}"

    def why_unknown(self) -> str:
        """Say why a model would know no value of it."""
        if self.any_known():
            return "all its values are too rare to keep (min_count, max_size, rare_share)"
        if self.known().any():
            return f"no {self.side} of the training rows has a value of it"
        return "it has no value in any row; look at the column, and at the ids that join the tables"


def fit_features(
    log: Log, events: Events, occurrences: Occurrences, known: Features | None = None
) -> Features:
    """Count vocabularies, scale numbers, and encode items and users.

    Args:
        log: the log.
        events: its events.
        occurrences: what counts.
        known: of an earlier log that this one goes on with: its features are kept, its vocabularies extended.

    Raises:
        DataError: a feature's name cannot be used, or its definition does not fit its values; or ``known``
            has a feature that the log lacks.
    """
    columns = _columns(log, events, occurrences)
    if known is not None:
        return _encoded(log, *_extended(columns, known))
    _check(log, columns)
    counted = _counted({column.name: column.vocabulary for column in columns}, columns)
    vocabularies = {name: vocabulary for name, (vocabulary, _) in counted.items()}
    features: list[Feature] = []
    dropped: list[str] = []
    shared = {c.definition.shares for c in columns if isinstance(c.definition, Indices)}
    for column in columns:
        encoder = column.definition.fit(column.values, column.counts)
        size = len(vocabularies[column.vocabulary]) if encoder is None else encoder.size
        unknown = size == 1 if encoder is None else column.name not in shared and not column.any_known()
        if unknown:
            dropped.append(column.name)
            warnings.warn(f"feature {column.name} is left out: {column.why_unknown()}", stacklevel=3)
            continue
        made = column.definition.feature(column.name, column.side, size, encoder)
        features.append(replace(made, changes=column.changes))
        if isinstance(encoder, Scaled):
            _warn_of_outliers(column, encoder)
    if (since := log.features.get(TIME_SINCE)) is not None:
        if not isinstance(since, Numeric):
            raise DataError(f"feature {TIME_SINCE}: is defined as {since.kind}; expected numeric, with edges")
        intervals = Intervals(since.edges or ())
        features.append(since.feature(TIME_SINCE, "behaviour", intervals.size, intervals))
    order: tuple[Side, ...] = ("item", "behaviour", "user", "context")
    schema = Schema(Schema(tuple(features)).of(*order))
    rare = {name: len(values) for name, (_, values) in counted.items()}
    return _encoded(log, schema, tuple(dropped), vocabularies, rare)


def _encoded(
    log: Log,
    schema: Schema,
    dropped: tuple[str, ...],
    vocabularies: dict[str, Vocabulary],
    rare: dict[str, int],
) -> Features:
    """Encode items and users."""
    owners = schema.vocabularies
    made = Features(
        schema,
        dropped,
        {name: vocabularies[name] for name in owners},
        rare={name: rare[name] for name in owners if rare[name]},
    )
    sides: tuple[tuple[Side, pl.DataFrame, Attributes], ...] = (
        ("item", log.items, made.items),
        ("user", log.users, made.users),
    )
    for side, table, into in sides:
        for feature in schema.of(side):
            changes = log.changes.get(feature.name)
            values = (table if changes is None else changes)[feature.name]
            unknown = pl.Series(feature.name, [None], dtype=values.dtype)
            column = feature.encode(pl.concat([unknown, values]), made.vocabularies, first=0)
            into[feature.name] = column if changes is None else Changing(column, *lines_of(log, changes))
    return made


def _extended(
    columns: list[_Column], known: Features
) -> tuple[Schema, tuple[str, ...], dict[str, Vocabulary], dict[str, int]]:
    """Keep the features of an earlier log; its vocabularies grow at their ends."""
    by_name = {column.name: column for column in columns}
    owners: dict[str, str] = {}
    for feature in known.schema.features:
        if feature.name == TIME_SINCE:
            continue
        column = by_name.get(feature.name)
        as_before = column is not None and (column.side, column.changes) == (feature.side, feature.changes)
        if column is None or not as_before or not feature.raw.holds(column.values.dtype):
            raise DataError(
                f"feature {feature.name} of the earlier log: expected a {feature.raw.kind} column of the "
                f"{feature.side}; found "
                f"{'none' if column is None else column.text()}; prepare with the same schema"
            )
        owners[feature.name] = feature.vocabulary or ""
    later = _counted(owners, columns)
    vocabularies, rare = {}, {}
    for name, (vocabulary, values) in later.items():
        vocabularies[name] = known.vocabularies[name].extend(vocabulary)
        rare[name] = int(np.count_nonzero(known.vocabularies[name].encode(values) == 0))  # others are known
    schema = Schema(
        tuple(
            replace(feature, size=len(vocabularies[feature.vocabulary])) if feature.vocabulary else feature
            for feature in known.schema.features
        )
    )
    return schema, known.dropped, vocabularies, rare


def _columns(log: Log, events: Events, occurrences: Occurrences) -> list[_Column]:
    """List the columns of a log that are features."""
    columns: list[_Column] = []
    sides: tuple[tuple[Side, pl.DataFrame, NDArray[np.integer]], ...] = (
        ("item", log.items, occurrences.item[1:]),
        ("user", log.users, occurrences.user[1:]),
    )
    for side, table, counts in sides:
        names = (side, *(column for column in table.columns if column != side))
        columns += [_Column(side, log.definition(table[name]), table[name], counts) for name in names]
    for name, changes in log.changes.items():
        side = side_of(changes)
        values, counts = changes[name], occurrences.changing[name][1:]
        columns.append(_Column(side, log.definition(values), values, counts, changes=True))
    for values in events.features:
        definition = log.definition(values)
        of_behaviour = definition.side == "behaviour"
        columns.append(
            _Column("behaviour", definition, values, occurrences.behaviour)
            if of_behaviour
            else _Column("context", definition, values, occurrences.context)
        )
    for column in columns:
        _expect_bounded(column)
    return columns


def _expect_bounded(column: _Column) -> None:
    """Refuse numbers that would make those of the feature useless."""
    if column.values.dtype.is_float():
        bad = (column.values.fill_nan(None).abs() > LARGEST).fill_null(False)
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"feature {column.name}: row {row} of the {column.side}'s column holds {column.values[row]}; "
                f"expected numbers from -{LARGEST:g} to {LARGEST:g}, or null where it is unknown"
            )


def _warn_of_outliers(column: _Column, encoder: Scaled) -> None:
    """Warn where a few numbers lie so far out that, scaled by them, the others are all but equal."""
    numbers = column.values.cast(pl.Float64).to_numpy()[column.counts > 0]
    numbers = numbers[np.isfinite(numbers)]
    numbers = numbers[:: 1 + len(numbers) // _NUMBERS_LOOKED_AT]
    scaled = signed_log(numbers) if encoder.log else numbers
    low, high = np.quantile(scaled, (0.25, 0.75))
    if 0 < (apart := (high - low) / encoder.std) < _ALL_BUT_EQUAL:
        furthest = numbers[np.abs(scaled - encoder.mean).argmax()]
        warnings.warn(
            f"feature {column.name}: a few numbers, such as {furthest:g}, lie so far from the others that "
            f"half of them are within {apart:.1g} standard deviations: all but equal to a model; mend those "
            "few, or say scale: log, or quantiles",
            stacklevel=2,
        )


def _counted(owners: dict[str, str], columns: list[_Column]) -> dict[str, tuple[Vocabulary, pl.Series]]:
    """Count vocabularies, and list the values of each that are unknown by ``rare_share``.

    Args:
        owners: of features by name: the one that owns its vocabulary, empty where it has none.
        columns: of these features, and maybe others.
    """
    by_name = {column.name: column for column in columns}
    sharing: dict[str, list[_Column]] = {}
    for column in columns:
        if owner := owners.get(column.name):
            sharing.setdefault(owner, []).append(column)
    vocabularies = {}
    for owner, group in sharing.items():
        rule = by_name[owner].definition
        assert isinstance(rule, Indices)  # check_shared
        vocabularies[owner] = rule.count(_entries(group))
    return vocabularies


def _entries(columns: Iterable[_Column]) -> list[tuple[pl.Series, NDArray[np.integer]]]:
    return [c.definition.entries(c.values, c.counts) for c in columns if isinstance(c.definition, Indices)]


def _check(log: Log, columns: list[_Column]) -> None:
    """Check names, sides and shared tables of the features."""
    ids = {"item", "user"}
    defined = {column.name: (f"feature {column.name}", column.definition) for column in columns}
    try:
        check_names(
            (
                (f"feature {column.name!r} of the {column.side}", column.name)
                for column in columns
                if column.name != column.side or column.name not in ids
            ),
            "rename the column",
        )
        check_shared(defined)
    except ValueError as error:
        raise DataError(str(error)) from error
    for name in log.changes:
        for suffix in CHANGING:
            if name + suffix in defined:
                raise DataError(
                    f"feature {name + suffix}: a file of {name}, which changes over time, has this name; "
                    "rename the column"
                )
    for column in columns:
        if column.definition.side not in (None, column.side):
            raise DataError(
                f"feature {column.name}: is defined as one of the {column.definition.side}, but its column "
                f"is one of the {column.side}; define it as what it is, or move the column"
            )
    for name in log.features:
        if name not in defined and name != TIME_SINCE:
            raise DataError(
                f"feature {name}: is defined, but no table of the log has its column; found "
                f"{', '.join(defined)}"
            )
