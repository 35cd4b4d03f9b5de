"""Rules that split impressions into train, valid and test: by time, by user, or by a column of the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.prepare.events import Events
from dien.data.prepare.grouping import Impressions, group
from dien.data.rule_names import RuleName
from dien.errors import DataError

Moment = float | datetime
TRAIN, VALID, TEST, NO_SPLIT = range(4)


class SplitRule(ABC):
    """A rule that says which impressions train, validate and test."""

    def resolve(self, events: Events) -> SplitRule:
        """Check the rule against a log, and work out what depends on all of it, as the second of a cut.

        Raises:
            DataError: the rule cannot be used with this log.
        """
        return self

    @abstractmethod
    def assign(self, impressions: Impressions) -> NDArray[np.int8]:
        """Name the split of impressions of whole users, by a rule that is resolved.

        Returns:
            ``[I]`` 0 train, 1 valid, 2 test, 3 none.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Name its options, for ``dataset.json``."""

    @abstractmethod
    def text(self) -> str:
        """Say the rule in words."""


@dataclass(frozen=True)
class SplitEvents:
    """The events of a log, and the rule that splits their impressions.

    Attributes:
        events: of all users.
        rule: resolved.
        past: ``[users]`` behaviours that each user had before this log.
    """

    events: Events
    rule: SplitRule
    past: NDArray[np.int64]

    def slices(self) -> Iterator[tuple[int, Events, Impressions, NDArray[np.int8]]]:
        """Cut the events between users, as :meth:`Events.slices`, and group them into impressions.

        Yields:
            The number of a slice's first event, its events, their impressions, and the split of each ``[I]``.
        """
        for begin, events in self.events.slices():
            shown = group(events)
            shown = replace(shown, past=shown.past + self.past[shown.user])
            yield begin, events, shown, self.rule.assign(shown)


@dataclass(frozen=True)
class ByTime(SplitRule):
    """Train on the past, validate and test on what came after.

    Attributes:
        valid_from: where validation begins: a fraction of all behaviours by time, or a moment (UTC where it
            names no zone); once resolved, seconds since 1970.
        test_from: where the test begins.
        gap: seconds before both that are in no split, so that evaluation does not begin right after training.
        of_rows: whether both are numbers of rows, of a log that has an order and no time.
    """

    valid_from: Moment | int = 0.8
    test_from: Moment | int = 0.9
    gap: int = 0
    of_rows: bool = False

    def resolve(self, events: Events) -> ByTime:
        """Turn fractions and dates into seconds; what happens in that second belongs to the later split.

        Raises:
            DataError: a fraction is not between 0 and 1, or validation does not begin before the test; or the
                log has an order and no time, and a moment or a gap is given.
        """
        moments = [name for name in ("valid_from", "test_from") if isinstance(getattr(self, name), datetime)]
        if events.ordered and (moments or self.gap):
            raise DataError(
                f"{(*moments, 'gap')[0]} needs times, and interactions.time is {{order: file}}; give "
                "valid_from and test_from as shares of the rows, as 0.8 and 0.9, and no gap"
            )
        if self.gap < 0:
            raise DataError(f"gap is {self.gap}, expected 0 or more seconds")
        counted = events.behaviour if events.shown is None else events.clicked & events.shown
        times = events.time if counted.all() else events.time[counted]
        valid = _cut_point("valid_from", self.valid_from, times)
        test = _cut_point("test_from", self.test_from, times)
        if valid > test - self.gap or valid == test:
            gap = f" by more than the gap of {self.gap} s" if self.gap else ""
            first, second = (in_words(cut, events.ordered) for cut in (valid, test))
            mend = "set them further apart"
            if valid == test and self.valid_from != self.test_from and not self.gap and not moments:
                mend = (
                    f"the shares {self.valid_from:g} and {self.test_from:g} fall on one moment, as of a log "
                    "of few days: give two dates (--valid-from, --test-from), or see whether the times were "
                    "read right"
                )
            raise DataError(f"valid_from ({first}) is not before test_from ({second}){gap}; {mend}")
        return ByTime(valid, test, self.gap, events.ordered)

    def assign(self, impressions: Impressions) -> NDArray[np.int8]:
        """See :meth:`SplitRule.assign`."""
        cuts = np.array([self.valid_from, self.test_from], np.int64)
        time = impressions.time
        split = np.searchsorted(cuts, time, side="right").astype(np.int8)
        for cut in cuts:
            split[(cut - self.gap <= time) & (time < cut)] = NO_SPLIT
        return split

    def options(self) -> dict[str, Any]:
        """See :meth:`SplitRule.options`."""
        return {"valid_from": self.valid_from, "test_from": self.test_from} | (
            {"gap": self.gap} if self.gap else {}
        )

    def text(self) -> str:
        """See :meth:`SplitRule.text`."""
        gap = f", the {self.gap} s before each in no split" if self.gap else ""
        cuts = f"validation from {self._moment(self.valid_from)}, test from {self._moment(self.test_from)}"
        return f"by {'order' if self.of_rows else 'time'}: {cuts}{gap}"

    def _moment(self, moment: Moment | int) -> str:
        return in_words(moment, self.of_rows)


@dataclass(frozen=True)
class ByLast(SplitRule):
    """The last moment of each user is the test, the one before it validates, the others train.

    A user with fewer than three moments trains only.
    """

    def assign(self, impressions: Impressions) -> NDArray[np.int8]:
        """See :meth:`SplitRule.assign`."""
        moment, of_user = _moments(impressions)
        first = np.searchsorted(of_user, of_user, side="left")
        end = np.searchsorted(of_user, of_user, side="right")
        left = end - np.arange(len(of_user))  # 1 for the last
        split = np.where(end - first < 3, TRAIN, np.select([left == 1, left == 2], [TEST, VALID], TRAIN))
        return split[moment].astype(np.int8)

    def options(self) -> dict[str, Any]:
        """See :meth:`SplitRule.options`."""
        return {"split": "last"}

    def text(self) -> str:
        """See :meth:`SplitRule.text`."""
        return "by user: the last moment tests, the one before it validates; users with fewer than 3 train"


@dataclass(frozen=True)
class ByRatio(SplitRule):
    """Each user's last events are the test, those before them validate, the others train.

    As RecBole splits (``order: TO``, ``group_by: user``, ``split: {RS: [0.8, 0.1, 0.1]}``): the shares are of
    the events after the user's first, rounded down. A share of less than one event takes one, the test's
    first, as long as training keeps one. Events of one second stay together, in the split of the middle one.

    Attributes:
        valid: share that validates.
        test: share that tests.
    """

    valid: float = 0.1
    test: float = 0.1

    def resolve(self, events: Events) -> ByRatio:
        """Check the rule against a log.

        Raises:
            DataError: the shares leave nothing to train with.
        """
        _check_shares("events", self.valid, self.test)
        return self

    def assign(self, impressions: Impressions) -> NDArray[np.int8]:
        """See :meth:`SplitRule.assign`."""
        moment, of_user = _moments(impressions)
        events = np.bincount(moment, impressions.lengths, len(of_user))  # [moments]
        done = np.cumsum(events)
        last = np.searchsorted(of_user, of_user, side="right") - 1  # [moments] its user's last one
        after = np.bincount(of_user, events)[of_user] - 1
        test, valid = np.floor(self.test * after), np.floor(self.valid * after)
        test += (after - test - valid > 1) & (test == 0) & (self.test * after > 0)
        valid += (after - test - valid > 1) & (valid == 0) & (self.valid * after > 0)
        left = done[last] - done + (events + 1) / 2  # 1 for the last event, where it stands alone
        split = np.select([left <= test, left <= test + valid], [TEST, VALID], TRAIN)
        return split[moment].astype(np.int8)

    def options(self) -> dict[str, Any]:
        """See :meth:`SplitRule.options`."""
        return {"split": "ratio", "valid_share": self.valid, "test_share": self.test}

    def text(self) -> str:
        """See :meth:`SplitRule.text`."""
        return f"by user: the last {self.test} of the events tests, {self.valid} before it validates"


@dataclass(frozen=True)
class ByUser(SplitRule):
    """A tenth of the users tests, a tenth validates, the others train.

    Attributes:
        seed: which users validate and test follows from it and their place in the log.
        valid: share of users that validate.
        test: share of users that test.
    """

    seed: int = 0
    valid: float = 0.1
    test: float = 0.1

    def resolve(self, events: Events) -> ByUser:
        """Check the rule against a log.

        Raises:
            DataError: the shares leave no user to train with.
        """
        _check_shares("users", self.valid, self.test)
        return self

    def assign(self, impressions: Impressions) -> NDArray[np.int8]:
        """See :meth:`SplitRule.assign`."""
        user = impressions.user
        if not len(user):
            return np.zeros(0, np.int8)
        low, high = int(user[0]), int(user[-1])
        # one draw a user, the same whatever slice it is asked in
        stream = np.random.PCG64([self.seed, 4]).advance(low)
        chance = np.random.Generator(stream).random(high - low + 1)[user - low]
        return np.select([chance < self.test, chance < self.test + self.valid], [TEST, VALID], TRAIN).astype(
            np.int8
        )

    def options(self) -> dict[str, Any]:
        """See :meth:`SplitRule.options`."""
        return {"split": "user", "valid_share": self.valid, "test_share": self.test}

    def text(self) -> str:
        """See :meth:`SplitRule.text`."""
        return f"by user: a share of {self.test} tests, {self.valid} validates"


@dataclass(frozen=True)
class ByColumn(SplitRule):
    """As the column ``split`` of the log says for the first event of each impression."""

    def resolve(self, events: Events) -> ByColumn:
        """Check the rule against a log.

        Raises:
            DataError: the log has no such column.
        """
        if events.split is None:
            raise DataError("split by column: the log has none; name it in the schema (interactions.split)")
        return self

    def assign(self, impressions: Impressions) -> NDArray[np.int8]:
        """See :meth:`SplitRule.assign`."""
        assert impressions.column is not None
        return impressions.column

    def options(self) -> dict[str, Any]:
        """See :meth:`SplitRule.options`."""
        return {"split": "column"}

    def text(self) -> str:
        """See :meth:`SplitRule.text`."""
        return "as the log's column says"


def usual(name: RuleName, seed: int) -> SplitRule:
    """Make the rule of a name, with its usual options.

    Args:
        name: of the rule.
        seed: which users validate and test follows from it, by ``user``.
    """
    match name:
        case "time":
            return ByTime()
        case "last":
            return ByLast()
        case "ratio":
            return ByRatio()
        case "user":
            return ByUser(seed)
        case "column":
            return ByColumn()


def _moments(impressions: Impressions) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Give each distinct user and time a number, in order.

    Returns:
        The moment of each impression ``[I]``, and the user of each moment.
    """
    user, time = impressions.user, impressions.time
    first = np.ones(len(user), bool)
    first[1:] = (np.diff(user) != 0) | (np.diff(time) != 0)
    return np.cumsum(first) - 1, user[first]


def _check_shares(what: str, valid: float, test: float) -> None:
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise DataError(f"shares of {what} to validate ({valid}) and test ({test}) must leave some to train")


def _cut_point(name: str, moment: Moment | int, times: NDArray[np.int64]) -> int:
    if isinstance(moment, datetime):
        return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())
    if isinstance(moment, int):
        return moment
    if not 0 < moment < 1:
        raise DataError(f"{name} is {moment}, expected a fraction between 0 and 1, or a moment")
    place = int(moment * len(times))
    return int(np.partition(times, place)[place])


def in_words(moment: float | datetime, ordered: bool) -> str:
    """Write a moment: of a log that has an order and no time, the number of its row."""
    return f"row {moment:,}" if ordered and isinstance(moment, int) else utc(moment)


def utc(seconds: float | datetime) -> str:
    """Write seconds since 1970 as date and time."""
    moment = seconds if isinstance(seconds, datetime) else datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
