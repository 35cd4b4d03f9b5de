"""What every source hands to a recipe: events, items and users as tables of raw ids, and their origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from dien.data.features import KINDS, Definition
from dien.data.log_form import LogForm
from dien.data.readers.source_file import SourceFile
from dien.data.times import FromTime, Times
from dien.errors import DataError

WEIGHT = ".weight"
"""The column of weights: no feature's name begins with a dot."""
CONVERSION = ".conversion"
"""The column of conversions."""
HISTORY = ".history"
"""The column of the number of a row's own history: of events, and of the behaviours in it."""
YEAR_10000 = 253_402_300_800
"""Times in seconds since 1970 are from 0 up to this one, without it; it also catches milliseconds."""


ENOUGH_MEET = 0.9
"""Of the ids of a log: where fewer have a row in their table, there is a warning."""


@dataclass(frozen=True)
class Join:
    """How the ids of a log meet those of a table of items or users.

    Attributes:
        side: ``item`` or ``user``.
        table: its file.
        ids: distinct ids of the log.
        met: of them, those that have a row in the table.
        pair: where fewer than :data:`ENOUGH_MEET` meet, an id of the log without a row, and one of the table
            that the log lacks, None where it has none; of one thing, where a ``cause`` was found.
        cause: by what ids of both sides seem to differ, and how to mend it; None where that was not found.
    """

    side: str
    table: str
    ids: int
    met: int
    pair: tuple[str, str | None] | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Log:
    """A click log with raw ids, before any recipe.

    A feature is of the kind that its definition says. Without one, it is categorical where its column holds
    strings (or categories), multi-valued where it holds lists of strings, and numeric where it holds floats.
    Null is unknown.

    Attributes:
        events: in the order of the source. Columns ``user`` and ``item`` (String, or Int32: the row of the
            tables below, from 1), ``time`` (Int64, seconds since 1970), and a column for each feature of the
            context or of behaviours. Where the log has them: ``label`` (Int8, 1 clicked, 0 shown and not
            clicked), ``impression`` (integers, equal for what was shown together) and ``split`` (Int8,
            0 train, 1 valid, 2 test, 3 none), :data:`WEIGHT` (Float32, finite and at least 0: how much the
            row counts in the loss and the metrics) and :data:`CONVERSION` (Int8: 1 where a click led to what
            it is for, 0 where not, -1 where it is not known; 0 without a click).
        items: column ``item`` (String, unique) and a column for each item feature. Every item of ``events``
            has a row.
        users: column ``user`` (String, unique) and a column for each user feature. Every user of ``events``
            has a row.
        sources: the files that were read.
        excluded: what was left out, and how often, for the report.
        features: definitions of features by name, ``item`` and ``user`` (their ids) among them; the others
            are as usual for their kind. One named ``time_since`` (edges in seconds) asks for that behaviour
            feature, which has no column.
        changes: features of items and users that change over time, by name: columns ``item`` or ``user``
            (Int32, rows as above), ``time`` (Int64, 0 for what has always held) and the feature, null where
            it is unknown from then on; in order of both, and none twice. They are no columns of ``items``
            and ``users``.
        behaviours: columns ``user``, ``item``, ``time`` as in ``events``, and one for each feature of
            behaviours, where these have a log of their own: then histories hold nothing else. Where each row
            has a history of its own, the behaviours of all, oldest first, and in both tables a column
            :data:`HISTORY` (Int64): events of one history are of one user and one time.
        joins: how the ids of the events meet those of the tables of items and users that were read.
        times: how the files write the times of ``events``; None where the source does not say.
        form: how the files of the events are written, likewise.
        names: what items are called: columns ``item`` and ``name`` (String), an item at most once. None where
            the log does not say.
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    sources: tuple[SourceFile, ...]
    excluded: dict[str, int] = field(default_factory=dict)
    features: Mapping[str, Definition] = field(default_factory=dict)
    changes: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    behaviours: pl.DataFrame | None = None
    joins: tuple[Join, ...] = ()
    times: Times | None = None
    form: LogForm | None = None
    names: pl.DataFrame | None = None

    def from_time(self, names: Iterable[str]) -> dict[str, FromTime]:
        """Tell which of these features follow from the time."""
        defined = {name: self.features[name].timed for name in names if name in self.features}
        return {name: told for name, told in defined.items() if told is not None}

    def definition(self, column: pl.Series) -> Definition:
        """Find the definition of the feature in a column.

        Raises:
            DataError: the column does not hold what its definition says, or what no kind of feature has.
        """
        defined = self.features.get(column.name)
        if defined is None:
            found = next((kind for kind in KINDS.values() if kind.holds(column.dtype)), None)
            if found is None:
                raise DataError(
                    f"feature {column.name}: its column holds {column.dtype}, which no kind of feature has "
                    f"({', '.join(KINDS)}); cast the column"
                )
            return found()
        if not defined.holds(column.dtype):
            raise DataError(
                f"feature {column.name}: is defined as {defined.kind}, but its column holds {column.dtype}; "
                "say another kind, or cast the column"
            )
        return defined
