import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.readers.messages import BadValueError
from dien.data.sources.table.lists import lists_of

words = st.text("abc1.-_", min_size=1, max_size=4)
rows = st.lists(st.none() | st.lists(words, max_size=4), min_size=1, max_size=6)


@given(rows, st.sampled_from(["|", "^", ";", " ", "::", None]))
def test_lists_are_read_alike_from_lists_and_from_text(
    given_: list[list[str] | None], between: str | None
) -> None:
    typed = pl.Series("l", given_, dtype=pl.List(pl.String))
    assert lists_of(typed, between, "").to_list() == given_
    if between is None:
        for write in (json.dumps, str, lambda row: str(tuple(row)) if len(row) != 1 else json.dumps(row)):
            text = pl.Series("l", [None if row is None else write(row) for row in given_], dtype=pl.String)
            assert lists_of(text, None, "").to_list() == given_
    else:
        text = pl.Series("l", [None if row is None else between.join(row) for row in given_], dtype=pl.String)
        assert lists_of(text, between, "").to_list() == given_


@given(
    st.lists(
        st.lists(st.none() | st.integers(-9, 9) | st.floats(0, 9) | st.text("ab'\"\\é\n ,[({N", max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_a_list_written_by_json_or_python_gives_its_values_whatever_they_hold(
    lists: list[list[str | float | None]],
) -> None:
    wanted = [
        [value if value is None or isinstance(value, str) else repr(value) for value in row] for row in lists
    ]
    for write in (json.dumps, str):
        found = lists_of(pl.Series("l", list(map(write, lists)), dtype=pl.String), None, "")
        assert [[_plain(value) for value in row] for row in found] == [
            [_plain(v) for v in row] for row in wanted
        ]


def _plain(value: str | None) -> str | None:
    return value if value is None else value.removesuffix(".0")


def test_a_list_of_lists_or_with_a_gap_is_refused() -> None:
    for text in ("[[1, 2], [3]]", "[(1, 2), (3, 4)]", "[{'id': 1}]", "[1,,2]", "[ , 1]"):
        with pytest.raises(BadValueError, match="expected a list, or text as"):
            lists_of(pl.Series("l", ["[1]", text]), None, "")


def test_numbers_are_read_as_python_and_numpy_write_them() -> None:
    text = pl.Series("l", ["[11, 12, 1]", str(np.array([3, 14, 5])), "[]", "", " ( 7 ) "])
    assert lists_of(text, None, "").to_list() == [["11", "12", "1"], ["3", "14", "5"], [], [], ["7"]]


def test_blanks_within_a_value_stay_where_commas_stand_between_the_values() -> None:
    assert lists_of(pl.Series("l", ["[Sci Fi, 'a, b', Drama]"]), None, "").to_list() == [
        ["Sci Fi", "a, b", "Drama"]
    ]


@pytest.mark.parametrize("values", [pl.Series("l", ["[1]", "1|2"]), pl.Series("l", [1, 2])])
def test_what_is_no_list_is_refused_with_how_to_mend_it(values: pl.Series) -> None:
    with pytest.raises(BadValueError, match=r"expected a list, or text as \[1, 2\]; say so$"):
        lists_of(values, None, "say so")
