"""Negative sampling: items other than what was clicked, by popularity, uniformly, or like the positive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from dien.data.changing import Changing
from dien.data.ragged import Column, to_offsets
from dien.data.random_streams import RandomStreams
from dien.errors import DataError

Integers = NDArray[np.integer]
Source = Generator | RandomStreams
"""Where random numbers come from: one generator, or a stream of its own for each draw."""

_NOTHING = "no item has a popularity above 0: there is nothing to draw negatives from"
_EXHAUSTED = (
    "an impression's positives are all the items that negatives could be drawn from; "
    "use a log with more items"
)


class NegativeSampler(Protocol):
    """Draws negatives for the positives of impressions."""

    def draw_outside(
        self, rng: Generator, group: Integers, taken_group: Integers, taken_item: Integers, like: Integers
    ) -> NDArray[np.int32]:
        """Draw items that their group has not taken.

        Args:
            rng: source of the draws.
            group: ``[n]`` the group of each draw: the impression in which it stands.
            taken_group: ``[P]`` groups, in any order.
            taken_item: ``[P]`` an item its group may not be given.
            like: ``[n]`` the positive each draw is a negative of.

        Returns:
            ``[n]`` int32.

        Raises:
            DataError: a group has taken every item that could be drawn.
        """


def negative_sampler(
    by: str, popularity: Integers, value: Column | Changing | None = None
) -> NegativeSampler:
    """Make the sampler of a rule.

    Args:
        by: ``popularity``; ``uniform`` over the items with a popularity; or the name of an item feature: by
            popularity among the items with the positive's value.
        popularity: ``[I]`` counts.
        value: ``[I]`` the item feature's values, where one is named.

    Raises:
        DataError: no item has a popularity, or ``by`` names no categorical item feature.
    """
    if by == "popularity":
        return PopularitySampler(popularity)
    if by == "uniform":
        return PopularitySampler((popularity > 0).astype(np.int64))
    if not isinstance(value, np.ndarray) or value.dtype != np.int32:
        raise DataError(f"negatives by {by!r}: expected popularity, uniform or a categorical item feature")
    return SameValueSampler(popularity, value.astype(np.int32, copy=False))


class PopularitySampler:
    """Draws items in proportion to their counts, by the alias method.

    Item ``i`` has a bucket of equal size; the part of it below ``threshold[i]`` is its own, the rest belongs
    to ``alias[i]``. So a draw reads two numbers, however many items there are. Integers all through: the
    proportions are exact.

    Args:
        counts: ``[I]`` integers >= 0.

    Raises:
        DataError: no item has a count, or the counts are too large for 64 bits.
    """

    def __init__(self, counts: Integers) -> None:
        self._total = int(counts.sum())
        self._items = len(counts)
        if self._total == 0:
            raise DataError(_NOTHING)
        if self._total * self._items >= 2**63:
            raise DataError(f"{self._items} items with {self._total} events: too many to draw from exactly")
        self._drawable = counts > 0
        self._n_drawable = np.count_nonzero(counts)
        self._threshold, self._alias = _alias_table(counts.astype(np.int64), self._total)

    def draw(self, rng: Generator, size: int) -> NDArray[np.int32]:
        """Draw ``[size]`` items."""
        return self._items_at(rng.integers(self._items * self._total, size=size))

    def draw_other_than(self, source: Source, items: Integers) -> NDArray[np.int32]:
        """Draw one item for each of ``items [n]``, other than it.

        Args:
            source: a generator, or ``n`` streams.
            items: ``[n]``.

        Raises:
            DataError: one of ``items`` is the only one that could be drawn.
        """
        if self._n_drawable == 1 and self._drawable[items].any():
            raise DataError("a single item has all events: there is no other to draw as its negative")
        return self._redraw(source, len(items), lambda drawn, which: drawn == items[which])

    def draw_outside(
        self,
        rng: Generator,
        group: Integers,
        taken_group: Integers,
        taken_item: Integers,
        like: Integers | None = None,
    ) -> NDArray[np.int32]:
        """Draw items that their group has not taken; see :class:`NegativeSampler`. ``like`` plays no part."""
        taken = np.unique(taken_group.astype(np.int64) * self._items + taken_item)  # [<= P] group, then item
        drawable = self._drawable[taken % self._items]
        exhausted = np.bincount(taken[drawable] // self._items) == self._n_drawable
        if exhausted.any() and np.isin(group, exhausted.nonzero()[0]).any():
            raise DataError(_EXHAUSTED)
        key = group.astype(np.int64) * self._items

        def clashes(drawn: NDArray[np.int32], which: NDArray[np.int64]) -> NDArray[np.bool_]:
            wanted = key[which] + drawn
            place = np.searchsorted(taken, wanted)
            return taken.take(place, mode="clip") == wanted if len(taken) else np.zeros(len(drawn), bool)

        return self._redraw(rng, len(group), clashes)

    def _items_at(self, points: NDArray[np.int64]) -> NDArray[np.int32]:
        """Read the items at points ``[n]`` of the line of all buckets."""
        bucket, within = np.divmod(points, self._total)
        return np.where(within < self._threshold[bucket], bucket, self._alias[bucket]).astype(np.int32)

    def _redraw(
        self,
        source: Source,
        size: int,
        clashes: Callable[[NDArray[np.int32], NDArray[np.int64]], NDArray[np.bool_]],
    ) -> NDArray[np.int32]:
        """Draw ``[size]`` items, and draw anew what clashes, until nothing does."""

        def items(which: NDArray[np.int64]) -> NDArray[np.int32]:
            high = self._items * self._total
            if isinstance(source, RandomStreams):
                return self._items_at(source.integers(high, which))
            return self._items_at(source.integers(high, size=len(which)))

        which = np.arange(size)
        drawn = items(which)
        while len(which := which[clashes(drawn[which], which)]):
            drawn[which] = items(which)
        return drawn


class SameValueSampler:
    """Draws by popularity among the items that have the positive's value of a feature.

    Where the value is unknown, or the group has taken all other items that have it, by popularity among all.

    Items lie on a line in the order of their values, each as long as its count, so that a value is a stretch
    of the line. What its group has taken is cut out of the stretch before a point of it is drawn: no draw has
    to be repeated, even where the positive has nearly all of its value's counts.

    Args:
        counts: ``[I]`` integers >= 0.
        value: ``[I]`` the feature; 0 is unknown.

    Raises:
        DataError: no item has a count.
    """

    def __init__(self, counts: Integers, value: Integers) -> None:
        if not counts.any():
            raise DataError(_NOTHING)
        self._value = value
        self._order = np.argsort(self._value, kind="stable").astype(np.int32)  # [I] item by place
        self._place = np.empty_like(self._order)  # [I] place by item
        self._place[self._order] = np.arange(len(self._order), dtype=np.int32)
        self._before = to_offsets(counts[self._order])  # [I + 1] counts before each place
        self._first = to_offsets(np.bincount(value))  # [values + 1] first place of each

    def draw_outside(
        self, rng: Generator, group: Integers, taken_group: Integers, taken_item: Integers, like: Integers
    ) -> NDArray[np.int32]:
        """Draw items that their group has not taken, see :class:`NegativeSampler`."""
        I, total = len(self._order), self._before[-1]  # noqa: E741
        taken = np.unique(taken_group.astype(np.int64) * I + self._place[taken_item])  # group, then place
        taken_group, taken_place = np.divmod(taken, I)
        cut_out = to_offsets(self._before[taken_place + 1] - self._before[taken_place])  # [<= P + 1]
        # Where each was cut, if the lines of all groups stood one after the other: rising.
        cut = taken_group * total + self._before[taken_place] - cut_out[:-1]

        def left(first: Integers, end: Integers) -> tuple[Integers, Integers]:
            """Find what is cut out before stretches ``[n]`` of places, and what is left of each."""
            before, within = (cut_out[np.searchsorted(taken, group * I + place)] for place in (first, end))
            return before, self._before[end] - self._before[first] - (within - before)

        group, value = group.astype(np.int64), self._value[like]
        first, end = self._first[value], self._first[value + 1]  # [n] places
        alone = (value == 0) | (left(first, end)[1] == 0)
        first, end = np.where(alone, 0, first), np.where(alone, I, end)
        cut_before, remaining = left(first, end)
        if not remaining.all():
            raise DataError(_EXHAUSTED)
        point = rng.integers(remaining)  # [n] of what is left of the stretch
        point += group * total + self._before[first] - cut_before
        point += cut_out[np.searchsorted(cut, point, side="right")] - group * total
        drawn: NDArray[np.int32] = self._order[np.searchsorted(self._before[1:], point, side="right")]
        return drawn


def _alias_table(counts: NDArray[np.int64], total: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Fill the buckets without a loop, in the order of a sweep over light and heavy items.

    Every bucket holds ``total``; item ``i`` brings ``len(counts) * counts[i]``. The light items' deficits are
    filled from the first heavy item until what it has left is less than a bucket; its own bucket is then
    filled by the next heavy item, which goes on. Where each of them stands follows from the running sums of
    deficits and excesses.
    """
    threshold = counts * len(counts)
    alias = np.arange(len(counts), dtype=np.int32)
    heavy = (threshold > total).nonzero()[0].astype(np.int32)
    light = (threshold < total).nonzero()[0].astype(np.int32)
    deficit = np.cumsum(total - threshold[light])  # [light] ends at the same sum as the excess
    excess = np.cumsum(threshold[heavy] - total)  # [heavy]
    before = deficit - (total - threshold[light])
    alias[light] = heavy[np.searchsorted(excess, before, side="left")]
    emptied_by = np.searchsorted(deficit, excess[:-1], side="right")
    threshold[heavy[:-1]] = total - (deficit[emptied_by] - excess[:-1])
    alias[heavy[:-1]] = heavy[1:]
    threshold[heavy[-1:]] = total
    return threshold, alias
