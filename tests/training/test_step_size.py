"""What batch size and learning rate follow from the number of rows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.config import RunConfig, TrainConfig
from dien.data.dataset import Dataset
from dien.training.step_size import batch_size_for, learning_rate_for, settled


@given(st.integers(0, 10**12))
def test_a_batch_is_a_power_of_two_and_no_other_comes_nearer_to_512_steps_an_epoch(rows: int) -> None:
    size = batch_size_for(rows)
    assert size in (128, 256, 512)
    away = {other: abs(math.log2(max(rows, 1) / other / 512)) for other in (128, 256, 512)}
    assert away[size] == pytest.approx(min(away.values()))


@given(st.integers(1, 2**20))
def test_four_times_the_batch_has_twice_the_learning_rate(size: int) -> None:
    assert learning_rate_for(4 * size) == pytest.approx(2 * learning_rate_for(size), rel=0.06)
    assert learning_rate_for(512) == 0.005


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (TrainConfig(), (128, 0.0025)),
        (TrainConfig(batch_size=256), (256, 0.0035)),
        (TrainConfig(learning_rate=0.1), (128, 0.1)),
        (TrainConfig(batch_size=7, learning_rate=1.0), (7, 1.0)),
    ],
)
def test_what_is_set_stays_and_what_is_null_gets_a_number(
    training: TrainConfig, expected: tuple[int, float], small_data: Dataset
) -> None:
    found = settled(RunConfig(training=training), small_data).training
    assert (found.batch_size, found.learning_rate) == expected
    same = {"batch_size": training.batch_size, "learning_rate": training.learning_rate}
    assert found.model_copy(update=same) == training
