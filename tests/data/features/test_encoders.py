import json
import zlib

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.features import Categorical, Multi
from dien.data.features.encoders import Encoder, Hashed, Intervals, Scaled, signed_log
from dien.data.features.schema import encoder_from_json, encoder_to_json
from dien.data.ragged import Ragged
from dien.data.vocabulary import Vocabulary

numbers = st.lists(st.none() | st.floats(-1e9, 1e9) | st.just(float("nan")), max_size=30)


@settings(max_examples=50)
@given(st.lists(st.none() | st.text(max_size=8), max_size=30), st.integers(1, 50))
def test_a_hash_is_crc32_of_the_bytes_and_null_is_unknown(values, buckets):
    found = Hashed(buckets).encode(pl.Series(values, dtype=pl.String))
    assert found.tolist() == [
        0 if value is None else 1 + zlib.crc32(value.encode()) % buckets for value in values
    ]
    assert found.dtype == np.int32
    assert Hashed(buckets).size == buckets + 1


@settings(max_examples=50)
@given(numbers, st.lists(st.integers(-100, 100), unique=True, max_size=5).map(sorted))
def test_an_interval_begins_at_its_edge_and_what_is_missing_is_unknown(values, edges):
    encoder = Intervals(tuple(map(float, edges)))
    found = encoder.encode(pl.Series(values, dtype=pl.Float64))
    for value, index in zip(values, found, strict=True):
        missing = value is None or np.isnan(value)
        assert index == (0 if missing else 1 + sum(edge <= value for edge in edges))
        assert index < encoder.size


@settings(max_examples=50)
@given(numbers, st.floats(-10, 10), st.floats(0.1, 10), st.booleans())
def test_a_number_is_scaled_and_what_is_missing_stays_missing(values, mean, std, log):
    found = Scaled(mean, std, log).encode(pl.Series(values, dtype=pl.Float64))
    assert found.dtype == np.float32
    for value, scaled in zip(values, found, strict=True):
        if value is None or np.isnan(value):
            assert np.isnan(scaled)
        else:
            expected = np.sign(value) * np.log(1 + abs(value)) if log else value
            assert np.isclose(scaled, (expected - mean) / std, rtol=1e-5, atol=1e-5)


def test_a_number_too_large_for_its_type_stays_finite():
    assert np.isfinite(Scaled(0.0, 1e-10).encode(pl.Series([1e290, -1e290]))).all()
    assert signed_log(np.array([0.0])).tolist() == [0.0]


def test_encoders_come_back_from_json():
    encoders: list[Encoder] = [Hashed(7), Intervals((1.0, 2.5)), Intervals(()), Scaled(0.5, 2.0, True)]
    for encoder in encoders:
        assert encoder_from_json(json.loads(json.dumps(encoder_to_json(encoder)))) == encoder


@settings(max_examples=50)
@given(st.lists(st.none() | st.lists(st.none() | st.sampled_from("abcz"), max_size=4), max_size=12))
def test_lists_keep_their_known_and_unknown_values_and_lose_nulls(lists):
    vocabulary = Vocabulary.count(pl.Series(["a", "b", "c"]))
    found = Multi.encode(vocabulary, pl.Series(lists, dtype=pl.List(pl.String)))
    assert isinstance(found, Ragged)
    assert len(found) == len(lists)
    for row, values in enumerate(lists):
        part = found.values[found.offsets[row] : found.offsets[row + 1]]
        assert part.tolist() == [vocabulary.index(v) for v in values or [] if v is not None]


def test_categories_are_encoded_as_their_names_are():
    vocabulary = Vocabulary.count(pl.Series(["a", "b", "b"]))
    names = pl.Series(["b", None, "a", "unheard", "b"])
    as_names = Categorical.encode(vocabulary, names).tolist()
    assert Categorical.encode(vocabulary, names.cast(pl.Categorical)).tolist() == as_names
    assert len(Categorical.encode(vocabulary, names.clear().cast(pl.Categorical))) == 0
