import json

from dien.data.features import Feature, Schema
from dien.data.features.encoders import Intervals, Scaled

SCHEMA = Schema(
    (
        Feature("item", "item", 10),
        Feature("tags", "item", 5, kind="multi", pooling="max", width=4),
        Feature("price", "item", 1, kind="numeric", encoder=Scaled(1.0, 2.0, True)),
        Feature("user", "user", 3),
        Feature("likes", "user", 5, table="tags"),
        Feature("age", "user", 4, encoder=Intervals((10.0, 20.0))),
        Feature("dwell", "behaviour", 1, kind="numeric", encoder=Scaled(0.0, 1.0)),
    )
)


def test_a_schema_comes_back_from_json_and_says_only_what_is_unusual():
    data = json.loads(json.dumps(SCHEMA.to_json()))
    assert Schema.from_json(data) == SCHEMA
    assert data["features"][0] == {"name": "item", "side": "item", "size": 10}


def test_features_of_sides_stand_side_after_side():
    assert [f.name for f in SCHEMA.of("user", "item")] == ["user", "likes", "age", "item", "tags", "price"]


def test_a_vocabulary_is_named_by_the_feature_that_owns_it():
    assert SCHEMA.vocabularies == {"item": 10, "tags": 5, "user": 3}


def test_an_id_is_found_by_its_name_and_no_other_feature_is_taken_for_it():
    category, item = Feature("category", "item", 3), Feature("item", "item", 9)
    assert Schema((item, category)).id_of("item") == item
    assert Schema((category,)).id_of("item") is None
    assert Schema((item, category)).id_of("user") is None
