from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.prepare import impressions
from dien.data.prepare.grouping import Impressions
from dien.data.prepare.splits import ByColumn, ByLast, ByRatio, ByTime, ByUser
from dien.data.tables import SPLITS, no_leak
from dien.errors import DataError
from tests.data.logs import make_log, random_log, rows_of

LOG = random_log(users=60, items=12, events=1200)


def single_events(user: np.ndarray, time: np.ndarray) -> Impressions:
    """Impressions of one event each."""
    event, ones = np.arange(len(user)), np.ones(len(user), np.int64)
    return Impressions(event, user, time, event, event, ones, event, column=None)


def moments(log) -> dict[str, list[int]]:
    """The moments of each user in order."""
    of_user: dict[str, set[int]] = {}
    for row in log.events.rows(named=True):
        of_user.setdefault(row["user"], set()).add(row["time"])
    return {user: sorted(times) for user, times in of_user.items()}


def test_by_last_tests_on_the_last_moment_and_validates_on_the_one_before():
    prepared = impressions(LOG, ByLast(), warmup=0)
    assert no_leak(prepared)
    expected = {"train": set(), "valid": set(), "test": set()}
    for user, times in moments(LOG).items():
        for place, time in enumerate(times, 1):
            left = len(times) - place
            name = "train" if len(times) < 3 or left > 1 else ("valid" if left else "test")
            expected[name].add((user, time))
    for name in SPLITS:
        assert {(r["user"], r["time"]) for r in rows_of(prepared, name)} == expected[name]


def parts_of_recbole(events: int) -> list[int]:
    """How many of a user's events train, validate and test, as RecBole's _calcu_split_ids has it."""
    ratios = [0.8, 0.1, 0.1]
    counts = [int(ratio * events) for ratio in ratios]
    counts[0] = events - sum(counts[1:])
    for i in range(1, 3):
        if counts[0] <= 1:
            break
        if 0 < ratios[-i] * events < 1:
            counts[-i] += 1
            counts[0] -= 1
    return counts


@settings(max_examples=50)
@given(st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_by_ratio_splits_events_of_different_seconds_as_recbole_does(numbers):
    user = np.repeat(np.arange(1, len(numbers) + 1, dtype=np.int32), numbers)
    found = ByRatio().assign(single_events(user, np.arange(len(user))))
    expected = []
    for number in numbers:
        train, valid, test = parts_of_recbole(number - 1)  # RecBole: the first is history alone
        expected += [0] * (1 + train) + [1] * valid + [2] * test
    assert found.tolist() == expected


def test_by_ratio_keeps_a_moment_whole_in_the_split_of_its_middle_event():
    log = random_log(users=40, items=12, events=2000)
    prepared = impressions(log, ByRatio(), warmup=0)
    assert no_leak(prepared)
    part = {(r["user"], r["time"]): name for name in SPLITS for r in rows_of(prepared, name)}
    for user in log.users["user"]:
        times = sorted(log.events.filter(pl.col("user") == user)["time"])
        train, valid, test = parts_of_recbole(len(times) - 1)
        by_event = ["train"] * (1 + train) + ["valid"] * valid + ["test"] * test
        for time in set(times):
            first, shown = times.index(time), times.count(time)
            assert part[user, time] == by_event[first + (shown - 1) // 2]


def test_by_user_puts_no_user_in_two_splits_and_takes_the_shares_asked_for():
    log = random_log(users=2000, items=12, events=9000)
    prepared = impressions(log, ByUser(seed=3, valid=0.2, test=0.3), warmup=0)
    users = [set(prepared.splits[name].user.tolist()) for name in SPLITS]
    assert not users[0] & users[1] | users[1] & users[2] | users[0] & users[2]
    assert 0.17 < len(users[1]) / 2000 < 0.23
    assert 0.26 < len(users[2]) / 2000 < 0.34
    other = impressions(log, ByUser(seed=4, valid=0.2, test=0.3), warmup=0)
    assert set(other.splits["test"].user.tolist()) != users[2]


@settings(max_examples=30)
@given(st.integers(1, 50), st.integers(0, 30))
def test_by_user_puts_a_user_in_the_same_split_whatever_slice_is_asked(first, width):
    user = np.arange(1, 100, dtype=np.int32)
    rule = ByUser(seed=1, valid=0.3, test=0.3)
    time = np.zeros(99, np.int64)
    whole = rule.assign(single_events(user, time))
    part = slice(first, first + width)
    assert np.array_equal(rule.assign(single_events(user[part], time[part])), whole[part])


def test_by_column_splits_as_the_log_says_and_counts_what_it_leaves_out():
    split = np.random.default_rng(0).integers(0, 4, LOG.events["time"].max() + 1)
    log = replace(
        LOG, events=LOG.events.with_columns(pl.Series("split", split[LOG.events["time"]].astype(np.int8)))
    )
    prepared = impressions(log, ByColumn(), warmup=0)
    for number, name in enumerate(SPLITS):
        assert {r["time"] for r in rows_of(prepared, name)} == {
            t for t in LOG.events["time"] if split[t] == number
        }
    assert prepared.excluded["events in no split"] == sum(split[t] == 3 for t in LOG.events["time"])


def test_by_time_puts_the_gap_before_a_cut_in_no_split():
    whole = impressions(LOG, ByTime(0.5, 0.8), warmup=0)
    prepared = impressions(LOG, ByTime(0.5, 0.8, gap=20), warmup=0)
    valid, test = whole.recipe.valid_from, whole.recipe.test_from
    assert prepared.splits["train"].time.max() < valid - 20
    assert prepared.splits["valid"].time.min() >= valid
    assert prepared.splits["valid"].time.max() < test - 20
    lost = sum(valid - 20 <= t < valid or test - 20 <= t < test for t in LOG.events["time"])
    assert prepared.excluded["events in no split"] == lost > 0
    # what trains counts no item of the gap
    counted = sum(t < valid - 20 for t in LOG.events["time"])
    assert prepared.popularity.sum() == counted


def test_split_rules_that_cannot_be_used_with_a_log_are_refused():
    for rule, message in (
        (ByTime(0.8, 0.8), "set them further apart"),
        (ByTime(0.5, 0.8, gap=10**6), "more than the gap"),
        (ByTime(datetime(1971, 1, 1), datetime(1970, 1, 1)), "is not before"),
        (ByTime(gap=-1), "gap is -1"),
        (ByUser(valid=0.5, test=0.5), "leave some to train"),
        (ByRatio(valid=-0.1), "shares of events"),
        (ByColumn(), "the log has none"),
    ):
        with pytest.raises(DataError, match=message):
            impressions(LOG, rule, warmup=0)


def test_by_last_trains_on_users_with_fewer_than_three_moments():
    rows = [
        ("a", "x", 1),
        ("a", "y", 2),
        ("b", "x", 1),
        ("c", "x", 1),
        ("c", "y", 1),
        ("c", "x", 2),
        ("b", "z", 9),
    ]
    prepared = impressions(make_log(rows), ByLast(), warmup=0, negatives=1)
    assert len(prepared.splits["train"]) == 6
    assert not len(prepared.splits["valid"])
    assert not len(prepared.splits["test"])
