from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.log import DataError
from dien.data.prepared import SPLITS, no_leak
from dien.data.recipes import impressions
from dien.data.recipes.splits import ByColumn, ByLast, ByTime, ByUser
from tests.data.logs import make_log, random_log, rows_of

LOG = random_log(users=60, items=12, events=1200)


def moments(log) -> dict[str, list[int]]:
    """The moments of each user in order."""
    of_user: dict[str, set[int]] = {}
    for row in log.events.rows(named=True):
        of_user.setdefault(row["user"], set()).add(row["time"])
    return {user: sorted(times) for user, times in of_user.items()}


def test_by_last_the_last_moment_tests_and_the_one_before_validates():
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


def test_by_user_no_user_is_in_two_splits_and_shares_are_as_asked():
    log = random_log(users=2000, items=12, events=9000)
    prepared = impressions(log, ByUser(seed=3, valid=0.2, test=0.3), warmup=0)
    users = [set(prepared.splits[name].user.tolist()) for name in SPLITS]
    assert not users[0] & users[1] | users[1] & users[2] | users[0] & users[2]
    assert 0.17 < len(users[1]) / 2000 < 0.23
    assert 0.26 < len(users[2]) / 2000 < 0.34
    other = impressions(log, ByUser(seed=4, valid=0.2, test=0.3), warmup=0)
    assert set(other.splits["test"].user.tolist()) != users[2]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.integers(0, 30))
def test_where_a_user_falls_does_not_depend_on_the_slice(first, width):
    user = np.arange(1, 100, dtype=np.int32)
    rule = ByUser(seed=1, valid=0.3, test=0.3)
    time, one = np.zeros(99, np.int64), np.ones(99, np.int64)
    whole = rule.assign(user, time, one, None)
    part = slice(first, first + width)
    assert np.array_equal(rule.assign(user[part], time[part], one[part], None), whole[part])


def test_by_column_the_log_decides_and_what_it_leaves_out_is_counted():
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


def test_the_gap_before_a_cut_is_in_no_split():
    whole = impressions(LOG, ByTime(0.5, 0.8), warmup=0)
    prepared = impressions(LOG, ByTime(0.5, 0.8, gap=20), warmup=0)
    valid, test = whole.recipe["valid_from"], whole.recipe["test_from"]
    assert prepared.splits["train"].time.max() < valid - 20
    assert prepared.splits["valid"].time.min() >= valid
    assert prepared.splits["valid"].time.max() < test - 20
    lost = sum(valid - 20 <= t < valid or test - 20 <= t < test for t in LOG.events["time"])
    assert prepared.excluded["events in no split"] == lost > 0
    # what trains counts no item of the gap
    counted = sum(t < valid - 20 for t in LOG.events["time"])
    assert prepared.popularity.sum() == counted


def test_rules_that_cannot_hold_are_refused():
    for rule, message in (
        (ByTime(0.8, 0.8), "set them further apart"),
        (ByTime(0.5, 0.8, gap=10**6), "more than the gap"),
        (ByTime(datetime(1971, 1, 1), datetime(1970, 1, 1)), "is not before"),
        (ByTime(gap=-1), "gap is -1"),
        (ByUser(valid=0.5, test=0.5), "leave some to train"),
        (ByColumn(), "the log has none"),
    ):
        with pytest.raises(DataError, match=message):
            impressions(LOG, rule, warmup=0)


def test_users_with_fewer_than_three_moments_train():
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
