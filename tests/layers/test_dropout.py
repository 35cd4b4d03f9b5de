"""Dropout of each number by itself, as PyTorch's, by the places of what is dropped."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.layers.dropout import dropout

SHAPES = st.lists(st.integers(0, 9), min_size=1, max_size=3)
RATES = st.floats(0.01, 0.95)


@given(shape=SHAPES, rate=RATES, turned=st.booleans(), seed=st.integers(0, 2**32))
def test_each_number_is_zero_or_scaled_up_and_its_gradient_likewise(
    shape: list[int], rate: float, turned: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    leaf = torch.rand(shape, dtype=torch.float64) + 1
    x = (leaf.transpose(0, -1) if turned else leaf).requires_grad_()
    found = dropout(x, rate)
    kept = found != 0
    assert found.shape == x.shape
    torch.testing.assert_close(found, x.detach() / (1 - rate) * kept)
    weight = torch.rand_like(found)
    (gradient,) = torch.autograd.grad(found, x, weight)
    torch.testing.assert_close(gradient, weight / (1 - rate) * kept)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_numbers_are_dropped_at_the_rate_and_independently(rate: float) -> None:
    torch.manual_seed(0)
    rounds, n = 4000, 12
    dropped = np.stack([(dropout(torch.ones(n), rate) == 0).numpy() for _ in range(rounds)])
    share = dropped.mean(0)
    np.testing.assert_allclose(share, rate, atol=5 * np.sqrt(rate * (1 - rate) / rounds))
    count = dropped.sum(1)
    variance = n * rate * (1 - rate)  # of a binomial distribution: no more and no less
    assert count.var() == pytest.approx(variance, rel=0.15)
    correlation = np.corrcoef(dropped.T) - np.eye(n)
    assert np.abs(correlation).max() < 5 / np.sqrt(rounds)


def test_a_seed_gives_the_same_places() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(dropout(torch.ones(50, 7), 0.3))
    assert torch.equal(*found)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="expected more than 0 and less than 1"):
        dropout(torch.ones(3), rate)
