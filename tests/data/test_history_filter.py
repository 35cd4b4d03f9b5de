"""Histories of what has a candidate's value, against a search in Python."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.batches import Batches
from dien.data.changing import Changing
from dien.data.dataset import Dataset
from dien.data.features import TIME_SINCE
from dien.data.history_filter import search, wanted_values
from dien.data.ragged import Column, Ragged
from dien.data.tables import SPLITS, SplitName
from tests.data.datasets import random_prepared, stored

NAMES = ("item", "category", "tags")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Repeats, unknown values, empty lists and histories; the second has histories that begin anywhere."""
    path = tmp_path_factory.mktemp("filter")
    one, other = (stored(random_prepared(seed, items=6, behaviours=90), path / str(seed)) for seed in (0, 1))
    random, splits = np.random.default_rng(2), {}
    for name, split in other.splits.items():
        begin = other.behaviours.offsets[split.user]
        splits[name] = replace(split, start=random.integers(begin, split.end + 1))
    return [one, replace(other, splits=splits)]


def values_of(column: Column, row: int) -> frozenset[int]:
    one = column[np.array([row])]
    return frozenset((one.values if isinstance(one, Ragged) else one).tolist()) - {0}


def by_hand(
    data: Dataset, name: SplitName, by: str, searched: int, most: int
) -> list[tuple[int, list[int], frozenset[int]]]:
    """Impression, behaviours that are read, and values of each candidate of a split, by loops."""
    split, behaviours, found = data.splits[name], data.behaviours, []
    column = np.arange(len(data.popularity), dtype=np.int32) if by == "item" else data.items[by]
    assert not isinstance(column, Changing)
    for i in range(len(split)):
        first = int(behaviours.offsets[split.user[i]] if split.start is None else split.start[i])
        past = range(max(first, int(split.end[i]) - searched), int(split.end[i]))
        for row in split.item[split.offsets[i] : split.offsets[i + 1]]:
            wanted = values_of(column, int(row))
            same = [k for k in past if values_of(column, int(behaviours.item[k])) & wanted]
            found.append((i, same[-most:], wanted))
    return found


@settings(max_examples=15)
@given(
    which=st.integers(0, 1),
    split=st.sampled_from(SPLITS),
    by=st.sampled_from(NAMES),
    searched=st.sampled_from([1, 3, 1000]),
    most=st.sampled_from([1, 2, 1000]),
)
def test_each_candidate_reads_the_newest_behaviours_that_have_its_value_and_equal_ones_share_them(
    datasets: list[Dataset], which: int, split: SplitName, by: str, searched: int, most: int
) -> None:
    data = datasets[which]
    assert data.schema.matched == NAMES
    (time_since,) = (feature for feature in data.schema.features if feature.name == TIME_SINCE)
    rows, behaviours = data.splits[split], data.behaviours
    wanted = iter(by_hand(data, split, by, searched, most))
    options = {"batch_size": 7, "max_history": most, "auxiliary": True, "match_history": 5}
    plain = Batches(data, split, **options)  # type: ignore[arg-type]
    filtered = Batches(data, split, filter_by=by, filter_history=searched, **options)  # type: ignore[arg-type]
    for batch, other in zip(filtered.epoch(0), plain.epoch(0), strict=True):
        histories = set()
        for r in batch.history_of.tolist():
            i, read, value = next(wanted)
            histories.add((i, value))
            steps = slice(int(batch.offsets[r]), int(batch.offsets[r + 1]))
            items = behaviours.item[read]
            since = time_since.encode(rows.time[i] - behaviours.time[read], {})
            for name, expected in (
                ("item", data.items["item"][items]),
                ("category", data.items["category"][items]),
                ("action", behaviours.features["action"][read]),
                (TIME_SINCE, since),
            ):
                assert batch.history[name][steps].tolist() == expected.tolist(), name  # type: ignore[index]
            assert batch.user_row is not None
            assert batch.user_row[r] == rows.user[i]
            assert batch.user["age"][r] == data.users["age"][rows.user[i]]  # type: ignore[index]
            assert batch.context["device"][r] == rows.context["device"][i]  # type: ignore[index]
        assert len(histories) == len(batch.offsets) - 1
        assert batch.negatives is not None
        assert len(batch.negatives["item"]) == batch.offsets[-1]  # type: ignore[arg-type]
        # What is not of the history is as it was: matches are counted over all of it.
        for field in ("matches", "label", "rows"):
            torch.testing.assert_close(getattr(batch, field), getattr(other, field), equal_nan=True)
        assert torch.equal(batch.target["item"], other.target["item"])  # type: ignore[arg-type]
    assert next(wanted, None) is None


def test_values_are_those_of_the_time_and_items_without_a_row_are_found_by_their_number() -> None:
    # Item 1 is of category 1, from second 10 on of 2.
    category = Changing(np.array([0, 1, 2], np.int32), np.array([0, 0, 10]), np.array([0, 1, 3]))
    rows = np.array([1, -1, 1], np.int32)
    found = wanted_values("category", {"category": category}, rows, np.array([9, 9, 10]))
    assert found.tolist() == [1, 0, 2]  # type: ignore[union-attr]
    past, one = wanted_values("item", {}, rows, None), np.array([0])
    for wanted, kept in ((-1, [1]), (1, [0, 2]), (-2, []), (0, [])):
        target = np.array([wanted], np.int32)
        assert search(past, np.array([0, 3]), target, one, 9).kept.tolist() == kept


def test_a_filter_that_cannot_be_is_refused_with_what_can(small_data: Dataset) -> None:
    for name in ("brand", "user", ""):
        with pytest.raises(ValueError, match=f"filter_by {name!r}: expected None or one of item, category"):
            Batches(small_data, "train", batch_size=9, max_history=2, filter_by=name)
    with pytest.raises(ValueError, match="filter_history 0 must be at least 1"):
        Batches(small_data, "train", batch_size=9, max_history=2, filter_by="item", filter_history=0)
