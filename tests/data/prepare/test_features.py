from dataclasses import replace

import polars as pl
import pytest

from dien.data.features import Categorical, Multi
from dien.data.prepare import paper, temporal
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
