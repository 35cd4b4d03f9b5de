"""Sizes that no machine holds are refused where they are given, by the name of the option or key."""

from typing import Any

import pytest

from dien.config import load_config
from dien.data.features.encoders import MOST_BUCKETS, Hashed
from dien.data.features.schema import encoder_from_json
from dien.data.prepare import impressions
from dien.data.prepare.splits import ByTime
from dien.data.sources.table import TableSpec
from dien.errors import ConfigError, DataError
from tests.cli.running import dien

_HUGE = (2**31, 2**32, 2**63, 2**64 - 1)


@pytest.mark.parametrize("value", [*_HUGE, 0, -1])
@pytest.mark.parametrize("key", ["width", "min_count", "max_size", "buckets"])
def test_a_feature_is_of_a_size_that_there_can_be(key: str, value: int) -> None:
    for given in (
        {"features": {"item": {"brand": {key: value}}}},
        {"ids": {"user": {key: value}}},
    ):
        with pytest.raises(DataError, match=rf"^schema: .*\.{key}: .*\(found {value}\)"):
            TableSpec.of(given, "schema")


@pytest.mark.parametrize("value", [10_001, *_HUGE, 1, -5])
def test_a_number_is_cut_into_so_many_intervals_that_there_can_be(value: int) -> None:
    with pytest.raises(DataError, match=rf"features\.user\.age\.quantiles: .*\(found {value}\)"):
        TableSpec.of({"features": {"user": {"age": {"kind": "numeric", "quantiles": value}}}}, "schema")


@pytest.mark.parametrize("value", [*_HUGE, 0, -1])
@pytest.mark.parametrize(
    "key",
    ["model.embedding_size", "model.hidden_size", "model.max_history", "training.batch_size",
     "training.epochs", "training.patience", "training.checkpoint_steps"],
)  # fmt: skip
def test_a_key_of_the_configuration_is_of_a_size_that_there_can_be(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: .*\(found {value}\)"):
        load_config(overrides=[f"{key}={value}"])


def test_more_buckets_than_indices_have_bits_for_are_refused_in_a_file_too() -> None:
    assert encoder_from_json({"type": "hashed", "buckets": MOST_BUCKETS}) == Hashed(MOST_BUCKETS)
    with pytest.raises(ValueError, match="buckets"):
        encoder_from_json({"type": "hashed", "buckets": MOST_BUCKETS + 1})


@pytest.mark.parametrize(
    ("option", "value"),
    [("--negatives", 10_001), ("--negatives", 2**63), ("--warmup", 2**31), ("--gap", 2**31), ("--gap", "1e3"),
     ("--max-train-rows", 2**31)],
)  # fmt: skip
def test_an_option_beyond_its_bound_is_wrong_usage(option: str, value: object) -> None:
    done = dien("prepare", "table", "--interactions", "x.csv", "--out", "y", option, value)
    assert done.returncode == 2
    assert f"found '{value}', expected a whole number" in done.message


@pytest.mark.parametrize(("option", "value"), [("negatives", 10_001), ("warmup", 2**40)])
def test_the_library_has_the_bounds_of_the_commands(option: str, value: int, small_log: Any) -> None:
    with pytest.raises(DataError, match=f"{option} is {value}, expected at least"):
        impressions(small_log, ByTime(), **{option: value})
