"""Platt scaling: the best two numbers, and what it does where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dien.calibration import AS_IT_IS, Platt
from dien.training.platt import FEWEST, LEAST_SCALE, fit_platt
from dien.training.spool import Spool

Array = NDArray[np.float64]


def fitted(score: Array, label: Array, weight: Array | None = None) -> Platt | None:
    spools = Spool(), Spool()
    for clicked, spool in enumerate(spools):
        some = label == clicked
        spool.write(score[some].astype(np.float32), None if weight is None else weight[some])
    return fit_platt(*spools)


def mean_loss(platt: Platt, score: Array, label: Array, weight: Array) -> float:
    logit = platt(score)
    return float(np.average(np.logaddexp(0, logit) - label * logit, weights=weight))


def gradient(platt: Platt, score: Array, label: Array, weight: Array) -> Array:
    p = 0.5 + np.tanh(platt(score) / 2) / 2
    return np.array([np.average((p - label) * score, weights=weight), np.average(p - label, weights=weight)])


problems = st.tuples(
    st.integers(0, 2**31), st.floats(-8, 8), st.floats(0.05, 20), st.floats(-3, 3), st.floats(0, 2)
)


def problem(values: tuple[int, float, float, float, float]) -> tuple[Array, Array, Array]:
    """Scores, labels and weights of 400 rows: scores of any place and spread, that tell more or less."""
    seed, place, spread, shift, told = values
    rng = np.random.default_rng(seed)
    z = rng.normal(size=400)
    label = (rng.random(400) < 1 / (1 + np.exp(-told * z - shift))).astype(float)
    label[: 2 * FEWEST] = np.arange(2 * FEWEST) % 2
    score = (place + spread * z).astype(np.float32).astype(np.float64)
    return score, label, rng.integers(1, 5, 400).astype(np.float64)


@settings(max_examples=60)
@given(problems, st.booleans())
def test_the_derivatives_of_the_log_loss_are_0_at_the_solution_and_it_is_never_worse_than_before(
    values: tuple[int, float, float, float, float], weighted: bool
) -> None:
    score, label, weight = problem(values)
    weight = weight if weighted else np.ones(400)
    found = fitted(score, label, weight if weighted else None)
    assert found is not None
    slope = gradient(found, score, label, weight) / [np.abs(score).max(), 1]
    assert abs(slope[1]) < 1e-8  # so that as many clicks are expected as there are
    if found.scale == LEAST_SCALE:
        assert slope[0] > -1e-8  # the best is at no higher scale
    else:
        assert abs(slope[0]) < 1e-8
    assert mean_loss(found, score, label, weight) <= mean_loss(AS_IT_IS, score, label, weight)
    calibrated = found(score)
    assert (np.diff(calibrated[np.argsort(score)]) >= 0).all()


def test_numbers_that_were_put_in_are_found_again() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=200_000)
    label = (rng.random(200_000) < 1 / (1 + np.exp(-(0.6 * score - 1.5)))).astype(float)
    found = fitted(score, label)
    assert found is not None
    assert (found.scale, found.shift) == (pytest.approx(0.6, abs=0.03), pytest.approx(-1.5, abs=0.03))


def test_a_row_of_a_whole_weight_counts_as_so_many_rows() -> None:
    score, label, weight = problem((1, 0.5, 2.0, -0.5, 1.0))
    times = weight.astype(int)
    once, repeated = fitted(score, label, weight), fitted(score.repeat(times), label.repeat(times))
    assert once is not None
    assert repeated is not None
    assert (once.scale, once.shift) == (pytest.approx(repeated.scale), pytest.approx(repeated.shift))


@pytest.mark.parametrize(
    "score", [np.repeat([-1.0, 2.0], 60), np.repeat([2.0, -1.0], 60), np.full(120, 3.0), np.full(120, 700.0)]
)
def test_scores_that_are_separable_or_alike_are_shifted_alone(score: Array) -> None:
    label = np.repeat([0.0, 1.0], 60)
    found = fitted(score, label)
    assert found is not None
    assert found.scale == 1
    assert (1 / (1 + np.exp(-found(score)))).sum() == pytest.approx(60)


def test_scores_that_rank_the_wrong_way_keep_their_order_and_come_to_the_share_of_clicks() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=1000)
    label = (rng.random(1000) < 1 / (1 + np.exp(score + 1))).astype(float)
    found = fitted(score, label)
    assert found is not None
    assert found.scale == LEAST_SCALE
    assert (1 / (1 + np.exp(-found(score)))).mean() == pytest.approx(label.mean())


@pytest.mark.parametrize("clicks", [0, FEWEST - 1, 200 - FEWEST + 1, 200])
def test_too_few_clicks_or_non_clicks_are_not_fitted(clicks: int) -> None:
    label = (np.arange(200) < clicks).astype(float)
    assert fitted(np.linspace(-1, 1, 200), label) is None
