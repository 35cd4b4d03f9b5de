from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings

from dien.data.log import Log
from dien.data.prepare import paper
from dien.data.prepare.prepared import Prepared
from dien.data.tables import SPLITS, no_leak
from dien.errors import DataError
from tests.data.logs import logs, make_log, random_log, rows_of, same, same_split


def prepare(log: Log, **options) -> Prepared:
    """Prepare a drawn log; a log too small for the recipe is not what is tested."""
    try:
        return paper(log, **options)
    except DataError:
        assume(False)
        raise


def reviews(log: Log) -> dict[str, list[str]]:
    """Clicked items of each user in time order, by Python's stable sort."""
    events = log.events.filter(pl.col("label") == 1) if "label" in log.events.columns else log.events
    ordered = sorted(events.rows(named=True), key=lambda row: row["time"])
    return {user: [r["item"] for r in ordered if r["user"] == user] for user in log.users["user"]}


@settings(max_examples=60)
@given(logs())
def test_each_user_with_a_history_has_the_last_review_as_target_in_one_split(log):
    prepared = prepare(log)
    rows = [row for split in SPLITS for row in rows_of(prepared, split)]
    expected = {user: items for user, items in reviews(log).items() if len(items) > 1}
    assert {row["user"]: [*row["history"], row["items"][0]] for row in rows} == expected
    assert len(rows) == len(expected)
    assert all(row["labels"] == [1, 0] and row["items"][1] != row["items"][0] for row in rows)
    single = sum(len(items) == 1 for items in reviews(log).values())
    assert prepared.excluded == ({"users with a single behaviour": single} if single else {})


@settings(max_examples=60)
@given(logs())
def test_with_all_targets_a_training_user_has_a_row_for_every_review_but_the_first(log):
    prepared, last = prepare(log, targets="all"), prepare(log)
    users = {row["user"] for row in rows_of(last, "train")}
    rows = rows_of(prepared, "train")
    expected = [
        (user, items[:end], items[end])
        for user, items in reviews(log).items()
        if user in users
        for end in range(1, len(items))
    ]
    assert [(row["user"], row["history"], row["items"][0]) for row in rows] == expected
    assert all(row["labels"] == [1, 0] and row["items"][1] != row["items"][0] for row in rows)
    assert same_split(prepared, last, "valid")
    assert same_split(prepared, last, "test")


@settings(max_examples=40)
@given(logs())
def test_vocabularies_count_what_occurs_in_the_training_rows(log):
    for targets in ("last", "all"):
        prepared = prepare(log, targets=targets)
        items, users = Counter(), Counter()
        for row in rows_of(prepared, "train"):
            for candidate in row["items"]:  # a row of the authors' file
                items.update([candidate, *row["history"]])
                users[row["user"]] += 1
        categories = Counter()
        for item, count in items.items():
            categories[log.items.filter(pl.col("item") == item)["category"][0]] += count
        for name, counted in (("item", items), ("user", users), ("category", categories)):
            unknown = counted.pop(None, 0)
            if not counted:
                assert prepared.dropped == (name,)
                continue
            ordered = sorted(counted, key=lambda value, counted=counted: (-counted[value], value))
            vocabulary = prepared.vocabularies[name]
            assert vocabulary.values.to_list() == [None, *ordered]
            assert vocabulary.counts.tolist() == [unknown, *(counted[value] for value in ordered)]
            assert {f.name: f.size for f in prepared.schema.features}[name] == len(ordered) + 1


@settings(max_examples=40)
@given(logs(labelled=True))
def test_in_a_log_with_labels_the_clicks_are_the_behaviours(log):
    prepared = prepare(log)
    items, behaviours = prepared.item_ids.values.to_list(), prepared.behaviours
    for row, (user, clicked) in enumerate(reviews(log).items(), 1):
        assert prepared.user_ids.values[row] == user
        mine = behaviours.item[behaviours.offsets[row] : behaviours.offsets[row + 1]]
        assert [items[k] for k in mine] == clicked
    not_clicked = log.events.filter(pl.col("label") == 0).height
    assert prepared.excluded.get("events that are not clicks", 0) == not_clicked
    assert prepared.popularity.sum() == log.events.height - not_clicked


@pytest.fixture(scope="module")
def large() -> Prepared:
    return paper(random_log(users=6000, items=50, events=40_000))


def test_a_tenth_of_the_users_is_tested_and_a_tenth_of_the_others_validated(large):
    rows = {name: len(split) for name, split in large.splits.items()}
    users = sum(rows.values())
    assert rows["test"] == pytest.approx(users / 10, abs=4 * (users * 0.09) ** 0.5)
    assert rows["valid"] == pytest.approx(users * 0.09, abs=4 * (users * 0.09 * 0.91) ** 0.5)
    seen = [set(split.user.tolist()) for split in large.splits.values()]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_a_user_or_item_that_is_not_in_train_is_unknown_and_keeps_its_features():
    log = random_log(users=60, items=60, events=200)
    prepared = paper(log)
    assert (prepared.users["user"][prepared.splits["test"].user] == 0).all()
    assert (prepared.users["user"][prepared.splits["train"].user] > 0).all()
    unseen = (prepared.items["item"][1:] == 0).nonzero()[0] + 1
    assert len(unseen)
    assert (prepared.items["category"][unseen] > 0).all()


def test_negatives_are_drawn_by_the_number_of_reviews(large):
    drawn = np.concatenate([split.item[1::2] for split in large.splits.values()])
    target = np.concatenate([split.item[0::2] for split in large.splits.values()])
    share = large.popularity / large.popularity.sum()
    others = np.where(np.arange(len(share)) == target[:, None], 0, share)
    expected = (others / others.sum(1, keepdims=True)).sum(0)
    found = np.bincount(drawn, minlength=len(share))
    assert (np.abs(found - expected) <= 4.5 * np.sqrt(expected + 1)).all()


def test_paper_gives_the_same_rows_for_the_same_seed_alone():
    log = random_log(users=50, items=10, events=300)
    assert same(paper(log, seed=3), paper(log, seed=3))
    assert not same(paper(log, seed=3), paper(log, seed=4))


def test_a_tie_is_kept_in_the_order_of_the_source_and_known_as_a_leak():
    day = [(f"u{k}", item, 86_400) for k in range(40) for item in "cab"]
    prepared = paper(make_log(day))
    assert all(row["history"] == ["c", "a"] for row in rows_of(prepared, "train"))
    assert not no_leak(prepared)


def test_a_log_in_which_no_user_has_two_behaviours_is_refused():
    with pytest.raises(DataError, match="0 of 3 users have two behaviours or more"):
        paper(make_log([("u", "a", 1), ("v", "b", 2), ("w", "c", 3)]))
