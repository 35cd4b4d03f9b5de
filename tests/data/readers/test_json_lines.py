"""Columns of JSON values: typed by what they hold, and the first value that does not fit is named."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.readers.files import table_file
from dien.data.readers.json_lines import JsonReader, JsonType, column_of
from dien.data.readers.messages import BadValueError
from dien.errors import DataError

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


def test_a_key_may_be_required_and_held_to_a_type(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    types = {
        "id": JsonType(str | int, "an id; mend it", required=True),
        "n": JsonType(float | None, "a number"),
    }
    for line, says in (
        ('{"n": 1}', "line 3: no key 'id'; found n; expected an id; mend it"),
        ('{"id": 1.5}', "line 3: column 'id': found 1.5; expected an id; mend it"),
        ('{"id": null}', "line 3: column 'id': found nothing; expected an id; mend it"),
        ('{"id": 1, "n": "1"}', "line 3: column 'n': found '1'; expected a number"),
    ):
        path.write_text('{"id": "a", "n": 2, "other": {}}\n\n' + line)
        with pytest.raises(DataError) as raised:
            list(JsonReader(table_file(path, tmp_path), types).chunks(["id", "n"]))
        assert str(raised.value) == f"{path}: {says}"
    path.write_text('{"id": "a"}\n{"id": 2}')
    (frame,) = JsonReader(table_file(path, tmp_path), types).chunks(["id", "n"])
    assert frame.to_dict(as_series=False) == {"id": ["a", "2"], "n": [None, None]}
    assert frame["n"].dtype == pl.Null
