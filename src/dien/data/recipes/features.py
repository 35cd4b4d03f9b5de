"""The features of a log, encoded: vocabularies counted and numbers scaled by what the training rows hold."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.encoding import Encoder, Hashed, Intervals, Scaled, encode, flatten, signed_log
from dien.data.log import FeatureRule, Log
from dien.data.prepare.events import EVENTS_AT_ONCE, Events
from dien.data.ragged import Column
from dien.data.schema import TAKEN, TIME_SINCE, Feature, Kind, Schema, Side, is_file_name
from dien.data.tables import FeatureTable
from dien.data.vocabulary import Vocabulary
from dien.errors import DataError

_Counted = tuple[str, Side, pl.Series, NDArray[np.integer]]
"""A column: its name, its side, its values and how often each entry counts."""


@dataclass(frozen=True)
class Occurrences:
    """How often the training rows hold what features belong to.

    Attributes:
        item: ``[items]`` of each item row.
        user: ``[users]`` of each user row.
        context: ``[E]`` of each event's context; integers.
        behaviour: ``[E]`` of each event as a behaviour.
    """

    item: NDArray[np.integer]
    user: NDArray[np.integer]
    context: NDArray[np.integer]
    behaviour: NDArray[np.integer]


@dataclass(frozen=True)
class Features:
    """The features of a log, ready to encode with.

    Attributes:
        schema: those with at least one known value.
        dropped: names of the others.
        vocabularies: by the feature that owns each.
        items: item features of the item rows.
        users: user features of the user rows.
    """

    schema: Schema
    dropped: tuple[str, ...]
    vocabularies: dict[str, Vocabulary]
    items: FeatureTable = field(default_factory=dict)
    users: FeatureTable = field(default_factory=dict)

    def encode(self, events: pl.DataFrame, side: Side) -> FeatureTable:
        """Encode the columns of some events for the context or for behaviours."""
        return {
            feature.name: self._encode(feature, events[feature.name])
            for feature in self.schema.of(side)
            if feature.name != TIME_SINCE
        }

    def _encode(self, feature: Feature, values: pl.Series) -> Column:
        if feature.vocabulary is not None:
            return encode(self.vocabularies[feature.vocabulary], values)
        assert feature.encoder is not None
        return encode(feature.encoder, values)


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
        DataError: a feature's name cannot be used, or its rule does not fit its values; or ``known`` has a
            feature that the log lacks.
    """
    columns = _columns(log, events, occurrences)
    if known is not None:
        return _encoded(log, *_extended(log, columns, known))
    _check_names([name for name, *_ in columns], log)
    owned: dict[str, list[tuple[pl.Series, NDArray[np.integer]]]] = {}
    for name, _, values, counts in columns:
        rule = _rule(log, name)
        if _kind(values) != "numeric" and not rule.buckets:
            owned.setdefault(rule.table or name, []).append((values, counts))
    vocabularies = {
        name: _vocabulary(_rule(log, name), values)
        for name, values in owned.items()
        if _rule(log, name).edges is None
    }
    features: list[Feature] = []
    dropped: list[str] = []
    for name, side, values, counts in columns:
        rule, kind = _rule(log, name), _kind(values)
        encoder = _encoder(name, rule, kind, values, counts)
        size = len(vocabularies[rule.table or name]) if encoder is None else encoder.size
        if encoder is None and size == 1:
            dropped.append(name)
            continue
        features.append(
            Feature(
                name,
                side,
                size,
                kind="categorical" if isinstance(encoder, Intervals) else kind,
                width=rule.width,
                pooling=rule.pooling,
                table=rule.table,
                encoder=encoder,
            )
        )
    if (since := log.features.get(TIME_SINCE)) is not None:
        encoder = Intervals(since.edges or ())
        features.append(Feature(TIME_SINCE, "behaviour", encoder.size, width=since.width, encoder=encoder))
    order: tuple[Side, ...] = ("item", "behaviour", "user", "context")
    schema = Schema(Schema(tuple(features)).of(*order))
    return _encoded(log, schema, tuple(dropped), vocabularies)


def _encoded(
    log: Log, schema: Schema, dropped: tuple[str, ...], vocabularies: dict[str, Vocabulary]
) -> Features:
    """Encode items and users."""
    made = Features(schema, dropped, {name: vocabularies[name] for name in schema.vocabularies})
    sides: tuple[tuple[Side, pl.DataFrame, FeatureTable], ...] = (
        ("item", log.items, made.items),
        ("user", log.users, made.users),
    )
    for side, table, into in sides:
        for feature in schema.of(side):
            values = table[feature.name]
            unknown = pl.Series(feature.name, [None], dtype=values.dtype)
            into[feature.name] = made._encode(feature, pl.concat([unknown, values]))
    return made


def _extended(
    log: Log, columns: list[_Counted], known: Features
) -> tuple[Schema, tuple[str, ...], dict[str, Vocabulary]]:
    """Keep the features of an earlier log; its vocabularies grow at their ends."""
    by_name = {name: (side, values, counts) for name, side, values, counts in columns}
    later: dict[str, list[tuple[pl.Series, NDArray[np.integer]]]] = {}
    for feature in known.schema.features:
        if feature.name == TIME_SINCE:
            continue
        side, values, counts = by_name.get(feature.name, (None, pl.Series(), np.zeros(0, np.int64)))
        numeric = feature.kind == "numeric" or isinstance(feature.encoder, Intervals)
        if side != feature.side or ("numeric" if numeric else feature.kind) != _kind(values):
            raise DataError(
                f"feature {feature.name} of the earlier log: expected a {feature.kind} column of the "
                f"{feature.side}; found {'none' if side is None else f'{values.dtype} of the {side}'}; "
                "prepare with the same schema"
            )
        if feature.vocabulary is not None:
            later.setdefault(feature.vocabulary, []).append((values, counts))
    vocabularies = {
        name: known.vocabularies[name].extend(_vocabulary(_rule(log, name), values))
        for name, values in later.items()
    }
    schema = Schema(
        tuple(
            replace(feature, size=len(vocabularies[feature.vocabulary])) if feature.vocabulary else feature
            for feature in known.schema.features
        )
    )
    return schema, known.dropped, vocabularies


def _columns(log: Log, events: Events, occurrences: Occurrences) -> list[_Counted]:
    """Every column with its side, its values and how often each entry counts."""
    columns: list[_Counted] = []
    sides: tuple[tuple[Side, pl.DataFrame, NDArray[np.integer]], ...] = (
        ("item", log.items, occurrences.item[1:]),
        ("user", log.users, occurrences.user[1:]),
    )
    for side, table, counts in sides:
        names = (side, *(column for column in table.columns if column != side))
        columns += [(name, side, table[name], counts) for name in names]
    for values in events.features:
        side = _rule(log, values.name).side
        columns.append(
            (
                values.name,
                side,
                values,
                occurrences.context if side == "context" else occurrences.behaviour,
            )
        )
    return columns


def _rule(log: Log, name: str) -> FeatureRule:
    return log.features.get(name, FeatureRule())


def _kind(values: pl.Series) -> Kind:
    if isinstance(values.dtype, pl.List):
        return "multi"
    return "numeric" if values.dtype.is_float() else "categorical"


def _encoder(
    name: str, rule: FeatureRule, kind: Kind, values: pl.Series, counts: NDArray[np.integer]
) -> Encoder | None:
    """Make the encoder of a feature, None where its vocabulary encodes it."""
    if kind != "numeric":
        if rule.quantiles or rule.edges:
            raise DataError(f"feature {name}: quantiles and edges are for numbers; say kind: numeric")
        return Hashed(rule.buckets) if rule.buckets else None
    if rule.buckets or rule.table:
        raise DataError(f"feature {name}: buckets and shared tables are for ids; it is numeric")
    if rule.edges is not None:
        return Intervals(tuple(sorted(set(rule.edges))))
    numbers = values.cast(pl.Float64).to_numpy()
    seen = (counts > 0) & np.isfinite(numbers)
    numbers, weights = numbers[seen], counts[seen].astype(np.float64)
    if rule.quantiles is not None:
        return Intervals(_quantiles(numbers, weights, rule.quantiles))
    if rule.scale == "log":
        numbers = signed_log(numbers)
    if not len(numbers):
        return Scaled(0.0, 1.0, rule.scale == "log")
    mean = float(np.average(numbers, weights=weights))
    std = float(np.sqrt(np.average((numbers - mean) ** 2, weights=weights)))
    return Scaled(mean, std if std > 0 else 1.0, rule.scale == "log")


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


def _vocabulary(rule: FeatureRule, columns: list[tuple[pl.Series, NDArray[np.integer]]]) -> Vocabulary:
    """Count the values of the features that share a vocabulary, then leave out what its rule leaves out."""
    values: list[pl.Series] = []
    counts: list[NDArray[np.int64]] = []
    for column, occurrences in columns:
        if isinstance(column.dtype, pl.List):
            column, lengths = flatten(column)
            occurrences = np.repeat(occurrences, lengths)
        if column.dtype == pl.Categorical:
            names = column.unique().drop_nulls()  # few: they are counted by their codes
            codes = column.to_physical()
            unknown = int(codes.max() or 0) + 1  # type: ignore[arg-type]
            of_code = np.zeros(unknown + 1, np.int64)
            for start in range(0, len(codes), EVENTS_AT_ONCE):  # bincount widens what it is given
                part = slice(start, start + EVENTS_AT_ONCE)
                entries = codes[part].fill_null(unknown).to_numpy()
                of_code += np.bincount(entries, occurrences[part], unknown + 1).astype(np.int64)
            values += [names.cast(pl.String), pl.Series([None], dtype=pl.String)]
            counts.append(of_code[[*names.to_physical(), unknown]])
        else:
            values.append(column.cast(pl.String))
            counts.append(occurrences.astype(np.int64))
    vocabulary = Vocabulary.count(
        pl.concat([v.rename("value") for v in values], rechunk=True), np.concatenate(counts)
    )
    return _trimmed(vocabulary, rule)


def _trimmed(vocabulary: Vocabulary, rule: FeatureRule) -> Vocabulary:
    """Make rare values unknown; what they counted, unknown counts."""
    counts = vocabulary.counts
    kept = counts >= rule.min_count
    if rule.max_size is not None:
        kept[rule.max_size + 1 :] = False
    if rule.rare_share > 0:
        once = (counts == 1).nonzero()[0]
        once = once[once > 0]
        draws = np.array([zlib.crc32(value.encode()) for value in vocabulary.values.gather(once)], np.int64)
        kept[once[draws % 10_000 < rule.rare_share * 10_000]] = False
    kept[0] = True
    if kept.all():
        return vocabulary
    left = counts[kept].copy()
    left[0] += counts[~kept].sum()
    return Vocabulary(vocabulary.values.filter(pl.Series(kept)), left)


def _check_names(names: list[str], log: Log) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise DataError(
                f"two features are named {name!r}; rename the column of the item, user or context"
            )
        seen.add(name.casefold())
        if not is_file_name(name):
            raise DataError(
                f"a feature cannot be named {name!r}: its name is a file's name; rename the column"
            )
        if name in TAKEN or name.endswith(".offsets") or name == TIME_SINCE:
            raise DataError(f"a feature cannot be named {name!r}: this name is taken; rename the column")
    for name, rule in log.features.items():
        if rule.table is None:
            continue
        owner = log.features.get(rule.table, FeatureRule())
        if rule.table not in names or owner.table is not None or rule.table == name:
            raise DataError(
                f"feature {name}: shares the table of {rule.table!r}; expected a feature that has its own, "
                f"one of {', '.join(n for n in names if n != name)}"
            )
        if owner.buckets != rule.buckets:
            raise DataError(f"feature {name}: shares the table of {rule.table!r}; give both the same buckets")
