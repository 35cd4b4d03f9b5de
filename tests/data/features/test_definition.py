from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.features import KINDS, Categorical, Definition, Feature, Multi, Numeric
from dien.data.features.encoders import Hashed, Intervals, Scaled

OPTIONS: dict[str, Any] = {
    "column": "c",
    "width": 4,
    "min_count": 2,
    "max_size": 9,
    "rare_share": 0.5,
    "buckets": 7,
    "shares": "brand",
    "from_time": "hour",
    "zone": "UTC",
    "separator": ";",
    "pooling": "sum",
    "scale": "log",
    "quantiles": 4,
    "edges": [1, 2],
}


@pytest.mark.parametrize("kind", KINDS.values())
@pytest.mark.parametrize("option", OPTIONS)
def test_a_definition_takes_the_options_of_its_kind_alone(kind: type[Definition], option: str) -> None:
    given = {option: OPTIONS[option]}
    if option == "zone":
        given["from_time"] = "hour"
    if option in kind.model_fields:
        assert getattr(kind.model_validate({**given, "side": "context"}), option) is not None
    else:
        with pytest.raises(
            ValueError, match=f"is not for a {kind.kind} feature; leave it out or change kind"
        ):
            kind.model_validate(given)


def test_an_option_that_no_kind_has_is_named_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"colour is no option of a numeric feature; expected some of .*scale"
    ):
        Numeric.model_validate({"colour": "red"})


def test_a_misspelt_option_is_named_with_the_one_that_is_meant() -> None:
    with pytest.raises(
        ValueError, match=r"bucket is no option of a categorical feature; did you mean buckets\?"
    ):
        Categorical.model_validate({"bucket": 5})


def test_a_wrong_value_is_refused_wherever_a_definition_is_made() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Categorical(min_count=0)
    with pytest.raises(ValueError, match="numbers that rise"):
        Numeric(edges=(3.0, 1.0))
    with pytest.raises(ValueError, match="exclude each other"):
        Numeric(edges=(1.0,), quantiles=2)
    with pytest.raises(ValueError, match="pooling"):
        Multi(pooling="last")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="move it there"):
        Categorical(side="item", from_time="hour")


def test_a_column_is_of_one_kind_by_its_type() -> None:
    types: dict[Any, str] = {
        pl.String(): "categorical",
        pl.Categorical(): "categorical",
        pl.Int32(): "categorical",
        pl.Null(): "categorical",
        pl.List(pl.String()): "multi",
        pl.Float32(): "numeric",
        pl.Float64(): "numeric",
    }
    for dtype, kind in types.items():
        assert [name for name, of_kind in KINDS.items() if of_kind.holds(dtype)] == [kind]


def test_the_kind_of_raw_values_is_that_of_the_encoder() -> None:
    assert Feature("age", "user", 4, encoder=Intervals((1.0, 2.0))).raw is Numeric
    assert Feature("age", "user", 1, "numeric", encoder=Scaled(0.0, 1.0)).raw is Numeric
    assert Feature("zone", "user", 4, encoder=Hashed(3)).raw is Categorical
    assert Feature("tags", "user", 4, "multi", encoder=Hashed(3)).raw is Multi
    assert Feature("tags", "user", 4, "multi").raw is Multi


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "tensor"}, "kind 'tensor'; expected one of categorical, multi, numeric, vector"),
        ({"side": "items"}, "side 'items'; expected one of item, behaviour, user, context"),
        ({"size": 0}, "size 0; expected 1 at least"),
    ],
)
def test_a_feature_made_by_hand_has_a_known_kind_and_side_and_a_size(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^feature v: {message}"):
        Feature(**{"name": "v", "side": "item", "size": 3, **wrong})


def test_a_category_of_whole_floats_is_that_of_the_integers() -> None:
    values = Categorical().parse(pl.Series([1.0, None, float("nan"), 12.0]), pl.Float64())
    assert values.to_list() == ["1", None, None, "12"]


@settings(max_examples=60)
@given(st.lists(st.none() | st.lists(st.text("ab c", min_size=1), max_size=3), min_size=1, max_size=6))
def test_lists_and_text_with_separators_are_the_same(lists: list[list[str] | None]) -> None:
    spec = Multi(separator=";;")
    text = pl.Series([None if one is None else ";;".join(one) for one in lists], dtype=pl.String)
    wanted = [one or None for one in lists]
    assert spec.parse(pl.Series(lists, dtype=pl.List(pl.String)), pl.Float64()).to_list() == wanted
    assert spec.parse(text, pl.Float64()).to_list() == wanted
