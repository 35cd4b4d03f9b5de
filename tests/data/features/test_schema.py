import json

import pytest

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
    found = Schema.from_json(data)
    assert found == SCHEMA
    assert [vars(feature) for feature in found.features] == [vars(feature) for feature in SCHEMA.features]
    assert data["features"][0] == {"name": "item", "side": "item", "size": 10}


WRONG = [
    ("item", {"size": "82"}, r"Expected `int`, got `str` - at `\$.size`"),
    ("item", {"size": -3}, r"Expected `int` >= 1 - at `\$.size`"),
    ("item", {"side": "foo"}, r"Invalid enum value 'foo' - at `\$.side`"),
    ("item", {"kind": "foo"}, "feature item: kind 'foo'; expected one of categorical"),
    ("tags", {"pooling": "foo"}, r"Invalid enum value 'foo' - at `\$.pooling`"),
    ("tags", {"width": 0}, r"Expected `int` >= 1 - at `\$.width`"),
    ("likes", {"table": 3}, r"Expected `str \| null`, got `int` - at `\$.table`"),
    ("likes", {"colour": "red"}, "unknown field `colour`"),
    ("price", {"encoder": 3}, "encoder: Expected `object`, got `int`"),
    ("price", {"encoder": {"type": "foo"}}, "encoder: type 'foo'; expected one of hashed, scaled, intervals"),
    ("price", {"encoder": {"mean": 0.0}}, "encoder: type None; expected one of"),
    ("price", {"encoder": {"type": "scaled", "mean": 0.0}}, "encoder: .*missing required field `std`"),
    ("price", {"encoder": {"type": "scaled", "mean": 0, "std": 0}}, r"encoder: .*> 0.* - at `\$.std`"),
    ("price", {"encoder": {"type": "hashed", "buckets": 2, "seed": 1}}, "encoder: unknown field `seed`"),
    ("age", {"encoder": {"type": "intervals", "edges": ["a"]}}, r"encoder: .* - at `\$.edges\[0\]`"),
]


@pytest.mark.parametrize(("name", "wrong", "message"), WRONG, ids=lambda part: str(part)[:40])
def test_a_wrong_field_of_a_feature_is_named_where_it_is_read(name, wrong, message):
    data = json.loads(json.dumps(SCHEMA.to_json()))
    place = next(k for k, feature in enumerate(data["features"]) if feature["name"] == name)
    data["features"][place] |= wrong
    with pytest.raises(ValueError, match=rf"^features\[{place}\]: {message}"):
        Schema.from_json(data)


@pytest.mark.parametrize("data", [{}, [], {"features": 3}, {"features": [3]}, {"features": [{}]}])
def test_what_is_no_schema_is_refused(data):
    with pytest.raises(ValueError, match=r"Expected|missing required field"):
        Schema.from_json(data)


def test_features_of_sides_stand_side_after_side():
    assert [f.name for f in SCHEMA.of("user", "item")] == ["user", "likes", "age", "item", "tags", "price"]


def test_a_vocabulary_is_named_by_the_feature_that_owns_it():
    assert SCHEMA.vocabularies == {"item": 10, "tags": 5, "user": 3}


def test_an_id_is_found_by_its_name_and_no_other_feature_is_taken_for_it():
    category, item = Feature("category", "item", 3), Feature("item", "item", 9)
    assert Schema((item, category)).id_of("item") == item
    assert Schema((category,)).id_of("item") is None
    assert Schema((item, category)).id_of("user") is None
