"""The fields of a request: what each may hold, and how it becomes what a model reads."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.features import TIME_SINCE, Definition, Feature, Side
from dien.data.log_form import LogForm
from dien.data.ragged import Column
from dien.data.tables import FeatureTable
from dien.data.times import FromTime, Times
from dien.run import Run
from dien.serving.once import depth_of_caller
from dien.serving.times import UNKNOWN, Clock
from dien.serving.values import EXPECTED, Leaf, NotExpectedError, expect_vector, plain

Values = pl.Series | Sequence[Any]
"""Raw values: a column of a file, or a list of those of a request, which a forked process encodes, too."""
Described = dict[str, tuple[Column, NDArray[np.bool_]]]
"""Feature name -> encoded values of candidates or users, and which of them the request gives."""

_DTYPES: dict[Leaf, type[pl.DataType]] = {
    "id": pl.String,
    "category": pl.String,
    "number": pl.Float64,
    "time": pl.Int64,
}


@dataclass(frozen=True)
class Field:
    """A field of a request.

    Attributes:
        name: of the field.
        leaf: what it holds, or its lists do.
        depth: 0 for a value, 1 for a list, 2 for a list of lists.
        required: whether every request has it; in lists, without any null.
        known: whether a value of it is never null.
        of_history: whether it is a list with an entry for each item of the history.
        of_candidates: whether it is a list with an entry for each candidate.
        clock: reads its values, where they are times.
        definition: reads its values as those of a log, where they are no fields of requests.
        length: of each list of numbers, where it is a vector: none of them is null; None for any.
    """

    name: str
    leaf: Leaf = "id"
    depth: int = 0
    required: bool = False
    known: bool = False
    of_history: bool = False
    of_candidates: bool = False
    clock: Clock = UNKNOWN
    definition: Definition | None = None
    length: int | None = None

    @property
    def dtype(self) -> pl.DataType:
        """How Polars holds it."""
        dtype = _DTYPES[self.leaf]()
        for _ in range(self.depth):
            dtype = pl.List(dtype)
        return dtype

    @property
    def expected(self) -> str:
        """What it must be, for people."""
        length = "" if self.length is None else f"{self.length} "
        return ("", "a list of ", "a list of lists of ")[self.depth] + length + EXPECTED[self.leaf]

    @property
    def nullable(self) -> bool:
        """Whether it may be null, for what is unknown."""
        return not (self.known or (self.required and self.depth))

    @property
    def beside(self) -> str | None:
        """The field that it has as many entries as, None where it has any number."""
        return "history" if self.of_history else "candidates" if self.of_candidates else None

    @property
    def entry(self) -> Field:
        """An entry of the list that it is."""
        return replace(self, depth=self.depth - 1)

    def plain(self, value: Any) -> Any:
        """Make a value given in Python what encoders take.

        Raises:
            ValueError: it is not what is expected; the message names the field, and how to mend it.
        """
        try:
            found = plain(value, self.leaf, self.depth, self.required, self.clock)
            if self.length is not None:
                for vector in [found] if self.depth == 1 else found or ():
                    expect_vector(vector, self.length)
            return found
        except NotExpectedError as error:
            found, mend = error.args
            raise ValueError(f"{self.name}: {found}, expected {self.expected}{mend and '; '}{mend}") from None


USER = Field("user", required=True)
HISTORY = Field("history", depth=1, required=True)
CANDIDATES = Field("candidates", depth=1, required=True)
TIMES = Field("times", "time", 1, of_history=True)
TIME = Field("time", "time")


class RequestFields:
    """The fields of the requests of a run, and the encoding of its features.

    Args:
        run: whose requests.

    Attributes:
        features: of the run, by name.
        context: a field for each feature of the context.
        behaviours: a field for each feature that the entries of a history bring along.
        times: ``times`` of the history and ``time`` of the request, where the run has ``time_since``, matches
            with times, or features that change over time.
        popular: whether the model reads popularity, which is that of ``time``.
        timed: whether the run's log has times, and not merely an order.
        changing: names of the latter.
        reads_time_since: whether it reads how long ago each behaviour was.
        ages: whether the model reads how long ago matches were.
        always_aged: whether training knew that of every match. Where rows carry their own histories, only
            the feature ``time_since`` tells that these have times.
        time: of the request, read as the run's log writes times.
        history_times: of the entries of a history, likewise.
        from_time: the features of the context that follow from it, where a request does not give them.
        candidates: a field for each feature of an item, but for its id.
        user: a field for each feature of a user, but for the id.

    Raises:
        RunError: the run says that its log writes times in a form that there is not.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.features = {f.name: f for f in run.schema.features}
        self.context = self._of("context")
        self.behaviours = self._of("behaviour")
        self.candidates = self._of("item")
        self.user = self._of("user")
        dataset = run.info.dataset
        try:
            clock = Clock(msgspec.convert(dataset.get("times"), Times | None))
        except ValueError as error:
            raise run.folder.refusal("run.json", f"dataset.times.form: {error}") from error
        told = msgspec.convert(dataset.get("from_time", {}), dict[str, FromTime])
        self.from_time = {field.name: told[field.name] for field in self.context if field.name in told}
        self.time, self.history_times = replace(TIME, clock=clock), replace(TIMES, clock=clock)
        self.times: tuple[Field, ...] = ()
        self.changing = tuple(f.name for f in run.schema.features if f.changes)
        self.timed = clock.times is None or not clock.times.ordered
        self.ages = self.timed and run.config.model.matches
        self.popular = run.config.model.popularity
        own_histories = dataset.get("recipe", {}).get("history") == "row"
        self.always_aged = self.ages and (not own_histories or TIME_SINCE in self.features)
        self.reads_time_since = TIME_SINCE in self.features
        if self.reads_time_since or self.changing or self.ages:
            self.times = self.history_times, self.time

    @property
    def all(self) -> tuple[Field, ...]:
        """Every field, those that each request must have first."""
        features = *self.context, *self.behaviours, *self.candidates, *self.user
        times = self.times or ((self.time,) if self.from_time or self.popular else ())
        return USER, HISTORY, CANDIDATES, *features, *times

    def as_in_log(self, field: Field, log: LogForm | None) -> Field:
        """Have the values of a feature read as those of a log, with its own separator."""
        raw, said = self.features[field.name].raw, {} if log is None else log.separators
        own = field.name in said and "separator" in raw.model_fields
        return replace(field, definition=raw.model_validate({"separator": said[field.name]} if own else {}))

    def lacking(self, names: Collection[str]) -> tuple[str, ...]:
        """Name the features of the context that no request has, of the fields that no request has."""
        told = () if self.time.name in names else self.from_time
        return tuple(f.name for f in self.context if f.name in names and f.name not in told)

    def warn_of_latest(self, lacking: Collection[str]) -> None:
        """Warn where features change over time, and no request says at what time they are asked for.

        Args:
            lacking: fields that no request has.
        """
        none = [field.name for field in (self.time, self.history_times) if field.name in lacking]
        if self.changing and none:
            warnings.warn(
                f"{', '.join(self.changing)}: of these, which change over time, the latest values count, as "
                f"no request has {' and '.join(none)}; add {'it' if len(none) == 1 else 'both'} where "
                "requests are of the past",
                stacklevel=3,
            )

    def warn_of_ageless(
        self, ageless: int, candidates: int, lacking: Collection[str], once: bool = False
    ) -> None:
        """Warn where matches have no age, and training has seen none without.

        Args:
            ageless: how many candidates have a match whose age is not known.
            candidates: of how many.
            lacking: fields that no request has.
            once: whether more of the kind will not be told.
        """
        if not (ageless and self.always_aged):
            return
        none = [field.name for field in (self.history_times, self.time) if field.name in lacking]
        why = f"there is no {' and no '.join(none)}" if none else "a time of theirs is null"
        warnings.warn(
            f"{ageless:,} of {candidates:,} candidates match an entry of their history, and how long ago "
            f"that was is not known, as {why}: training has seen no match without its age, so that their "
            f"scores may be far off; give {' and '.join(none) or 'every time'} (docs/requests.md)"
            + once
            * "; a scorer says so once",
            stacklevel=depth_of_caller() if once else 3,
        )

    def encode_context(self, given: Mapping[str, Values], requests: int) -> FeatureTable:
        """Encode raw context ``[R]``; a feature that is not given is unknown, or follows from ``time``."""
        nulls = [None] * requests
        found = {field.name: given.get(field.name, nulls) for field in self.context}
        for name, told in self.from_time.items():
            found[name] = _filled(found[name], given.get(self.time.name, nulls), told)
        return {name: self._encode(name, values) for name, values in found.items()}

    def encode_behaviours(self, given: Mapping[str, Values], behaviours: int, since: Values) -> FeatureTable:
        """Encode what histories bring along, ``time_since`` included; what is not given is unknown.

        Args:
            given: raw values ``[N]`` by field, history after history.
            behaviours: ``N``.
            since: ``[N]`` seconds from each behaviour to its request; empty where nothing is known of them.
        """
        nulls = [None] * behaviours
        table = {
            field.name: self._encode(field.name, given.get(field.name, nulls)) for field in self.behaviours
        }
        if self.reads_time_since:
            table[TIME_SINCE] = self._encode(TIME_SINCE, since if len(since) else nulls)
        return table

    def encode_described(self, given: Mapping[str, Values]) -> Described:
        """Encode what requests say of candidates ``[B]`` or users ``[R]``; null is not given, as is NaN."""
        return {name: (self._encode(name, values), _known(values)) for name, values in given.items()}

    def _encode(self, name: str, values: Values) -> Column:
        return self.features[name].encode(values, self._run.vocabularies)

    def _of(self, side: Side) -> tuple[Field, ...]:
        ids = ("item", "user")  # what a request says as user, history and candidates
        return tuple(_field(f) for f in self._run.schema.of(side) if f.name not in (*ids, TIME_SINCE))


def _filled(values: Values, times: Values, told: FromTime) -> Values:
    """Put what follows from the times of requests ``[R]`` in place of values that they do not give."""
    if not isinstance(times, pl.Series):  # of one request, in Python
        pairs = zip(values, times, strict=True)
        return [told.of_second(time) if value is None else value for value, time in pairs]
    given = values if isinstance(values, pl.Series) else pl.Series(values, dtype=pl.String)
    filled: pl.Series = given.zip_with(given.is_not_null(), told.of(times))
    return filled


def _field(feature: Feature) -> Field:
    of_history, of_candidates = feature.side == "behaviour", feature.side == "item"
    dtype, depth = feature.raw.dtype, int(of_history or of_candidates)
    while isinstance(dtype, pl.List):
        dtype, depth = dtype.inner, depth + 1  # type: ignore[assignment]  # an instance
    leaf: Leaf = "number" if dtype.is_float() else "category"
    length = feature.size if feature.stored.vectors else None
    return Field(feature.name, leaf, depth, of_history=of_history, of_candidates=of_candidates, length=length)


def _known(values: Values) -> NDArray[np.bool_]:
    if isinstance(values, pl.Series):
        known = (
            values.is_not_null() & values.is_not_nan() if values.dtype.is_float() else values.is_not_null()
        )
        return known.fill_null(False).to_numpy()
    return np.array([value is not None and value == value for value in values], bool)  # NaN is not itself
