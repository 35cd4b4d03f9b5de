import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dien.data.log import DataError
from dien.data.negatives import PopularitySampler, _alias_table

counts = st.lists(st.integers(0, 20) | st.just(0) | st.integers(0, 10**6), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(counts)
def test_the_buckets_give_every_item_exactly_its_share(column):
    counts = np.array(column, np.int64)
    assume(counts.sum() > 0)
    total = int(counts.sum())
    threshold, alias = _alias_table(counts, total)
    assert (threshold >= 0).all()
    assert (threshold <= total).all()
    share = threshold.copy()
    np.add.at(share, alias, total - threshold)
    assert share.tolist() == (counts * len(counts)).tolist()


def test_draws_follow_the_counts():
    counts = np.array([0, 1, 0, 5, 4, 30])
    drawn = PopularitySampler(counts).draw(np.random.default_rng(0), 40_000)
    expected = 40_000 * counts / counts.sum()
    assert (np.abs(np.bincount(drawn, minlength=6) - expected) <= 4 * np.sqrt(expected)).all()


def test_draws_other_than_an_item_follow_the_counts_of_the_rest():
    counts = np.array([0, 1, 0, 5, 4, 30])
    sampler = PopularitySampler(counts)
    drawn = sampler.draw_other_than(np.random.default_rng(0), np.full(10_000, 5))
    expected = 10_000 * np.array([0, 1, 0, 5, 4, 0]) / 10
    assert (np.abs(np.bincount(drawn, minlength=6) - expected) <= 4 * np.sqrt(expected)).all()


@settings(max_examples=50, deadline=None)
@given(counts, st.integers(0, 99), st.data())
def test_a_draw_is_never_what_it_may_not_be(column, seed, data):
    counts = np.array(column)
    assume(np.count_nonzero(counts) > 1)
    sampler = PopularitySampler(counts)
    some = st.lists(st.integers(0, len(column) - 1), max_size=30)
    items = np.array(data.draw(some), np.int32)
    drawn = sampler.draw_other_than(np.random.default_rng(seed), items)
    assert (drawn != items).all()
    assert (counts[drawn] > 0).all()
    assert np.array_equal(drawn, sampler.draw_other_than(np.random.default_rng(seed), items))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12), st.integers(0, 99))
def test_a_group_is_never_given_what_it_has_taken(taken, seed):
    counts = np.array([4, 0, 1, 1, 2, 9])
    group = np.repeat(np.arange(4), 5)
    taken_group = np.array([g for g, _ in taken], np.int64)
    taken_item = np.array([i for _, i in taken], np.int64)
    draw = lambda: PopularitySampler(counts).draw_outside(  # noqa: E731
        np.random.default_rng(seed), group, taken_group, taken_item
    )
    if any({i for g, i in taken if g == wanted} >= {0, 2, 3, 4, 5} for wanted in range(4)):
        with pytest.raises(DataError, match="positives are all the items"):
            draw()
    else:
        assert not set(zip(group.tolist(), draw().tolist(), strict=True)) & set(taken)


def test_a_group_that_took_everything_gets_an_error_and_the_others_do_not_mind():
    sampler, rng = PopularitySampler(np.array([1, 1, 0])), np.random.default_rng(0)
    everything = np.array([0, 0]), np.array([0, 1])
    with pytest.raises(DataError, match="more items"):
        sampler.draw_outside(rng, np.array([1, 0]), *everything)
    assert sampler.draw_outside(rng, np.array([1, 1]), *everything).max() <= 1


def test_where_nothing_else_can_be_drawn_there_is_an_error():
    with pytest.raises(DataError, match="nothing to draw"):
        PopularitySampler(np.zeros(3, np.int64))
    sampler, rng = PopularitySampler(np.array([0, 7, 0])), np.random.default_rng(0)
    assert sampler.draw_other_than(rng, np.array([0, 2])).tolist() == [1, 1]
    with pytest.raises(DataError, match="no other to draw"):
        sampler.draw_other_than(rng, np.array([0, 1]))
    with pytest.raises(DataError, match="too many"):
        PopularitySampler(np.array([2**61, 1, 1, 1]))
