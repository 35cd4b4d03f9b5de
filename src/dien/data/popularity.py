"""How often everyone has had a candidate's item, category and so on until now, and lately.

What is popular changes faster than weights are trained. These numbers are of the moment of an impression:
whatever is counted lies strictly before its second. They follow from ids as matches do
(:mod:`dien.data.matches`): an item by its row, a feature of it by its index, of which 0 (unknown) has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.data.batch import WINDOWS, Columns, popularity_numbers
from dien.data.changing import LATEST, values_at
from dien.data.dataset import Dataset
from dien.data.matches import NO_TIME
from dien.data.ragged import Ragged, row_of
from dien.errors import ConfigError, DataError
from dien.packed import Packed

DAY = 86_400
_LONGEST = 2**32 - 2
"""Seconds of a log, 136 years: a key holds a value below 2^31 and one of so many seconds."""


@dataclass(frozen=True)
class Occurrences:
    """When each value occurred, as one sorted column: 8 bytes an occurrence.

    Attributes:
        keys: ``[n]`` int64, ``value * (last - first + 2) + time - first``, rising.
        first: the earliest second of any.
        last: the latest.
    """

    keys: NDArray[np.int64]
    first: int
    last: int

    @classmethod
    def of(cls, value: NDArray[np.integer], time: NDArray[np.int64], first: int, last: int) -> Occurrences:
        """Sort occurrences; those of the value 0, which is unknown, are left out.

        Args:
            value: ``[n]``, from 0 to 2^31.
            time: ``[n]`` seconds since 1970.
            first: not later than any of these.
            last: not earlier.

        Raises:
            DataError: from the first to the last are more than 136 years.
        """
        if last - first > _LONGEST:
            raise DataError(
                f"behaviours are from second {first} to {last} of 1970; expected 136 years at most; mend the "
                "times of the log and prepare it again"
            )
        known = value != 0
        found = cls(np.empty(0, np.int64), first, last)
        keys = found._keys(value[known], time[known])
        keys.sort()
        return cls(keys, first, last)

    def counts(self, value: NDArray[np.integer], time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the occurrences of values before some times, strictly.

        Args:
            value: ``[m]``; of 0 there are none.
            time: ``[m]`` seconds since 1970.

        Returns:
            ``[m, 1 + len(WINDOWS)]``: all, and those within each window, which its first second is in.
        """
        places = self._places(value, time)
        found: NDArray[np.int64] = (places[-1] - places[:-1]).T
        return found

    def counts_and_ages(
        self, value: NDArray[np.integer], time: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Count, and tell how long ago the first and the last of what is counted was.

        Args:
            value: ``[m]``.
            time: ``[m]`` seconds since 1970.

        Returns:
            What :meth:`counts` gives; and seconds ``[m, 2]``, NaN where there is none.
        """
        places = self._places(value, time)
        begin, end = places[0], places[-1]
        ages = np.full((len(end), 2), np.nan)
        some = np.flatnonzero(end > begin)
        for column, place in enumerate((begin, end - 1)):
            then = self.first + self.keys[place[some]] % self._span
            ages[some, column] = time[some] - then
        return (end - places[:-1]).T, ages

    def wrong(self) -> str | None:
        """Say what is wrong with columns that somebody else may have made; None where nothing is."""
        if not 0 <= self.last - self.first <= _LONGEST:
            return f"from second {self.first} to {self.last}; expected 136 years at most"
        if len(self.keys) and not (self._span <= self.keys[0] and self.keys[-1] < 2**31 * self._span):
            return f"keys from {self.keys[0]} to {self.keys[-1]}; expected those of values from 1 to 2^31"
        if (self.keys[1:] < self.keys[:-1]).any():
            return "keys fall; expected them in order"
        return None

    @property
    def _span(self) -> int:
        return self.last - self.first + 2

    def _places(self, value: NDArray[np.integer], time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find where values begin: all of each, those of each window, and what is not before a time.

        Returns:
            ``[1 + len(WINDOWS) + 1, m]`` places in :attr:`keys`.
        """
        begin = value.astype(np.int64) * self._span
        windows = (self._keys(value, time - days * DAY) for days in WINDOWS)
        wanted = np.stack([begin, *windows, self._keys(value, time)])
        order = np.argsort(wanted, axis=None)  # neighbours are found in the same part of memory
        found = np.empty(wanted.size, np.int64)
        found[order] = np.searchsorted(self.keys, wanted.ravel()[order], "left")
        places: NDArray[np.int64] = found.reshape(wanted.shape)
        return places

    def _keys(self, value: NDArray[np.integer], time: NDArray[np.int64]) -> NDArray[np.int64]:
        return value.astype(np.int64) * self._span + (np.clip(time, self.first, self.last + 1) - self.first)


@dataclass(frozen=True)
class Counted:
    """The behaviours of a dataset that popularity is counted over; all ``[n]``.

    Attributes:
        place: of each among all behaviours.
        time: seconds since 1970.
        untimed: how many behaviours have no time, and are left out.
        repeated: how many say again, in the history of another row, what is counted.
    """

    place: NDArray[np.int64]
    time: NDArray[np.int64]
    untimed: int
    repeated: int

    @classmethod
    def of(cls, dataset: Dataset) -> Counted:
        """Choose them: those with a time; where rows have their own histories, each once.

        Args:
            dataset: where from.
        """
        behaviours = dataset.behaviours
        time = np.asarray(behaviours.time)
        known = (time != NO_TIME) & (time != LATEST) & dataset.info.timed
        place = np.flatnonzero(known)
        timed = len(place)
        if dataset.info.own_histories:  # the rows of a user repeat what they have in common
            user = row_of(np.diff(behaviours.offsets))[place]
            place = place[firsts(user, behaviours.item[place], time[place])]
        return cls(place, time[place], len(time) - timed, timed - len(place))


@dataclass(frozen=True)
class Popularity:
    """Occurrences of all values of items that candidates are matched by.

    Attributes:
        occurrences: by name, the item first (:attr:`Schema.matched`).
        untimed: as of :class:`Counted`.
        repeated: likewise.
    """

    occurrences: dict[str, Occurrences]
    untimed: int = 0
    repeated: int = 0

    @classmethod
    def of(cls, dataset: Dataset) -> Popularity:
        """Sort the behaviours of a dataset by each name.

        Raises:
            ConfigError: none has a time.
            DataError: they are from more than 136 years.
        """
        counted = Counted.of(dataset)
        if not len(counted.place):
            raise ConfigError(
                f"model.popularity: the behaviours of {dataset.path} have no times, so that it is not known "
                "which lie before an impression; prepare the data with times, or set model.popularity=false"
            )
        item, time = dataset.behaviours.item[counted.place], counted.time
        first, last = int(time.min()), int(time.max())
        found = {}
        for name in dataset.schema.matched:
            value = item if name == "item" else values_at({name: dataset.items[name]}, item, time)[name]
            if isinstance(value, Ragged):
                of_each = np.repeat(time, np.diff(value.offsets))
                found[name] = Occurrences.of(value.values, of_each, first, last)
            else:
                found[name] = Occurrences.of(value.astype(np.int64), time, first, last)
        return cls(found, counted.untimed, counted.repeated)

    @property
    def last(self) -> int:
        """The latest second of any behaviour."""
        return self.occurrences["item"].last

    def numbers(self, item: NDArray[np.integer], features: Columns, time: NDArray[np.int64]) -> Tensor:
        """Count for candidates.

        Args:
            item: ``[B]`` item rows; items without one are 0 or below, and nobody has had them.
            features: of the candidates, encoded, by name.
            time: ``[B]`` seconds since 1970 of their impressions.

        Returns:
            ``[B, F (1 + len(WINDOWS)) + 2]`` float32: by each name all behaviours before; by each name those
            within each window of days, the shortest first; then the seconds since the item's first behaviour
            and since its last, NaN where there is none. Of lists it is the mean over the known values.
        """
        F = len(self.occurrences)
        found = np.zeros((len(item), popularity_numbers(F)), np.float32)
        item = np.maximum(item, 0)
        counts: NDArray[np.number]
        for f, (name, occurrences) in enumerate(self.occurrences.items()):
            if name == "item":
                counts, found[:, -2:] = occurrences.counts_and_ages(item, time)
            elif isinstance(column := features[name], Packed):
                counts = _mean_counts(occurrences, column, time)
            else:
                counts = occurrences.counts(column.numpy(), time)
            found[:, f:-2:F] = counts
        return torch.from_numpy(found)


def firsts(*columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Find the first of each of the rows ``[n]`` that are alike in all columns, in their order."""
    order = np.lexsort(columns)  # stable
    new = np.zeros(len(order), bool)
    new[:1] = True
    for column in columns:
        new[1:] |= np.diff(column[order]) != 0
    return np.sort(order[new])


def popularity_of(dataset: Dataset) -> Popularity:
    """Give what is counted of a dataset: sorted at first use, then kept in memory as long as the dataset is.

    It takes 8 bytes for each behaviour and name, of lists for each of their values.

    Raises:
        ConfigError: no behaviour has a time.
        DataError: they are from more than 136 years.
    """
    if (found := _of_dataset.get(dataset)) is None:
        found = _of_dataset[dataset] = Popularity.of(dataset)
    return found


_of_dataset: WeakKeyDictionary[Dataset, Popularity] = WeakKeyDictionary()
"""What is counted of the datasets that are open."""


def _mean_counts(occurrences: Occurrences, lists: Packed, time: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average over the known values of lists ``[m]``; 0 where there is none."""
    values, row = lists.values.numpy(), row_of(np.diff(lists.offsets.numpy()))
    counts = occurrences.counts(values, time[row])  # [V, 1 + len(WINDOWS)]
    sums = [np.bincount(row, column, minlength=len(time)) for column in counts.T]
    known = np.bincount(row[values != 0], minlength=len(time))
    return np.stack(sums, axis=1) / np.maximum(known, 1)[:, None]
