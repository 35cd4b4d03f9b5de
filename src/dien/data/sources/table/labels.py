"""Labels in the forms that logs have: 0 and 1, a number and a threshold, kinds of events, what is there."""

from __future__ import annotations

import warnings

import polars as pl

from dien.data.readers.messages import listed, refuse
from dien.data.readers.nulls import LIKELY
from dien.data.readers.values import cast, text
from dien.data.sources.table.forms import Label
from dien.data.sources.table.spec import Interactions
from dien.data.sources.table.values import at_least, labels
from dien.data.spelling import respelt, spelling_of

_SHOWN = 20  # values of a column that a warning names at most
_COUNTED = 1000  # and counts at most: a column of ids, named by mistake, has millions

NOT_NAMED = "labels without a value (kept, not clicked)"
"""What the report calls rows whose kind of event is not given."""


class LabelParser:
    """Makes labels of the columns of all files of a log, and knows afterwards what they held.

    Args:
        roles: columns of the interactions, a label among them.
    """

    def __init__(self, roles: Interactions) -> None:
        assert roles.label is not None
        self._label: Label = roles.label
        self._threshold = roles.threshold
        self._marks_said = roles.nulls is not None
        self._clicks = [spelling_of(name) for name in roles.label.is_ or ()]
        self._clicked: set[str] = set()  # which of these occurred
        self._seen: dict[str, None] = {}
        self.without = 0
        """Rows without a kind of event."""

    def parse(self, values: pl.Series) -> pl.Series:
        """Read labels ``[n]``: Int8, 1 clicked and 0 not.

        Raises:
            BadValueError: one is neither 0 nor 1 (true and false are fine), no number where a threshold makes
                the label of it, the column holds lists, or a mark of what is missing would be a click.
        """
        if self._label.is_ is not None:
            return self._one_of(values)
        if self._label.known:
            if not self._marks_said:
                _expect_no_marks(values)
            return cast(_known(values), pl.Int8())
        return labels(values) if self._threshold is None else at_least(values, self._threshold)

    @property
    def required(self) -> bool:
        """Whether every row must have a value."""
        return self._label.is_ is None and not self._label.known

    @property
    def what_is_1(self) -> str:
        """What makes a label 1, in brackets, where it is not the value 1."""
        if self._label.is_ is not None:
            return f" ({', '.join(self._label.is_)}; found {self._found()})"
        if self._label.known:
            return " (a value that is there)"
        return "" if self._threshold is None else f" ({self._threshold:g} or more)"

    def warn(self) -> None:
        """Warn of each kind of event that means a click and never occurred."""
        for name in self._label.is_ or ():
            if spelling_of(name) not in self._clicked:
                warnings.warn(
                    f"interactions.label.is names {name!r}, which column {self._label.column!r} never holds; "
                    f"found {self._found()}; mend the name, or take it out of the list",
                    stacklevel=2,
                )

    def _found(self) -> str:
        more = min(len(self._seen), _COUNTED) - _SHOWN
        least = "more than " if len(self._seen) > _COUNTED else ""
        return listed(list(self._seen)[:_SHOWN]) + (f" and {least}{more} more" if more > 0 else "")

    def _one_of(self, values: pl.Series) -> pl.Series:
        """Mark the rows whose kind of event is one of some."""
        expected = "one kind of event, as text or a whole number; mend interactions.label.column"
        found = cast(values, pl.String()) if values.dtype == pl.Boolean else text(values, expected)
        kinds = respelt(found.str.strip_chars())[0]
        different = kinds.drop_nulls().unique(maintain_order=True)
        self._clicked.update(different.filter(different.is_in(self._clicks)))
        if len(self._seen) <= _COUNTED:
            self._seen |= dict.fromkeys(different.head(_COUNTED + 1))
        missing = (kinds.is_null() | (kinds == "")).fill_null(True)
        self.without += int(missing.sum())
        return cast(kinds.is_in(self._clicks).fill_null(False), pl.Int8())


def _expect_no_marks(values: pl.Series) -> None:
    """Refuse text that seems to mark what is missing: it would be a click."""
    if not isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        return
    found = cast(values, pl.String()).str.strip_chars()
    marked = found.is_in(LIKELY).fill_null(False)
    if marked.any():
        mark = found.filter(marked)[0]
        refuse(
            values,
            marked,
            f"a value, which means a click, or none; say nulls: [{mark}] of interactions in the schema where "
            "it marks a missing one, or nulls: [] where it is a value",
        )


def _known(values: pl.Series) -> pl.Series:
    """Mark the rows ``[n]`` that have a value: not null, NaN or empty text."""
    known = values.is_not_null()
    if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        return known & (cast(values, pl.String()).str.strip_chars() != "").fill_null(False)
    if values.dtype.is_float():
        return known & values.is_not_nan().fill_null(False)
    if isinstance(values.dtype, pl.List):
        return known & (values.list.len() > 0).fill_null(False)
    return known
