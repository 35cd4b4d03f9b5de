from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.features import Categorical, Multi, Numeric
from dien.data.prepare import impressions, paper, temporal
from dien.data.prepare.splits import ByTime
from dien.errors import DataError
from tests.data.logs import make_log, random_log

LOG = random_log(users=20, items=10, events=200)


def test_features_stand_by_side_and_the_ids_come_first():
    users = LOG.users.select(pl.lit("old").alias("age"), "user")
    events = LOG.events.with_columns(pl.lit("phone").alias("device"))
    schema = temporal(replace(LOG, events=events, users=users)).schema
    assert [(f.side, f.name) for f in schema.features] == [
        ("item", "item"),
        ("item", "category"),
        ("user", "user"),
        ("user", "age"),
        ("context", "device"),
    ]


def test_a_feature_without_a_known_value_is_dropped_and_named():
    items = LOG.items.with_columns(pl.lit(None, pl.String).alias("brand"))
    prepared = paper(replace(LOG, items=items))
    assert prepared.dropped == ("brand",)
    assert list(prepared.items) == [f.name for f in prepared.schema.of("item")] == ["item", "category"]
    assert "brand" not in prepared.vocabularies


@pytest.mark.parametrize(
    "numeric", [Numeric(), Numeric(scale="log"), Numeric(quantiles=4), Numeric(edges=(1.0,))]
)
def test_a_number_that_no_training_row_knows_is_dropped_and_named(numeric):
    missing = pl.Series("price", [float("nan"), None] * (len(LOG.items) // 2), pl.Float64)
    prepared = temporal(replace(LOG, items=LOG.items.with_columns(missing), features={"price": numeric}))
    assert prepared.dropped == ("price",)
    assert "price" not in prepared.items


def test_hashed_values_that_no_training_row_knows_are_dropped_unless_their_table_is_shared():
    items = LOG.items.with_columns(
        pl.lit(None, pl.String).alias("brand"), pl.lit(None, pl.List(pl.String)).alias("tags")
    )
    features = {"brand": Categorical(buckets=5), "tags": Multi(buckets=5), "category": Categorical()}
    assert temporal(replace(LOG, items=items, features=features)).dropped == ("brand", "tags")
    features["category"] = Categorical(buckets=5, shares="brand")
    assert temporal(replace(LOG, items=items, features=features)).dropped == ("tags",)


@given(scale=st.floats(-300, 29), seed=st.integers(0, 9))
def test_numbers_of_any_size_are_scaled_to_mean_0_and_standard_deviation_1(scale, seed):
    numbers = np.random.default_rng(seed).normal(size=50) * 10.0**scale
    encoder = Numeric().fit(pl.Series(numbers), np.ones(50, np.int64))
    scaled = encoder.encode(pl.Series(numbers))
    assert abs(scaled.mean()) < 1e-5
    assert abs(scaled.std() - 1) < 1e-5


@pytest.mark.parametrize("number", [1.8e308, -1.7976931348623157e308, 1e31, float("inf"), -float("inf")])
def test_a_number_that_would_make_the_others_useless_is_refused_with_its_row(number):
    items = LOG.items.with_columns(pl.Series("price", [1.0, 2.0, number] + [3.0] * (len(LOG.items) - 3)))
    with pytest.raises(
        DataError, match=r"feature price: row 2 of the item's column holds .*; expected numbers from"
    ):
        temporal(replace(LOG, items=items))


@pytest.mark.parametrize(
    ("numeric", "warned"), [(Numeric(), 1), (Numeric(scale="log"), 0), (Numeric(quantiles=3), 0)]
)
def test_numbers_that_one_far_out_makes_all_but_equal_are_warned_of(numeric, warned, recwarn):
    prices = [1e18, *np.random.default_rng(0).normal(size=len(LOG.items) - 1)]
    items = LOG.items.with_columns(pl.Series("price", prices))
    temporal(replace(LOG, items=items, features={"price": numeric}))
    texts = [str(warning.message) for warning in recwarn if "price" in str(warning.message)]
    assert len(texts) == warned
    assert all("such as 1e+18" in text and "scale: log" in text for text in texts)


def test_a_context_first_seen_after_training_is_unknown():
    rows = [("u", item, time, "phone") for time, item in enumerate("abcab" * 8)]
    rows += [("u", item, 50 + time, "watch") for time, item in enumerate("abcab")]
    prepared = temporal(make_log(rows, "device"), valid_from=0.8, test_from=0.95)
    assert prepared.vocabularies["device"].values.to_list() == [None, "phone"]
    assert prepared.splits["test"].context["device"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["user", "Item", "ids", "popularity", "../brand", "a/b", ".", "a\nb"])
def test_a_feature_whose_name_cannot_be_a_files_is_refused(name):
    items = LOG.items.with_columns(pl.lit("x").alias(name))
    with pytest.raises(DataError, match="rename the column"):
        paper(replace(LOG, items=items))


def test_what_the_log_left_out_is_reported_too():
    rows = [("u", "a", 1), *((f"v{k}", item, 2) for k in range(30) for item in "abc")]
    prepared = paper(replace(make_log(rows), excluded={"bad lines": 2}))
    assert prepared.excluded == {"bad lines": 2, "users with a single behaviour": 1}


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ({"categroy": Categorical()}, "feature categroy: is defined, but no table of the log has its column"),
        ({"category": Categorical(side="user")}, "feature category: is defined as one of the user, but its"),
        ({"category": Multi()}, "feature category: is defined as multi, but its column holds String"),
        ({"time_since": Categorical()}, "feature time_since: is defined as categorical; expected numeric"),
    ],
)
def test_a_definition_that_fits_no_column_is_refused(definitions, message):
    with pytest.raises(DataError, match=message):
        temporal(replace(LOG, features=definitions))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None] * 8, "it has no value in any row"),
        ([None] * 6 + ["a", "a"], "no context of the training rows has a value of it"),
        (["a", "b", "c", "d", "e", "f", "g", "h"], "all its values are too rare to keep"),
    ],
)
def test_a_feature_that_is_left_out_is_warned_of_with_the_reason(values: list[str | None], why: str) -> None:
    log = make_log([("u", f"i{k % 3}", k, value) for k, value in enumerate(values)], "device")
    log = replace(log, features={"device": Categorical(side="context", min_count=10)})
    with pytest.warns(UserWarning, match=f"^feature device is left out: {why}"):
        prepared = impressions(log, ByTime(0.6, 0.8))
    assert prepared.dropped == ("device",)
