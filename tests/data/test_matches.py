"""Matches of candidates and histories, against counting in Python."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.batches import Batches
from dien.data.changing import LATEST, Changing, values_at
from dien.data.dataset import Dataset
from dien.data.matches import matches_of
from dien.data.ragged import Column, Ragged
from dien.data.tables import SPLITS
from dien.data.times import Times
from tests.data.datasets import random_prepared, stored

NAMES = ("item", "category", "tags")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Repeats, unknown values, empty lists and histories; the second has histories that begin anywhere."""
    path = tmp_path_factory.mktemp("matches")
    one, other = (stored(random_prepared(seed, items=4, behaviours=90), path / str(seed)) for seed in (0, 1))
    random, splits = np.random.default_rng(2), {}
    for name, split in other.splits.items():
        begin = other.behaviours.offsets[split.user]
        splits[name] = replace(split, start=random.integers(begin, split.end + 1))
    return [one, replace(other, splits=splits)]


def values_of(column: Column, row: int) -> set[int]:
    one = column[np.array([row])]
    return {*(one.values if isinstance(one, Ragged) else one).tolist()} - {0}


def by_hand(data: Dataset, name: str, most: int, timed: bool) -> list[list[float]]:
    """The numbers of every candidate of a split, by loops."""
    split, behaviours, found = data.splits[name], data.behaviours, []
    assert data.schema.matched == NAMES
    tables = {**data.items, "item": np.arange(len(data.popularity))}
    for i in range(len(split)):
        first = int(behaviours.offsets[split.user[i]] if split.start is None else split.start[i])
        past = range(max(first, int(split.end[i]) - most), int(split.end[i]))
        for row in split.item[split.offsets[i] : split.offsets[i + 1]]:
            counts, steps, seconds = [], [], []
            for column in (tables[one] for one in NAMES):
                wanted = values_of(column, int(row))
                same = [k for k in past if values_of(column, int(behaviours.item[k])) & wanted]
                counts.append(float(len(same)))
                steps.append(float(past.stop - same[-1]) if same else math.nan)
                then = int(behaviours.time[same[-1]]) if same and timed else 0
                seconds.append(float(split.time[i] - then) if then else math.nan)
            found.append([float(len(past)), *counts, *steps, *seconds])
    return found


@settings(max_examples=25)
@given(
    which=st.integers(0, 1),
    split=st.sampled_from(SPLITS),
    most=st.sampled_from([1, 2, 5, 1000]),
    timed=st.booleans(),
)
def test_the_numbers_are_those_of_counting_over_the_newest_behaviours(
    datasets: list[Dataset], which: int, split: str, most: int, timed: bool
) -> None:
    data = datasets[which]
    info = msgspec.structs.replace(data.info, times=Times(form="s" if timed else "order"))
    data = replace(data, info=info)
    batches = Batches(data, split, batch_size=7, max_history=2, match_history=most)  # type: ignore[arg-type]
    found = torch.cat([batch.matches for batch in batches.epoch(0) if batch.matches is not None])
    torch.testing.assert_close(found, torch.tensor(by_hand(data, split, most, timed)), equal_nan=True)


def test_matches_are_made_where_they_are_asked_for_alone(datasets: list[Dataset]) -> None:
    data = datasets[0]
    assert Batches(data, "train", batch_size=9, max_history=2).batch(0, 0).matches is None
    with pytest.raises(ValueError, match="match_history 0 must be at least 1, or None for no matches"):
        Batches(data, "train", batch_size=9, max_history=2, match_history=0)


def test_negatives_that_are_drawn_anew_are_matched_themselves(small_data: Dataset) -> None:
    batches = Batches(
        small_data, "train", batch_size=64, max_history=2, shuffle=False, negatives="redrawn", match_history=9
    )
    for epoch in (0, 1):
        batch = batches.batch(epoch, 0)
        assert batch.matches is not None
        assert batch.rows is not None
        split, behaviours = small_data.splits["train"], small_data.behaviours
        row_of_id = {int(one): row for row, one in enumerate(small_data.items["item"])}
        for b, r in enumerate(batch.history_of.tolist()):
            end = int(split.end[r])
            past = behaviours.item[max(int(behaviours.offsets[split.user[r]]), end - 9) : end]
            item = row_of_id[int(batch.target["item"][b])]  # type: ignore[index,arg-type]
            assert batch.matches[b, 1] == (past == item).sum()


def test_values_that_change_are_matched_as_they_were_then_and_items_without_a_row_by_their_number() -> None:
    # Item 1 is of category 1, from second 10 on of 2; item 2 is of 2.
    category = Changing(np.array([0, 1, 2, 2], np.int32), np.array([0, 0, 10, 0]), np.array([0, 1, 3, 4]))
    items, history = {"category": category}, np.array([1, -1, 1, -2], np.int32)
    target, now = np.array([2, -1, 0], np.int32), np.array([15])
    features = {
        "category": torch.from_numpy(np.asarray(values_at(items, np.maximum(target, 0), None)["category"]))
    }
    found = matches_of(
        ("item", "category"),
        items,
        item=history,
        time=np.array([5, 6, 12, LATEST]),
        place=np.arange(4),
        offsets=np.array([0, 4]),
        target=target,
        target_features=features,
        history_of=np.zeros(3, np.int64),
        now=now,
        timed=True,
    )
    nan = math.nan
    expected = [[4, 0, 1, nan, 2, nan, 3], [4, 1, 0, 3, nan, 9, nan], [4, 0, 0, nan, nan, nan, nan]]
    torch.testing.assert_close(found, torch.tensor(expected), equal_nan=True)


def test_a_behaviour_later_than_the_request_is_no_time_before_it() -> None:
    found = matches_of(
        ("item",),
        {},
        item=np.array([3], np.int32),
        time=np.array([50]),
        place=np.arange(1),
        offsets=np.array([0, 1]),
        target=np.array([3, 3], np.int32),
        target_features={},
        history_of=np.zeros(2, np.int64),
        now=np.array([20]),
        timed=True,
    )
    assert found.tolist() == [[1, 1, 1, 0]] * 2
