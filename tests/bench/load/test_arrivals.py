"""Arrivals: those of a Poisson process, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.bench.load import poisson


@given(st.floats(0.1, 2000), st.floats(0.01, 5), st.integers(0, 2**31))
def test_arrivals_rise_within_their_time_and_follow_from_the_seed(
    rate: float, seconds: float, seed: int
) -> None:
    found = poisson(rate, seconds, seed)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found < seconds)).all()
    assert np.array_equal(found, poisson(rate, seconds, seed))


def test_gaps_and_counts_are_those_of_a_poisson_process() -> None:
    found = poisson(1000, 100, 7)
    assert len(found) == pytest.approx(100_000, rel=0.02)
    gaps = np.diff(found)
    assert gaps.mean() == pytest.approx(1e-3, rel=0.02)
    assert gaps.std() == pytest.approx(1e-3, rel=0.02)  # of an exponential the same; of a fixed gap it is 0
    counts = np.bincount(found.astype(int), minlength=100)  # of a second each
    assert counts.var() == pytest.approx(counts.mean(), rel=0.5)
