import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.inspection.distribution import DRIFT_BINS, PERCENTS, Distribution, distance, gini, top_share

numbers = st.lists(st.integers(0, 300), max_size=40)
counts = st.integers(1, 80).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 50), min_size=n, max_size=n).map(np.array)] * 2)
)


@settings(max_examples=60)
@given(numbers, numbers)
def test_a_distribution_is_that_of_its_sorted_numbers_however_they_are_cut(left, right):
    found = Distribution.of([np.array(left, np.int64), np.array(right, np.int32)])
    everything = sorted(left + right)
    assert found == Distribution.of([np.array(everything, np.int64)])
    assert found.count == sum(found.counts) == len(everything)
    if everything:
        assert found.mean == pytest.approx(sum(everything) / len(everything))
        for percent in PERCENTS:
            reached = [
                n for n in everything if 100 * sum(m <= n for m in everything) >= percent * found.count
            ]
            assert found.quantiles[str(percent)] == reached[0]
        ends = [*found.edges[1:], 2 * max(1, found.edges[-1])]
        inside = [sum(a <= n < b for n in everything) for a, b in zip(found.edges, ends, strict=True)]
        assert inside == list(found.counts)


@settings(max_examples=60)
@given(counts)
def test_distances_are_within_their_bounds_and_zero_from_itself(pair):
    before, after = pair
    found = distance(before, after)
    if not before.sum() or not after.sum():
        assert found is None
        return
    assert found.psi >= 0
    assert 0 <= found.js <= 1
    if len(before) <= DRIFT_BINS:
        assert distance(after, before).js == pytest.approx(found.js)
    itself = distance(before, before)
    assert itself.psi == 0
    assert itself.js == pytest.approx(0, abs=1e-12)


def test_psi_and_js_are_those_of_the_textbook():
    before, after = np.array([600_000, 300_000, 100_000, 0]), np.array([200_000, 300_000, 500_000, 0])
    found = distance(before, after)
    psi = 0.4 * np.log(0.6 / 0.2) + 0.4 * np.log(0.5 / 0.1)
    assert found.psi == pytest.approx(psi, rel=1e-4)  # half a count in a million is little
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    middle = (p + q) / 2
    js = (p * np.log2(p / middle)).sum() / 2 + (q * np.log2(q / middle)).sum() / 2
    assert found.js == pytest.approx(js)
    assert found.by_chance == pytest.approx(2 * (2 / 1_000_000))
    assert found.beyond_chance
    assert distance(np.array([5, 0]), np.array([0, 7])).js == pytest.approx(1)


def test_the_values_that_are_rare_in_both_splits_are_pooled():
    rare = 1000
    frequent = np.arange(100, 100 + DRIFT_BINS)
    before = np.concatenate([frequent, np.ones(rare, np.int64), np.zeros(rare, np.int64)])
    after = np.concatenate([frequent, np.zeros(rare, np.int64), np.ones(rare, np.int64)])
    found = distance(before, after)  # other rare values, as many of them
    assert found.psi == pytest.approx(0)
    assert found.by_chance == pytest.approx(DRIFT_BINS * 2 / before.sum())
    after[-1] += 10_000  # new, and frequent
    assert distance(before, after).psi > 0.25


def test_a_small_split_of_many_values_does_not_drift_by_chance():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(50_000, 0.5))
    found = distance(rng.multinomial(1_000_000, shares), rng.multinomial(500, shares))
    assert not found.beyond_chance


def test_psi_by_chance_is_the_mean_over_splits_of_one_distribution():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(20, 5.0))
    pairs = [(rng.multinomial(4000, shares), rng.multinomial(2000, shares)) for _ in range(200)]
    found = [distance(before, after) for before, after in pairs]
    assert np.mean([f.psi for f in found]) == pytest.approx(found[0].by_chance, rel=0.1)
    assert np.mean([f.beyond_chance for f in found]) < 0.05


def test_concentration_is_least_where_all_are_equal_and_most_where_one_has_all():
    assert gini(np.full(100, 3)) == pytest.approx(0)
    assert gini(np.eye(100, dtype=np.int64)[3]) == pytest.approx(0.99)
    assert gini(np.zeros(5, np.int64)) is None
    assert top_share(np.arange(1, 101), 1) == pytest.approx(100 / 5050)
    assert top_share(np.arange(1, 101), 10) == pytest.approx(sum(range(91, 101)) / 5050)
    assert top_share(np.zeros(5, np.int64), 10) is None
