"""Columns of JSON values: typed by what they hold, and the first value that does not fit is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.readers.json_columns import column_of
from dien.data.readers.messages import BadValueError

leaf = st.sampled_from([st.text(max_size=3), st.integers(-9, 9), st.floats(-9, 9), st.booleans()])


@st.composite
def columns(draw: st.DrawFn) -> tuple[int, list[Any]]:
    """Values of one type, in lists of one depth, nulls among them."""
    values, depth = draw(leaf), draw(st.integers(0, 2))
    for _ in range(depth):
        values = st.lists(st.none() | values, max_size=3)
    return depth, draw(st.lists(st.none() | values, max_size=6))


def as_text(value: Any) -> Any:
    """Booleans in lists are text, as JSON writes them."""
    if isinstance(value, list):
        return [as_text(one) for one in value]
    return json.dumps(value) if isinstance(value, bool) else value


@given(columns())
def test_values_of_one_type_are_a_column_of_that_type(column: tuple[int, list[Any]]) -> None:
    depth, values = column
    made = column_of("x", values).to_list()
    assert made == (values if not depth else as_text(values))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=1),
    max_leaves=4,
)


@given(st.lists(anything, max_size=8))
def test_the_first_value_that_fits_no_column_with_those_before_it_is_named(values: list[Any]) -> None:
    try:
        made = column_of("x", values)
    except BadValueError as error:
        column_of("x", values[: error.index])
        with pytest.raises(BadValueError) as alone:
            column_of("x", values[: error.index + 1])
        assert alone.value.index == error.index  # noqa: PT017
    else:
        assert len(made) == len(values)
        assert made.is_null().to_list() == [value is None for value in values]
