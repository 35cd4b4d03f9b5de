from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.features import Categorical, Multi, Numeric
from dien.data.features.rules import RESERVED, check_names, check_shared, name_problem


@given(st.text(max_size=6), st.sampled_from('/\\:*?"<>|\n'), st.text(max_size=6))
def test_a_name_that_no_file_can_have_on_some_system_is_refused(before: str, wrong: str, after: str) -> None:
    assert "a file's name" in str(name_problem(before + wrong + after, {}))
    assert "a file's name" in str(name_problem("." + after, {}))


@given(st.sampled_from([*RESERVED, "time_since"]), st.data())
def test_a_kept_name_is_refused_in_any_case(name: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    cased = "".join(c.upper() if up else c for c, up in zip(name, upper, strict=True))
    assert "kept" in str(name_problem(cased, {}))
    assert "kept" in str(name_problem(f"{name}s.offsets", {}))
    assert name_problem(f"{name}_of_mine", {}) is None


def test_two_features_may_not_differ_by_case_alone() -> None:
    names = [("features.item.a", "a"), ("features.user.b", "b"), ("features.user.A", "A")]
    check_names(names[:2], "rename it")
    with pytest.raises(
        ValueError, match=r"features\.user\.A: features\.item\.a has this name, too; rename it"
    ):
        check_names(names, "rename it")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"a": Multi(), "b": Categorical(shares="a")}, None),
        ({"b": Categorical(shares="a"), "a": Multi()}, None),
        ({"a": Categorical(buckets=5), "b": Multi(shares="a", buckets=5)}, None),
        ({"b": Categorical(shares="a")}, "b: shares the table of 'a', which is no feature"),
        (
            {"a": Multi(), "b": Categorical(shares="b")},
            "of 'b', which has none of its own; expected one of a",
        ),
        ({"a": Multi(), "b": Multi(shares="a"), "c": Multi(shares="b")}, "c: .*'b'.*expected one of a"),
        ({"a": Numeric(), "b": Multi(shares="a")}, "b: .*'a', which is numeric and has none"),
        ({"a": Multi(buckets=5), "b": Multi(shares="a")}, "b: .*'a'; give both the same buckets"),
    ],
)
def test_a_table_is_shared_only_with_a_feature_that_has_its_own(features: Any, message: str | None) -> None:
    defined = {name: (name, feature) for name, feature in features.items()}
    if message is None:
        check_shared(defined)
    else:
        with pytest.raises(ValueError, match=message):
            check_shared(defined)
