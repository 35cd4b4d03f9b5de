"""Popularity of candidates until their impressions, against counting in Python."""

import gc
import math
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec import structs

from dien.data.batch import WINDOWS
from dien.data.batches import Batches
from dien.data.changing import LATEST, Changing, values_at
from dien.data.dataset import Dataset
from dien.data.features import Schema
from dien.data.matches import NO_TIME
from dien.data.popularity import DAY, Occurrences, popularity_of
from dien.data.ragged import Ragged
from dien.data.tables import SPLITS, SplitName
from dien.data.times import Times
from dien.errors import ConfigError, DataError
from dien.packed import Packed
from tests.data.datasets import random_prepared, stored

HALF_WEEK = 7 * DAY // 2  # so that behaviours lie on the edges of all windows
NAMES = ("item", "category", "tags")


def varied(path: Path, kind: int) -> Dataset:
    """A random dataset with rows at the second of a behaviour, unknown values, lists and empty ones.

    Args:
        path: where to write it.
        kind: 0 has behaviours without a time; 1 and 2 have a category that changes, 2 own histories, too.
    """
    data = stored(random_prepared(kind, items=4, behaviours=90), path)
    random, splits = np.random.default_rng(kind), {}
    for name, split in data.splits.items():
        start = random.integers(data.behaviours.offsets[split.user], split.end + 1) if kind == 2 else None
        splits[name] = replace(split, time=split.time * HALF_WEEK, start=start)
    time = np.maximum(data.behaviours.time - (10 if kind == 0 else 0), NO_TIME)
    behaviours = replace(data.behaviours, time=time * HALF_WEEK)
    if kind == 2:
        info = structs.replace(data.info, format=4, recipe=structs.replace(data.info.recipe, history="row"))
        data = replace(data, info=info)
    if kind >= 1:
        rows = len(data.popularity)
        values = np.append(0, random.integers(0, 4, 2 * (rows - 1))).astype(np.int32)
        since = np.append(0, np.tile([0, 50 * HALF_WEEK], rows - 1))
        category = Changing(values, since, np.append(0, np.arange(1, 2 * rows, 2)))
        features = (replace(f, changes=f.name == "category") for f in data.schema.features)
        data = replace(data, items={**data.items, "category": category}, schema=Schema(tuple(features)))
    return replace(data, splits=splits, behaviours=behaviours)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    path = tmp_path_factory.mktemp("popularity")
    return [varied(path / str(kind), kind) for kind in range(3)]


def values_of(data: Dataset, name: str, item: int, time: int) -> list[int]:
    """The known values that an item had at a time."""
    if name == "item":
        return [item] if item else []
    found = values_at({name: data.items[name]}, np.array([item]), np.array([time]))[name]
    return [value for value in (found.values if isinstance(found, Ragged) else found).tolist() if value]


def by_hand(data: Dataset, split: SplitName) -> list[list[float]]:
    """The numbers of every candidate of a split, by loops."""
    behaviours, of = data.behaviours, data.splits[split]
    user = np.repeat(np.arange(len(behaviours.offsets) - 1), np.diff(behaviours.offsets)).tolist()
    events = [
        one
        for one in zip(user, behaviours.item.tolist(), behaviours.time.tolist(), strict=True)
        if one[2] != NO_TIME
    ]
    if data.info.own_histories:
        events = list(set(events))
    when: dict[tuple[str, int], list[int]] = {}
    for _, item, time in events:
        for name in NAMES:
            for value in values_of(data, name, item, time):
                when.setdefault((name, value), []).append(time)
    found = []
    for i in range(len(of)):
        now = int(of.time[i])
        for item in of.item[of.offsets[i] : of.offsets[i + 1]].tolist():
            row = []
            for days in (None, *WINDOWS):
                for name in NAMES:
                    values = values_of(data, name, item, now)
                    past = [t for value in values for t in when.get((name, value), []) if t < now]
                    if days is not None:
                        past = [t for t in past if t >= now - days * DAY]
                    row.append(len(past) / max(len(values), 1))
            past = [t for t in when.get(("item", item), []) if t < now]
            row += [float(now - min(past)), float(now - max(past))] if past else [math.nan, math.nan]
            found.append(row)
    return found


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("which", range(3))
def test_the_numbers_are_those_of_counting_what_lies_strictly_before_the_row(
    datasets: list[Dataset], which: int, split: SplitName
) -> None:
    data = datasets[which]
    assert data.schema.matched == NAMES
    batches = Batches(data, split, batch_size=17, max_history=2, popularity=True)
    found = torch.cat([batch.popularity for batch in batches.epoch(0) if batch.popularity is not None])
    torch.testing.assert_close(found, torch.tensor(by_hand(data, split)), equal_nan=True, rtol=0, atol=0)


def test_what_is_not_counted_is_told_and_nothing_is_made_where_it_is_not_asked_for(
    datasets: list[Dataset],
) -> None:
    found = [popularity_of(data) for data in datasets]
    untimed = [int((data.behaviours.time == NO_TIME).sum()) for data in datasets]
    assert [one.untimed for one in found] == untimed
    assert untimed[0] > 0
    assert [one.repeated > 0 for one in found] == [False, False, True]
    assert Batches(datasets[0], "train", batch_size=9, max_history=2).batch(0, 0).popularity is None


def test_it_is_counted_once_for_each_dataset_and_kept_no_longer_than_that(datasets: list[Dataset]) -> None:
    data = replace(datasets[0])
    found = popularity_of(data)
    assert popularity_of(data) is found
    behaviours = replace(data.behaviours, time=data.behaviours.time + (data.behaviours.time != NO_TIME))
    assert popularity_of(replace(data, behaviours=behaviours)).last == found.last + 1
    kept, known = weakref.ref(found), weakref.ref(data)
    del data, found
    gc.collect()
    assert known() is None
    assert kept() is None


def test_negatives_that_are_drawn_anew_are_counted_themselves(small_data: Dataset) -> None:
    batches = Batches(small_data, "train", batch_size=64, max_history=2, negatives="redrawn", popularity=True)
    behaviours, split = small_data.behaviours, small_data.splits["train"]
    row_of_id = {int(one): row for row, one in enumerate(small_data.items["item"])}  # type: ignore[arg-type]
    for epoch in (0, 1):
        batch = batches.batch(epoch, 0)
        assert batch.popularity is not None
        for b, r in enumerate(batch.history_of.tolist()):
            item = row_of_id[int(batch.target["item"][b])]  # type: ignore[index,arg-type]
            before = behaviours.time < split.time[r]
            assert batch.popularity[b, 0] == (before & (behaviours.item == item)).sum()


@pytest.mark.parametrize("ordered", [True, False])
def test_a_dataset_without_times_is_refused_in_words(datasets: list[Dataset], ordered: bool) -> None:
    data = datasets[0]
    info = structs.replace(data.info, times=Times(form="order" if ordered else "s"))
    time = data.behaviours.time if ordered else np.full_like(data.behaviours.time, NO_TIME)
    data = replace(data, info=info, behaviours=replace(data.behaviours, time=time))
    with pytest.raises(ConfigError, match=r"^model.popularity: .* no times.*; .* set model.popularity=false"):
        Batches(data, "train", batch_size=9, max_history=2, popularity=True)


def test_an_item_that_nobody_knows_has_had_nobody_and_a_time_after_all_counts_all(
    datasets: list[Dataset],
) -> None:
    popularity, offsets = popularity_of(datasets[0]), torch.zeros(5, dtype=torch.int64)
    features = {"category": torch.zeros(4, dtype=torch.int64), "tags": Packed(offsets[:0], offsets)}
    item = np.array([-3, 0, 1, 1])
    found = popularity.numbers(item, features, np.array([LATEST, 5, LATEST, popularity.last + 1]))
    expected = torch.zeros(2, 14)
    expected[:, -2:] = torch.nan
    torch.testing.assert_close(found[:2], expected, equal_nan=True)
    behaviours = datasets[0].behaviours
    assert found[2:, 0].tolist() == [((behaviours.item == 1) & (behaviours.time != NO_TIME)).sum()] * 2
    assert (found[2:, 1:3] == 0).all()


def test_the_largest_values_and_times_keep_their_order_and_longer_logs_are_refused() -> None:
    value, time = np.array([2**31 - 1, 2**31 - 2, 2**31 - 1]), np.array([2**32 - 2, 2**32 - 2, 0])
    found = Occurrences.of(value, time, 0, 2**32 - 2)
    assert (np.diff(found.keys) > 0).all()
    now = np.full(2, 2**32 - 1)
    counts, ages = found.counts_and_ages(value[:2], now)
    assert counts[:, 0].tolist() == [2, 1]
    assert ages.tolist() == [[2**32 - 1, 1], [1, 1]]
    with pytest.raises(DataError, match=r"from second 0 to 4294967295 of 1970; expected 136 years at most"):
        Occurrences.of(value, time, 0, 2**32 - 1)
