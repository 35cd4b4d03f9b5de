"""Which side a column of the interactions belongs to: by what it says of the label, the item, the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.leakage import Alone, alone, shown_together
from dien.data.sources.table.infer.head import HeadColumn
from dien.data.sources.table.infer.names import (
    after_the_click,
    long_after_the_click,
    of_a_history,
    of_a_session,
    of_the_answer,
    of_the_event,
)
from dien.data.sources.table.values import labels

_A_HISTORY = "it seems to hold a history: each row has what its user did before"
_CHANCE = float(np.log(1e-6))
_PAIRS = 20  # rows of an item after another one: so few tell nothing
_STAYS = 0.8  # of them: so many have the value of the row before
_BY_CHANCE = 0.5


@dataclass(frozen=True)
class Place:
    """Where a column of the interactions is drafted.

    Attributes:
        column: as it was read.
        side: whose feature it is; None leaves it out.
        why: the reason; empty where it is the usual place.
        each: of an attribute of items or users, the same with a row for each of them.
        changes: whether it is an attribute of items that changes over time.
    """

    column: HeadColumn
    side: str | None
    why: str = ""
    each: HeadColumn | None = None
    changes: bool = False


def places(
    columns: Sequence[HeadColumn],
    label: HeadColumn | None,
    user: HeadColumn | None,
    item: HeadColumn | None,
    labelled: bool,
    of_impression: Sequence[HeadColumn] = (),
    timed: bool = True,
) -> list[Place]:
    """Find the place of every column that has no role.

    Args:
        columns: of the interactions.
        label: the column of labels; None where there is none.
        user: the column of users, if it was found.
        item: likewise; None where a row holds several items.
        labelled: whether the log says what was shown and not clicked.
        of_impression: columns that are equal for what was shown together; none where each row is alone.
        timed: whether what items have at a time can be told.
    """
    clicked = None if label is None else _Clicks.of(label, of_impression)
    found: list[Place] = []
    for column in columns:
        place = _place(column, clicked, user, item, labelled)
        changing = timed and place.each is None and place.side is not None and not column.problem
        if changing and after_the_click(column.name) is None and changes_rarely(item, column):
            place = Place(column, "item", "an item has it for a while and then another", changes=True)
        found.append(place)
    return found


class _Clicks(NamedTuple):
    """Labels ``[n]`` of the rows read, -1 where one is missing, and their impressions ``[n]``."""

    label: NDArray[np.int8]
    impression: NDArray[np.int64]

    @classmethod
    def of(cls, label: HeadColumn, of_impression: Sequence[HeadColumn]) -> _Clicks:
        """Read them from their columns."""
        known = label.values.is_not_null().to_numpy()
        clicked = np.full(len(known), -1, np.int8)
        clicked[known] = labels(label.values.drop_nulls()).to_numpy()
        own = [one.values.alias(str(k)) for k, one in enumerate(of_impression)]
        if own and all(len(values) == len(clicked) for values in own):
            return cls(clicked, shown_together(pl.DataFrame(own)))
        return cls(clicked, np.arange(len(clicked)))


def _place(
    column: HeadColumn,
    clicked: _Clicks | None,
    user: HeadColumn | None,
    item: HeadColumn | None,
    labelled: bool,
) -> Place:
    if of_a_history(column.name) and _is_several(column):
        return Place(column, None, _A_HISTORY)
    if column.problem or column.distinct < 2:
        return Place(column, "context")
    if of_a_session(column.name):
        return Place(column, None, "sessions do not come again: they say nothing about the next")
    word = after_the_click(column.name)
    if clicked is not None:
        says = _says(column, clicked)
        measured = f"AUC alone {says.auc:.3f} on held-out rows"
        if word is not None or (says.only_of_clicks and not _one_of_clicks(column, clicked.label)):
            return _after(column, clicked.label, word, says)
        if says.tells:
            return Place(column, None, f"it tells the label ({measured}): written after the click")
        if of_the_answer(column.name):
            return Place(column, None, f"it may say what is to be predicted ({measured})")
    elif labelled and word is not None:  # of a page, whose clicks stand in another column
        return Place(column, "behaviour", f"its name has {word!r}: known only after the click")
    for side, owner in (("item", item), ("user", user)):
        if word is None and owner is not None and determines(owner.values, column.values):
            first = pl.DataFrame({"key": owner.values, "value": column.values}).drop_nulls()
            values = first.unique("key", keep="last", maintain_order=True)["value"].alias(column.name)
            why = f"each {side} has one value in the rows read"
            return Place(column, side, why, replace(column, values=values))
    if not labelled or of_the_event(column.name):
        return Place(column, "behaviour")
    return Place(column, "context")


def _after(column: HeadColumn, clicked: NDArray[np.int8], word: str | None, says: Alone) -> Place:
    """Place what is known only after the click: it is of past behaviours, if it tells one from another."""
    why = "only clicks have another value" if word is None else f"its name has {word!r}"
    why += ": known only after the click"
    if says.tells:
        why += f" (AUC alone {says.auc:.3f} on held-out rows)"
    if word is not None and long_after_the_click(word):
        return Place(column, None, f"{why}, and long after it: a later history would know it too early")
    if _one_of_clicks(column, clicked):
        return Place(column, None, f"{why}; all clicks have the same value")
    return Place(column, "behaviour", why)


def _one_of_clicks(column: HeadColumn, clicked: NDArray[np.int8]) -> bool:
    """Whether all clicks have one value: it tells no behaviour from another."""
    if len(clicked) != len(column.values):
        return False
    of_clicks = column.values.filter(pl.Series(clicked == 1)).drop_nulls()
    distinct: int = (of_clicks.explode() if column.lists else of_clicks).n_unique()
    return distinct < 2


def _is_several(column: HeadColumn) -> bool:
    """Whether most rows hold several values: a list, or text with something between them."""
    known = column.values.drop_nulls()
    if column.lists or known.dtype != pl.String or not len(known):
        return column.lists
    return bool(known.str.contains(r"^\[|[\w\]][|^;, \t]+\w").mean() > 0.5)  # type: ignore[operator]


def determines(keys: pl.Series, values: pl.Series) -> bool:
    """Whether each key has one value, beyond what chance makes of as many rows.

    Args:
        keys: ``[n]``, as items.
        values: ``[n]``; null is unknown.
    """
    if len(keys) != len(values) or isinstance(values.dtype, pl.List | pl.Array):
        return False
    rows = pl.DataFrame({"key": keys, "value": values}).drop_nulls()
    of_keys = rows.group_by("key").agg(pl.col("value").n_unique())
    if 2 * rows.height < len(keys) or rows.is_empty() or of_keys["value"].max() != 1:
        return False
    share = rows["value"].value_counts(normalize=True)["proportion"]
    alike = float((share**2).sum())  # how often two rows have one value, were they drawn by chance
    return alike < 1 and (rows.height - of_keys.height) * float(np.log(alike)) < _CHANCE


def changes_rarely(item: HeadColumn | None, column: HeadColumn) -> bool:
    """Whether each item mostly has the value that it had in the row before, as of a price; and some change.

    Args:
        item: the column of items; None where a row holds several.
        column: another one, in the same rows, which are taken to be in order of time.
    """
    if item is None or column.lists or len(item.values) != len(column.values) or column.distinct < 2:
        return False
    rows = pl.DataFrame({"key": item.values, "value": column.values}).drop_nulls()
    rows = rows.sort("key", maintain_order=True)
    same_key = pl.col("key") == pl.col("key").shift()
    alike = rows.filter(same_key.fill_null(False)).height
    stays = rows.filter((same_key & (pl.col("value") == pl.col("value").shift())).fill_null(False)).height
    share = rows["value"].value_counts(normalize=True)["proportion"]
    by_chance = float((share**2).sum())  # how often two rows have one value, were they drawn by chance
    return alike >= _PAIRS and _STAYS * alike <= stays < alike and by_chance < _BY_CHANCE


def _says(column: HeadColumn, clicked: _Clicks) -> Alone:
    """Measure what a column alone says of the labels that are there."""
    values, label = column.values, clicked.label
    if len(values) != len(label) or isinstance(getattr(values.dtype, "inner", None), pl.List):
        return alone(values.head(0), label[:0])
    known = label >= 0
    return alone(values.filter(pl.Series(known)), label[known], clicked.impression[known])
