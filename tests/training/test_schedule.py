"""The learning rate of every step."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from dien.config import TrainConfig
from dien.training.schedule import learning_rate


@given(
    st.sampled_from(["constant", "linear", "cosine"]),
    st.integers(0, 50),
    st.integers(1, 8),
    st.integers(1, 12),
    st.floats(0.1, 1),
)
def test_it_rises_evenly_to_its_full_height_and_then_falls_to_nothing_unless_it_is_constant(
    schedule: Literal["constant", "linear", "cosine"], warmup: int, epochs: int, steps: int, decay: float
) -> None:
    settings = TrainConfig(
        schedule=schedule, warmup_steps=warmup, epochs=epochs, learning_rate=0.01, learning_rate_decay=decay
    )
    height = [0.01 * decay ** (step // steps) for step in range(epochs * steps + 1)]
    rates = [learning_rate(settings, step, steps) for step in range(epochs * steps + 1)]
    shares = [rate / full for rate, full in zip(rates, height, strict=True)]  # of the epoch's rate
    for step, share in enumerate(shares[:-1]):
        if step < warmup:
            assert abs(share - (step + 1) / warmup) < 1e-9
        elif schedule == "constant":
            assert rates[step] == height[step]
        else:
            assert share <= (shares[step - 1] if step > warmup else 1) + 1e-9
            assert step > warmup or share == 1
            assert 0 < share <= 1
    if warmup < epochs * steps and schedule != "constant":
        assert abs(rates[-1]) < 1e-12  # after the last step


@given(st.floats(1e-6, 1), st.floats(0.01, 1), st.integers(0, 500), st.integers(1, 50))
def test_without_its_keys_it_is_the_rate_of_the_epoch_to_the_bit(
    rate: float, decay: float, step: int, steps: int
) -> None:
    settings = TrainConfig(learning_rate=rate, learning_rate_decay=decay)
    assert learning_rate(settings, step, steps) == rate * decay ** (step // steps)
