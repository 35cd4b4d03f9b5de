"""One value has one spelling, in vocabularies and in what is looked up in them."""

import string

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.data.features.encoders import Hashed
from dien.data.spelling import Spelling, respelt, spelling_of
from dien.data.vocabulary import Ids

text = st.one_of(
    st.text(string.ascii_letters + "0.-", max_size=5),
    st.integers(-999, 999).map(lambda n: f"{n}.0"),
    st.sampled_from(
        ["True", "FALSE", "true", "1.00", "007.0", "-0.0", "0.0", "1.10", "2.0.0", "1e3", ".0", "10", "1٢.0"]
    ),
)


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        ("12.0", "12"), ("-12.00", "-12"), ("0.0", "0"), ("True", "true"), ("FALSE", "false"),
        ("1.10", "1.10"), ("007.0", "007.0"), ("v1.0", "v1.0"), ("1.0.0", "1.0.0"), ("tRue", "tRue"),
    ],
)  # fmt: skip
def test_whole_numbers_and_booleans_have_one_spelling(value: str, spelt: str) -> None:
    assert spelling_of(value) == spelt


@given(st.lists(st.none() | text))
def test_a_column_is_respelt_as_its_values_are_and_counted(values: list[str | None]) -> None:
    made, count = respelt(pl.Series("x", values, dtype=pl.String))
    wanted = [None if value is None else spelling_of(value) for value in values]
    assert made.to_list() == wanted
    assert made.name == "x"
    assert count == sum(a != b for a, b in zip(values, wanted, strict=True))
    assert respelt(made)[1] == 0


@given(st.lists(st.none() | st.lists(st.none() | text, max_size=3)))
def test_lists_are_respelt_likewise(values: list[list[str | None] | None]) -> None:
    spelling = Spelling()
    made = spelling(pl.Series("x", values, dtype=pl.List(pl.String)))
    spelt = lambda value: None if value is None else spelling_of(value)  # noqa: E731
    assert made.to_list() == [None if row is None else [spelt(value) for value in row] for row in values]
    assert spelling.count == sum(value != spelt(value) for row in values for value in row or ())


@given(st.lists(text, unique=True), st.lists(st.none() | text))
def test_every_way_to_look_a_value_up_finds_it_by_its_spelling(
    known: list[str], asked: list[str | None]
) -> None:
    ids = Ids.of(pl.Series(known, dtype=pl.String))
    of_column = ids.encode(pl.Series(asked, dtype=pl.String)).tolist()
    assert of_column == ids.encode_values(asked).tolist() == [ids.index(value) for value in asked]
    for value, index in zip(asked, of_column, strict=True):
        if value in known:
            assert known[index - 1] == value
        elif value is not None and spelling_of(value) in known:
            assert known[index - 1] == spelling_of(value)
        elif value is not None and spelling_of(value) in map(spelling_of, known):
            assert spelling_of(known[index - 1]) == spelling_of(value)
        else:
            assert index == 0


@given(text)
def test_a_hash_is_of_the_one_spelling_but_in_folders_of_earlier_versions(value: str) -> None:
    new, old = Hashed(1000, respelt=True), Hashed(1000)
    assert new.encode_values([value]) == new.encode_values([spelling_of(value)])
    assert new.encode(pl.Series([value])) == old.encode_values([spelling_of(value)])
    assert old.encode_values([value]) == old.encode(pl.Series([value]))
