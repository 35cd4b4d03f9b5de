"""States in two dimensions."""

import numpy as np
import pytest

from dien.explain.paths import in_two_dimensions


def test_states_in_a_plane_keep_their_distances_and_the_axes_hold_all_variance() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    plane = rng.normal(size=(30, 2)) * [3, 1]
    found, variance = in_two_dimensions(plane @ axes + 7)
    before = np.linalg.norm(plane[:, None] - plane, axis=2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), before)
    assert sum(variance) == pytest.approx(1)
    assert variance[0] > variance[1]


@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (4, 3)])
def test_states_that_are_all_alike_or_have_one_number_have_a_path(shape: tuple[int, int]) -> None:
    found, variance = in_two_dimensions(np.ones(shape))
    np.testing.assert_array_equal(found, np.zeros((shape[0], 2)))
    assert variance == (0, 0)


def test_the_same_states_turned_around_give_the_same_picture() -> None:
    states = np.random.default_rng(1).normal(size=(9, 4))
    np.testing.assert_allclose(in_two_dimensions(states)[0][::-1], in_two_dimensions(states[::-1])[0])
