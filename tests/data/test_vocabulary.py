from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.vocabulary import Ids, Vocabulary
from dien.errors import DataError
from dien.folders import Folder

values = st.lists(st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["a", "b", "1"])), max_size=30)


@settings(max_examples=50)
@given(values)
def test_values_stand_by_falling_count_and_equal_counts_by_value(column):
    vocabulary = Vocabulary.count(pl.Series(column, dtype=pl.String))
    counted = Counter(value for value in column if value is not None)
    expected = sorted(counted, key=lambda value: (-counted[value], value.encode()))
    assert vocabulary.values.to_list() == [None, *expected]
    assert vocabulary.counts.tolist() == [column.count(None), *(counted[value] for value in expected)]


@settings(max_examples=50)
@given(values, values)
def test_encoding_gives_the_index_of_a_known_value_and_0_for_any_other(column, asked):
    vocabulary = Vocabulary.count(pl.Series(column, dtype=pl.String))
    asked_series = pl.Series(asked, dtype=pl.String)
    indices = vocabulary.encode(asked_series)
    assert indices.dtype == np.int32
    assert vocabulary.decode(indices).to_list() == [value if value in column else None for value in asked]
    assert indices.tolist() == [vocabulary.index(value) for value in asked]


def test_occurrences_are_counted_by_their_weight_and_a_value_that_never_occurs_is_left_out():
    vocabulary = Vocabulary.count(pl.Series(["a", "b", "c", "b", None]), np.array([5, 2, 0, 4, 3]))
    assert vocabulary.values.to_list() == [None, "b", "a"]
    assert vocabulary.counts.tolist() == [3, 6, 5]


def test_an_integer_is_looked_up_by_its_digits():
    ids = Ids.of(pl.Series(["10", "7"]))
    assert [ids.index(7), ids.index("7"), ids.index(8)] == [2, 2, 0]
    assert ids.encode(pl.Series([7, 8, 10])).tolist() == [2, 0, 1]


def test_a_vocabulary_comes_back_from_its_file(tmp_path: Path):
    vocabulary = Vocabulary.count(pl.Series(["ü", "a", "a", "", None]))
    vocabulary.save(tmp_path / "v.parquet")
    loaded = Vocabulary.load(Folder(tmp_path, DataError, "again"), "v.parquet")
    assert loaded.values.equals(vocabulary.values)
    assert np.array_equal(loaded.counts, vocabulary.counts)


def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path):
    file, folder = tmp_path / "v.parquet", Folder(tmp_path, DataError, "again")
    with pytest.raises(DataError, match=r"v\.parquet"):
        Vocabulary.load(folder, "v.parquet")
    file.write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"v\.parquet"):
        Vocabulary.load(folder, "v.parquet")
    Ids.of(pl.Series(["a"])).save(file)
    with pytest.raises(DataError, match="expected the columns value, count"):
        Vocabulary.load(folder, "v.parquet")
    pl.DataFrame({"id": ["a", "b"]}).write_parquet(file)
    with pytest.raises(DataError, match="unknown"):
        Ids.load(folder, "v.parquet")


def test_extending_a_vocabulary_changes_no_index_and_adds_counts():
    old = Vocabulary.count(pl.Series(["a", "a", "b", None]))
    later = Vocabulary.count(pl.Series(["c", "c", "c", "b", "d", None, None]))
    both = old.extend(later)
    assert both.values.to_list() == [None, "a", "b", "c", "d"]
    assert both.counts.tolist() == [3, 2, 2, 3, 1]
    assert old.counts.tolist() == [1, 2, 1]
