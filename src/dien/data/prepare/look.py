"""Look at a log before believing what was made of it: what is odd is warned of, what is certain refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from dien.data.dataset_info import Recipe
from dien.data.log import ENOUGH_MEET, Join, Log
from dien.data.prepare.events import Events
from dien.data.prepare.grouping import Differing
from dien.data.prepare.splits import in_words
from dien.data.ragged import slices
from dien.data.tables import Behaviours, Split, SplitName, begins
from dien.errors import DataError

_FEW_MEET = 0.1
_NOT_KNOWN = ("", "-", "?", "none", "nil", "unknown", "Unknown", "UNKNOWN")
"""Ids that say that there is none; those that programs write, as NA, a table does not take at all."""
_DEFAULTS = ("0", "-1")  # an id as others in a log that numbers its users from 0
_SHARE_OF_NONE = 0.01
_MANY_DIFFER = 0.1  # of the impressions
_SHARE_OF_ONE = 0.2
_ROWS_OF_ONE = 1_000
_TIMES_THE_MEAN = 10  # so that five users of a small log are not odd


@dataclass(frozen=True)
class Looked:
    """What was seen of a log.

    Attributes:
        first: its first second.
        last: its last second.
        joins: how its ids meet those of the tables of items and users.
        ordered: whether both are numbers of rows: it has an order and no time.
    """

    first: int
    last: int
    joins: tuple[Join, ...]
    ordered: bool = False


@dataclass(frozen=True)
class Histories:
    """The histories of the impressions of a split.

    Attributes:
        mean: behaviours before an impression; None, as the others, without impressions.
        longest: the most.
        empty: share of the impressions without any.
    """

    mean: float | None
    longest: int | None
    empty: float | None

    @classmethod
    def of(cls, behaviours: Behaviours, split: Split) -> Histories:
        """Measure the histories of a split, in parts."""
        total = longest = empty = 0
        for rows in slices(len(split)):
            lengths = split.end[rows] - begins(behaviours, split, rows)
            total += int(lengths.sum())
            longest = max(longest, int(lengths.max()))
            empty += int(np.count_nonzero(lengths == 0))
        if not len(split):
            return cls(None, None, None)
        return cls(total / len(split), longest, empty / len(split))


def warn_of_differing(differing: Differing, events: Events) -> dict[str, int]:
    """Warn of features of the context that differ among the candidates of an impression, and count them.

    Returns:
        For the report: how many impressions each feature divides, and of how many the first candidate's list
        counts.
    """
    counts = {}
    for name, count in differing.by.items():
        divides = name in events.context
        what = "divided, as" if divides else "of which the first candidate's list counts, as"
        counts[f"impressions {what} {name} differs in them"] = count
        if count > _MANY_DIFFER * differing.impressions:
            becomes = "the first one's counts for all"
            if divides:
                becomes = "each value makes an impression of its own, which reads the history once more"
            warnings.warn(
                f"context feature {name!r} differs among the candidates of {count:,} of "
                f"{differing.impressions:,} impressions: {becomes}; a request has one value for all "
                "its candidates; if it is of the item, as a price, define it under features.item with "
                "{from: interactions}; else take it out, or score each candidate in a request of its own",
                stacklevel=3,
            )
    return {what: count for what, count in counts.items() if count}


def expect_joined(joins: tuple[Join, ...]) -> None:
    """Warn where few ids of a log have a row in their table.

    Raises:
        DataError: none has.
    """
    for join in joins:
        if join.pair is None or join.met >= ENOUGH_MEET * join.ids:
            continue
        ours, theirs = join.pair
        example = f"the log has {ours!r}, the table has {'no other id' if theirs is None else repr(theirs)}"
        example += f"; they differ by {join.cause}" if join.cause else ""
        mend = f"name the column with the same ids ({join.side}s.{join.side} of the schema, --{join.side} of "
        mend += "dien prepare recbole)"
        if not join.met:
            raise DataError(
                f"{join.table}: has a row for none of the {join.ids:,} {join.side}s of the log: {example}; "
                + (f"{mend}, or leave the table out" if join.cause is None else "or leave the table out")
            )
        few = join.met < _FEW_MEET * join.ids
        warnings.warn(
            f"{join.table}: {'NEARLY ALL ARE MISSING: it' if few else 'it'} has a row for {join.met:,} of "
            f"the {join.ids:,} {join.side}s of the log; the others have no known feature: {example}"
            + ("" if join.cause else f"; add their rows, or {mend}"),
            stacklevel=3,
        )


def look_at(log: Log, events: Events) -> Looked:
    """See what a log spans, and warn of users and items that stand for many, or for what is not known."""
    counts = np.diff(np.searchsorted(events.user, np.arange(len(events.user_ids) + 1, dtype=np.int32)))
    users = int(np.count_nonzero(counts))
    mean = len(events) / users
    for row in _named(events.user_ids.values, (*_NOT_KNOWN, *_DEFAULTS)):
        name = events.user_ids.values[row]
        enough = _SHARE_OF_NONE * len(events) if name in _NOT_KNOWN else _TIMES_THE_MEAN * mean
        if counts[row] >= enough:
            _warn_of("user", name, int(counts[row]), len(events), "whose history is of many people")
            counts[row] = 0
    most = int(counts.argmax())
    if counts[most] > max(_ROWS_OF_ONE, _SHARE_OF_ONE * len(events), _TIMES_THE_MEAN * mean):
        warnings.warn(
            f"user {events.user_ids.values[most]!r} has {_of(int(counts[most]), len(events))}: an id with so "
            "many is often a default, a robot, or many people; leave its rows out, or name another column",
            stacklevel=3,
        )
    for row in _named(events.item_ids.values, _NOT_KNOWN):
        rows = sum(int(np.count_nonzero(events.item[part] == row)) for part in slices(len(events)))
        if rows >= _SHARE_OF_NONE * len(events):
            _warn_of("item", events.item_ids.values[row], rows, len(events), "which are many")
    times = events.time if events.history is None else events.time[events.shown]  # histories may have none
    return Looked(int(times.min()), int(times.max()), log.joins, events.ordered)


def warn_of_splits(
    splits: Mapping[SplitName, Split], recipe: Recipe, looked: Looked, *, labelled: bool
) -> None:
    """Warn of splits without rows, and of those whose labels are all alike."""
    for name, split in splits.items():
        if not len(split):
            warnings.warn(f"{name} is empty: {_why_empty(name, recipe, looked)}", stacklevel=3)
        elif labelled and (found := _only_label(split)) is not None:
            mend = (
                "name the right column (interactions.label), or none: then every row is a click, and what "
                "was not clicked is sampled"
                if found
                else "name the right column (interactions.label), or let the split hold more"
            )
            warnings.warn(
                f"{name}: every label is {found}: there is nothing to "
                f"{'learn from' if name == 'train' else 'tell apart, and no AUC'}; {mend}",
                stacklevel=3,
            )


def _why_empty(name: SplitName, recipe: Recipe, looked: Looked) -> str:
    """Say why a split has no row, and how to mend it."""
    by_time = recipe.valid_from is not None and recipe.test_from is not None
    if not by_time or name == "train":
        reasons = {
            "last": "no user has 3 moments or more after the warm-up",
            "ratio": "no user has enough events",
            "user": "there are too few users",
            "column": f"the split column says {name!r} of no row that is left",
        }
        why = reasons.get(recipe.split or "", "there are too few users")
        return f"{why}; prepare more data, or split otherwise (--split, from Python split=)"
    assert recipe.valid_from is not None
    assert recipe.test_from is not None
    start = recipe.valid_from if name == "valid" else recipe.test_from
    option = f"--{name}-from"
    until = recipe.test_from if name == "valid" else looked.last
    begun, ended, last = (in_words(moment, looked.ordered) for moment in (start, until, looked.last))
    if looked.last < start:
        return (
            f"the log ends on {last}, before {option} {begun}; set an earlier {option}, a "
            "date or a share as 0.8, or see whether the times were read right"
        )
    return (
        f"no impression from {begun} to {ended} is left (after a warm-up of {recipe.warmup or 0} "
        "behaviours); set --valid-from and --test-from further apart, or a smaller --warmup"
    )


def _only_label(split: Split) -> int | None:
    """Give the label that all rows have; None where there are both."""
    first = int(split.label[0])
    alike = all(bool((split.label[rows] == first).all()) for rows in slices(len(split.label)))
    return first if alike else None


def _named(ids: pl.Series, names: tuple[str, ...]) -> list[int]:
    """Find the rows of ids with one of some names."""
    return [int(row) for row in ids.is_in(names).fill_null(False).arg_true()]


def _warn_of(side: str, name: str, rows: int, of: int, which: str) -> None:
    warnings.warn(
        f"{side} {name!r} has {_of(rows, of)}: it seems to stand for {side}s that are not known, {which}; "
        "leave these rows out before preparing",
        stacklevel=4,
    )


def _of(rows: int, of: int) -> str:
    return f"{rows:,} of {of:,} rows ({rows / of:.1%})"
