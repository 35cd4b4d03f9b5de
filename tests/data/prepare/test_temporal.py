from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dien.data.features import Categorical
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.prepare.prepared import Prepared
from dien.data.tables import SPLITS, no_leak
from dien.errors import DataError
from tests.data.logs import logs, make_log, random_log, rows_of, same, same_split


def prepare(log: Log, **options) -> Prepared:
    """Prepare a drawn log; a log too small for the options is not what is tested."""
    try:
        return temporal(log, **options)
    except DataError:
        assume(False)
        raise


def impressions(log: Log, warmup: int) -> list[dict]:
    """What the recipe should make of a log, by loops: each user's moments, and the clicks before them."""
    rows = []
    for user in log.users["user"]:
        mine = [row for row in log.events.rows(named=True) if row["user"] == user]
        moments: dict = {}
        for row in sorted(mine, key=lambda row: row["time"]):
            moments.setdefault((row["time"], row.get("device")), []).append(row)
        for (time, device), shown in moments.items():
            before = [row for row in mine if row["time"] < time and row.get("label", 1)]
            before.sort(key=lambda row: row["time"])
            if len(before) >= warmup:
                history = [row["item"] for row in before]
                items = [(row["item"], row.get("label", 1)) for row in shown]
                rows.append(
                    {"user": user, "time": time, "history": history, "shown": items, "device": device}
                )
    return rows


def cut_points(prepared: Prepared) -> tuple[int, int]:
    return prepared.recipe.valid_from, prepared.recipe.test_from


def period(time: int, cuts: tuple[int, int]) -> str:
    return "train" if time < cuts[0] else "valid" if time < cuts[1] else "test"


@settings(max_examples=60)
@given(logs(context=True), st.integers(0, 3), st.integers(1, 3))
def test_every_moment_after_the_warm_up_is_an_impression_with_the_history_before_it(log, warmup, negatives):
    prepared = prepare(log, warmup=warmup, negatives=negatives, valid_from=0.5, test_from=0.75)
    assert no_leak(prepared)
    cuts = cut_points(prepared)
    expected = impressions(log, warmup)
    for split in SPLITS:
        mine = [row for row in expected if period(row["time"], cuts) == split]
        rows = rows_of(prepared, split)
        assert [(r["user"], r["time"], r["history"]) for r in rows] == [
            (r["user"], r["time"], r["history"]) for r in mine
        ]
        for row, wanted in zip(rows, mine, strict=True):
            positives = [item for item, _ in wanted["shown"]]
            assert row["labels"] == [1] * len(positives) + [0] * (negatives * len(positives))
            assert row["items"][: len(positives)] == positives
            assert not set(row["items"][len(positives) :]) & set(positives)
            if split == "train" and "device" not in prepared.dropped:
                assert row["context"]["device"] == wanted["device"]


@settings(max_examples=60)
@given(logs(labelled=True), st.integers(0, 2))
def test_in_a_log_with_labels_the_candidates_are_what_was_shown(log, warmup):
    prepared = prepare(log, warmup=warmup, valid_from=0.5, test_from=0.75)
    assert no_leak(prepared)
    assert prepared.negatives.sampled is False
    cuts = cut_points(prepared)
    expected = impressions(log, warmup)
    for split in SPLITS:
        rows = [
            (r["user"], r["time"], r["history"], list(zip(r["items"], r["labels"], strict=True)))
            for r in rows_of(prepared, split)
        ]
        assert rows == [
            (r["user"], r["time"], r["history"], r["shown"])
            for r in expected
            if period(r["time"], cuts) == split
        ]
    left_out = log.events.height - sum(len(row["shown"]) for row in expected)
    assert prepared.excluded.get("events in a user's warm-up", 0) == left_out


def test_a_basket_is_one_impression_whose_history_ends_before_it():
    log = make_log(
        [("u", "a", 10), ("u", "b", 20), ("u", "c", 20), ("u", "d", 20), ("u", "e", 30), ("v", "f", 5)]
        + [("w", item, 40) for item in "abcdef"]
    )
    prepared = temporal(log, warmup=1, negatives=2, valid_from=0.45, test_from=0.9)
    assert cut_points(prepared) == (30, 40)
    basket, *rest = rows_of(prepared, "train")
    assert not rest
    assert basket["history"] == ["a"]
    assert basket["items"][:3] == ["b", "c", "d"]
    assert basket["labels"] == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert set(basket["items"][3:]) <= {"a", "f"}  # of the training period, other than the basket
    (later,) = rows_of(prepared, "valid")
    assert later["history"] == ["a", "b", "c", "d"]


def test_the_cut_points_are_shares_of_the_behaviours_or_moments():
    log = random_log(users=5, items=8, events=400)
    times = np.sort(log.events["time"].to_numpy())
    prepared = temporal(log)
    assert cut_points(prepared) == (times[320], times[360])
    moments = datetime(1970, 1, 1, 0, 1, 0), datetime(1970, 1, 1, 0, 1, 40, tzinfo=timezone.utc)
    prepared = temporal(log, valid_from=moments[0], test_from=moments[1])
    assert cut_points(prepared) == (60, 100)
    assert "1970-01-01 00:01:40" in prepared.split_rule
    assert prepared.splits["train"].time.max() < 60 <= prepared.splits["valid"].time.min()
    assert prepared.splits["valid"].time.max() < 100 <= prepared.splits["test"].time.min()


def test_popularity_and_vocabularies_know_the_training_period_alone():
    log = random_log(users=20, items=300, events=600)
    prepared = temporal(log, warmup=2)
    early = log.events.filter(log.events["time"] < prepared.recipe.valid_from)["item"].value_counts()
    expected = dict(early.iter_rows())
    found = dict(zip(prepared.item_ids.values[1:].to_list(), prepared.popularity[1:].tolist(), strict=True))
    assert {item: count for item, count in found.items() if count} == expected
    assert np.array_equal(prepared.items["item"] > 0, prepared.popularity > 0)
    assert (prepared.popularity == 0).sum() > 10
    for split in prepared.splits.values():
        assert (prepared.popularity[split.item[split.label == 0]] > 0).all()
    trained = np.zeros(len(prepared.user_ids), bool)
    trained[prepared.splits["train"].user] = True
    assert np.array_equal(prepared.users["user"] > 0, trained)


@settings(max_examples=20)
@given(st.integers(1, 900), st.booleans())
def test_max_train_rows_keeps_the_latest_whole_impressions_and_leaves_the_other_splits(cap, labelled):
    log = random_log(users=10, items=30, events=400, labelled=labelled)
    options = {"warmup": 1, "negatives": 2}
    whole, capped = temporal(log, **options), prepare(log, max_train_rows=cap, **options)
    kept, before = rows_of(capped, "train"), rows_of(whole, "train")
    places = [(row["user"], row["time"]) for row in kept]
    dropped = [row for row in before if (row["user"], row["time"]) not in places]
    assert len(kept) + len(dropped) == len(before)
    rows = len(capped.splits["train"].item)
    assert rows <= cap
    if dropped:
        latest = max(dropped, key=lambda row: row["time"])
        assert latest["time"] <= min(row["time"] for row in kept)
        same_time = [row for row in dropped if row["time"] == latest["time"]]
        assert rows + max(len(row["items"]) for row in same_time) > cap
    missing = sum(len(row["items"]) for row in dropped)
    assert capped.excluded.get("training rows over max_train_rows", 0) == missing
    assert same_split(capped, whole, "valid")
    assert same_split(capped, whole, "test")


def test_temporal_gives_the_same_rows_for_the_same_seed_alone():
    log = random_log(users=30, items=20, events=400)
    assert same(temporal(log, seed=3), temporal(log, seed=3))
    assert not same(temporal(log, seed=3), temporal(log, seed=4))


@settings(max_examples=40)
@given(logs(context=True), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([None, "category", "item"]))
def test_of_the_values_that_training_has_once_the_rare_share_is_unknown_and_rows_stay(log, share, defined):
    if defined:
        log = replace(log, features={defined: Categorical()})
    whole = prepare(log, warmup=0, negatives=1)
    found = prepare(log, warmup=0, negatives=1, rare_share=share)
    assert all(np.array_equal(whole.splits[n].item, found.splits[n].item) for n in SPLITS)
    for name, vocabulary in whole.vocabularies.items():
        counts = dict(zip(vocabulary.values, vocabulary.counts, strict=True))
        once = {value for value, count in counts.items() if value is not None and count == 1}
        kept = found.vocabularies.get(name)
        gone = set(counts) - (set(kept.values) if kept is not None else {None})
        assert gone <= once
        if share in (0, 1):
            assert gone == (once if share and name != defined else set())
        told = found.excluded.get(f"values of {name} that training has once (unknown, by rare_share)", 0)
        assert told == len(gone) or kept is None  # else the feature is left out, with a warning
        if kept is not None:
            assert kept.counts.sum() == vocabulary.counts.sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rare_share": 1.1}, "rare_share is 1.1, expected a number from 0 to 1"),
        ({"rare_share": -0.1}, "rare_share is -0.1, expected"),
        ({"warmup": -1}, "warmup is -1, expected at least 0"),
        ({"negatives": 0}, "negatives is 0, expected at least 1"),
        ({"valid_from": 1.5}, "valid_from is 1.5, expected a fraction"),
        ({"valid_from": 0.9, "test_from": 0.8}, "is not before test_from.*further apart"),
        ({"valid_from": 0.8, "test_from": 0.8}, "further apart"),
        ({"valid_from": 0.8, "test_from": 0.8001}, "shares 0.8 and 0.8001 fall on one moment"),
        ({"warmup": 100}, "no training row"),
        ({"max_train_rows": 3}, "no training row"),
        ({"valid_from": datetime(1960, 1, 1)}, "no training row"),
    ],
)
def test_temporal_options_out_of_range_or_without_a_training_row_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        temporal(random_log(users=5, items=8, events=100), **options)
