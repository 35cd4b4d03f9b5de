from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dien.data.dataset import Dataset
from dien.data.features import Categorical, Numeric
from dien.data.prepare import events as events_module
from dien.data.prepare import impressions
from dien.data.prepare.splits import ByLast, ByTime
from dien.data.tables import SPLITS, no_leak
from dien.data.writer import arrays_of, write
from dien.errors import DataError
from tests.data.logs import logs, random_log, rows_of


@pytest.mark.parametrize("labelled", [False, True])
def test_cutting_a_log_into_slices_changes_nothing_but_the_sampled_negatives(labelled, monkeypatch, tmp_path):
    log = random_log(users=40, items=15, events=900, labelled=labelled)
    log = replace(log, events=log.events.with_columns(device=pl.col("time").mod(3).cast(pl.String)))
    whole = impressions(log, ByTime(0.6, 0.8))
    monkeypatch.setattr(events_module, "EVENTS_AT_ONCE", 50)
    sliced = impressions(log, ByTime(0.6, 0.8), scratch=tmp_path)
    ours, theirs = arrays_of(sliced), arrays_of(whole)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        if not labelled and name.endswith("/item") and name != "behaviours/item" and "items" not in name:
            split = name.split("/")[0]
            positive = theirs[f"{split}/label"] == 1
            assert np.array_equal(ours[name][positive], array[positive]), name
        else:
            assert np.array_equal(ours[name], array), name
    write(sliced, tmp_path / "data")
    Dataset.open(tmp_path / "data").check()


@settings(max_examples=60)
@given(logs(labelled=True), st.integers(0, 2), st.sampled_from(["clicked", "all"]))
def test_a_history_is_what_was_clicked_before_or_all_that_was_shown(log, warmup, history):
    try:
        prepared = impressions(log, ByTime(0.5, 0.75), warmup=warmup, history=history)
    except DataError:
        assume(False)
        raise
    assert no_leak(prepared)
    rows = sorted(log.events.rows(named=True), key=lambda row: row["time"])
    found = [row for name in SPLITS for row in rows_of(prepared, name)]
    for row in found:
        before = [r for r in rows if r["user"] == row["user"] and r["time"] < row["time"]]
        behaviours = [r["item"] for r in before if history == "all" or r["label"]]
        assert row["history"] == behaviours
        assert len(behaviours) >= warmup
        shown = [r for r in rows if r["user"] == row["user"] and r["time"] == row["time"]]
        assert list(zip(row["items"], row["labels"], strict=True)) == [(r["item"], r["label"]) for r in shown]
    left = sum(
        len(
            [
                r
                for r in rows
                if r["user"] == row["user"] and r["time"] < row["time"] and (history == "all" or r["label"])
            ]
        )
        >= warmup
        for row in rows
    )
    assert sum(len(row["items"]) for row in found) == left
    beside = history == "clicked" and 0 in log.events["label"]
    assert (prepared.behaviours.unclicked is not None) == beside
    assert prepared.recipe.history == history


@settings(max_examples=80)
@given(logs(labelled=True), st.integers(0, 2), st.randoms(use_true_random=False))
def test_events_with_one_impression_id_are_one_impression_at_its_first_time(log, warmup, random):
    names = [random.randrange(4) for _ in range(log.events.height)]
    log = replace(log, events=log.events.with_columns(pl.Series("impression", names)))
    try:
        prepared = impressions(log, ByTime(0.5, 0.75), warmup=warmup)
    except DataError:
        assume(False)
        raise
    assert no_leak(prepared)
    rows = list(log.events.rows(named=True))
    expected = {}
    for row in rows:
        expected.setdefault((row["user"], row["impression"]), []).append(row)
    wanted = []
    for (user, _), shown in expected.items():
        time = min(row["time"] for row in shown)
        before = [r for r in rows if r["user"] == user and r["time"] < time and r["label"]]
        before.sort(key=lambda r: r["time"])
        if len(before) >= warmup:
            shown.sort(key=lambda r: r["time"])
            items = [(r["item"], r["label"]) for r in shown]
            wanted.append((user, time, [r["item"] for r in before], items))
    found = [
        (r["user"], r["time"], r["history"], list(zip(r["items"], r["labels"], strict=True)))
        for name in SPLITS
        for r in rows_of(prepared, name)
    ]
    assert sorted(found) == sorted(wanted)


def test_negatives_within_a_category_have_the_positives_category():
    log = random_log(users=40, items=30, events=900)
    prepared = impressions(log, ByLast(), negatives=2, negatives_by="category")
    category = prepared.items["category"]
    for name in SPLITS:
        split = prepared.splits[name]
        for i in range(len(split)):
            shown = slice(split.offsets[i], split.offsets[i + 1])
            item, label = split.item[shown], split.label[shown]
            positives, negatives = item[label == 1], item[label == 0]
            assert np.array_equal(category[negatives], np.repeat(category[positives], 2))
    assert prepared.negatives.by == "category"
    with pytest.raises(DataError, match="negatives by 'brand': expected popularity, uniform or a"):
        impressions(log, ByLast(), negatives_by="brand")


def test_features_of_every_kind_are_fitted_to_the_training_rows():
    log = random_log(users=40, items=20, events=900)
    rng = np.random.default_rng(0)
    tags = [None if i == 0 else [f"t{k}" for k in range(i % 4)] for i in range(log.items.height)]
    price = pl.Series("price", [None, *rng.lognormal(3, 1, log.items.height - 1)])
    log = replace(
        log,
        items=log.items.with_columns(pl.Series("tags", tags, dtype=pl.List(pl.String)), price),
        users=log.users.with_columns(likes=pl.lit("c1"), score=pl.int_range(pl.len()).cast(pl.Float64)),
        events=log.events.with_columns(
            dwell=pl.col("time").cast(pl.Float64),
            action=pl.Series(["view", "buy"] * 450).cast(pl.Categorical),
            device=pl.Series(["phone", "desk", None] * 300),
        ),
        features={
            "price": Numeric(scale="log", width=3),
            "score": Numeric(quantiles=4),
            "likes": Categorical(shares="category"),
            "dwell": Numeric(side="behaviour"),
            "action": Categorical(side="behaviour", buckets=5),
            "time_since": Numeric(edges=(10.0, 100.0)),
        },
    )
    prepared = impressions(log, ByTime(0.6, 0.8))
    by_name = {feature.name: feature for feature in prepared.schema.features}
    assert {n: (f.side, f.kind) for n, f in by_name.items()} == {
        "item": ("item", "categorical"),
        "category": ("item", "categorical"),
        "tags": ("item", "multi"),
        "price": ("item", "numeric"),
        "dwell": ("behaviour", "numeric"),
        "action": ("behaviour", "categorical"),
        "time_since": ("behaviour", "categorical"),
        "user": ("user", "categorical"),
        "likes": ("user", "categorical"),
        "score": ("user", "categorical"),
        "device": ("context", "categorical"),
    }
    assert by_name["price"].width == 3
    assert by_name["likes"].vocabulary == "category"
    assert "likes" not in prepared.vocabularies
    assert set(prepared.users["likes"][1:]) == {prepared.vocabularies["category"].index("c1")}
    assert np.isnan(prepared.items["price"][:2]).all()
    assert not np.isnan(prepared.items["price"][2:]).any()
    tags_of = prepared.items["tags"]
    for row, expected in enumerate([None, *tags]):
        values = tags_of[np.array([row])].values
        assert prepared.vocabularies["tags"].decode(values).to_list() == (expected or [])
    train = prepared.behaviours.time < prepared.recipe.valid_from
    dwell = prepared.behaviours.features["dwell"][train]
    assert abs(dwell.mean()) < 1e-3
    assert abs(dwell.std() - 1) < 1e-3
    assert set(prepared.users["score"][1:]) == {1, 2, 3, 4}


def test_vocabularies_obey_min_count_max_size_and_rare_share():
    log = random_log(users=40, items=200, events=900)
    plain = impressions(log, ByTime(0.6, 0.8)).vocabularies["item"]
    for rule in (Categorical(min_count=4), Categorical(max_size=7), Categorical(rare_share=0.5)):
        made = impressions(replace(log, features={"item": rule}), ByTime(0.6, 0.8)).vocabularies["item"]
        assert made.counts.sum() == plain.counts.sum()
        kept = set(made.values) - {None}
        counts = dict(zip(plain.values, plain.counts, strict=True))
        if rule.min_count > 1:
            assert kept == {v for v, n in counts.items() if v and n >= 4}
        elif rule.max_size:
            assert made.values.to_list()[1:] == plain.values.to_list()[1:8]
        else:
            once = {v for v, n in counts.items() if v and n == 1}
            assert kept >= {v for v in counts if v} - once
            assert 0.2 < len(once & kept) / len(once) < 0.8


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            Categorical(shares="brand"),
            "shares the table of 'brand', which is no feature; expected one",
        ),
        (Categorical(shares="category"), "shares the table of 'category'"),
        (Numeric(quantiles=3), "is defined as numeric, but its column holds String"),
    ],
)
def test_a_rule_that_does_not_fit_its_feature_is_refused(rule, message):
    log = replace(random_log(users=40, items=20, events=900), features={"category": rule})
    with pytest.raises(DataError, match=message):
        impressions(log, ByLast())


def with_behaviours(log, clicks_alone):
    """The same log, with its clicks (or all its events) as a log of behaviours of its own."""
    events = log.events.filter(pl.col("label") == 1) if clicks_alone else log.events
    return replace(log, behaviours=events.select("user", "item", "time"))


@settings(max_examples=60)
@given(logs(labelled=True), st.integers(0, 2))
def test_the_clicks_as_a_log_of_behaviours_give_the_histories_and_negatives_of_the_clicks(log, warmup):
    try:
        clicked = arrays_of(impressions(log, ByTime(0.5, 0.75), warmup=warmup))
    except DataError:
        assume(False)
        raise
    apart = impressions(
        with_behaviours(log, clicks_alone=True), ByTime(0.5, 0.75), warmup=warmup, history="behaviours"
    )
    ours = arrays_of(apart)
    for name, array in clicked.items():
        if name.split("/")[0] in ("behaviours", *SPLITS):
            assert np.array_equal(ours[name], array), name


@settings(max_examples=60)
@given(logs(labelled=True), logs(), st.sampled_from([ByTime(0.5, 0.75), ByLast()]))
def test_histories_hold_nothing_but_the_log_of_behaviours_where_there_is_one(log, other, split):
    users, items = (
        pl.concat([getattr(log, name), getattr(other, name)], how="diagonal").unique(
            side, maintain_order=True
        )
        for name, side in (("users", "user"), ("items", "item"))
    )
    both = replace(log, users=users, items=items, behaviours=other.events)
    try:
        prepared = impressions(both, split, warmup=0, history="behaviours")
    except DataError:
        assume(False)
        raise
    assert no_leak(prepared)
    assert len(prepared.behaviours.item) == other.events.height
    past = sorted(other.events.rows(named=True), key=lambda row: row["time"])
    training = set()
    for name in SPLITS:
        for row in rows_of(prepared, name):
            before = [r["item"] for r in past if r["user"] == row["user"] and r["time"] < row["time"]]
            assert row["history"] == before
            training |= {(row["user"], k) for k in range(len(before))} if name == "train" else set()
    assert prepared.popularity.sum() == len(training)  # behaviours that a training history holds


def test_a_log_of_behaviours_and_other_histories_do_not_go_together():
    log = with_behaviours(random_log(users=9, items=9, events=90, labelled=True), clicks_alone=False)
    with pytest.raises(DataError, match="prepare every part of a log alike"):
        impressions(log, ByTime(0.5, 0.75))
    with pytest.raises(DataError, match="prepare every part of a log alike"):
        impressions(replace(log, behaviours=None), ByTime(0.5, 0.75), history="behaviours")


@pytest.mark.parametrize("named", [True, False])
def test_impressions_whose_candidates_differ_in_their_context_are_counted_and_warned_of(named, monkeypatch):
    log = random_log(users=20, items=15, events=600, labelled=True)
    page = np.arange(600) // 3
    events = log.events.with_columns(
        pl.Series("user", [f"u{one % 20}" for one in page]),
        pl.Series("time", 1_600_000_000 + page * 60),
        pl.Series("device", [f"d{one % 2}" for one in page]),
        pl.Series("position", [f"p{k % 3 if k // 3 % 4 else 0}" for k in range(600)]),  # alike in one of four
        pl.Series("seen", [["a"] if k < 30 or k % 3 else ["a", "b"] for k in range(600)]),
    )
    if named:
        events = events.with_columns(pl.Series("impression", page))
    log = replace(log, events=events)
    monkeypatch.setattr(events_module, "EVENTS_AT_ONCE", 100)
    with pytest.warns(UserWarning, match="differs among the candidates of") as caught:
        prepared = impressions(log, ByTime(0.6, 0.8), warmup=0)
    said = [str(one.message) for one in caught if "differs among" in str(one.message)]
    assert len(said) == 2
    assert said[0].startswith(
        "context feature 'position' differs among the candidates of 150 of 200 impressions"
    )
    assert "each value makes an impression of its own" in said[0]
    assert "'seen'" in said[1]
    assert "the first one's counts for all" in said[1]
    assert prepared.excluded["impressions divided, as position differs in them"] == 150
    assert (
        prepared.excluded["impressions of which the first candidate's list counts, as seen differs in them"]
        == 190
    )
    assert not any("device" in what for what in prepared.excluded)
    assert sum(len(split) for split in prepared.splits.values()) == 150 * 3 + 50
