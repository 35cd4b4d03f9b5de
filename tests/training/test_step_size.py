"""What batch size and learning rate follow from the number of rows."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.config import RunConfig, TrainConfig
from dien.data.dataset import Dataset
from dien.data.tables import Split
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


@given(st.integers(0, 2**20), st.data())
def test_a_batch_follows_from_the_rows_from_a_second_on(rows: int, data: st.DataObject) -> None:
    later = data.draw(st.integers(0, rows))
    nothing, none = np.zeros(2, np.int32), np.broadcast_to(np.int32(0), rows)
    offsets, time = np.array([0, rows - later, rows]), np.array([5, 9])
    split = Split(nothing, nothing.astype(np.int64), time, {}, offsets, none, none.astype(np.int8))
    dataset = SimpleNamespace(splits={"train": split})
    for since, counted in ((None, rows), (5, rows), (6, later), (9, later)):
        found = settled(RunConfig(), dataset, since).training  # type: ignore[arg-type]
        assert found.batch_size is not None
        assert found.batch_size == batch_size_for(counted)
        assert found.learning_rate == learning_rate_for(found.batch_size)


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
