import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dien.data.negative_sampling import PopularitySampler, _alias_table, negative_sampler
from dien.data.ragged import Ragged
from dien.errors import DataError

counts = st.lists(st.integers(0, 20) | st.just(0) | st.integers(0, 10**6), min_size=1, max_size=40)


@settings(max_examples=200)
@given(counts)
def test_the_alias_table_gives_every_item_exactly_its_share(column):
    counts = np.array(column, np.int64)
    assume(counts.sum() > 0)
    total = int(counts.sum())
    threshold, alias = _alias_table(counts, total)
    assert (threshold >= 0).all()
    assert (threshold <= total).all()
    share = threshold.copy()
    np.add.at(share, alias, total - threshold)
    assert share.tolist() == (counts * len(counts)).tolist()


def test_items_are_drawn_in_proportion_to_their_counts():
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


@settings(max_examples=50)
@given(counts, st.integers(0, 99), st.data())
def test_a_negative_is_never_its_positive(column, seed, data):
    counts = np.array(column)
    assume(np.count_nonzero(counts) > 1)
    sampler = PopularitySampler(counts)
    some = st.lists(st.integers(0, len(column) - 1), max_size=30)
    items = np.array(data.draw(some), np.int32)
    drawn = sampler.draw_other_than(np.random.default_rng(seed), items)
    assert (drawn != items).all()
    assert (counts[drawn] > 0).all()
    assert np.array_equal(drawn, sampler.draw_other_than(np.random.default_rng(seed), items))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12), st.integers(0, 99))
def test_a_negative_is_never_a_positive_of_its_impression(taken, seed):
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


def test_an_impression_whose_positives_are_all_items_is_refused_and_others_are_not():
    sampler, rng = PopularitySampler(np.array([1, 1, 0])), np.random.default_rng(0)
    everything = np.array([0, 0]), np.array([0, 1])
    with pytest.raises(DataError, match="more items"):
        sampler.draw_outside(rng, np.array([1, 0]), *everything)
    assert sampler.draw_outside(rng, np.array([1, 1]), *everything).max() <= 1


def test_sampling_is_refused_where_no_other_item_can_be_drawn():
    with pytest.raises(DataError, match="nothing to draw"):
        PopularitySampler(np.zeros(3, np.int64))
    sampler, rng = PopularitySampler(np.array([0, 7, 0])), np.random.default_rng(0)
    assert sampler.draw_other_than(rng, np.array([0, 2])).tolist() == [1, 1]
    with pytest.raises(DataError, match="no other to draw"):
        sampler.draw_other_than(rng, np.array([0, 1]))
    with pytest.raises(DataError, match="too many"):
        PopularitySampler(np.array([2**61, 1, 1, 1]))


@settings(max_examples=200)
@given(counts, st.integers(0, 99), st.data())
def test_a_negative_has_the_value_of_its_positive_unless_the_impression_has_all_such_items(
    column, seed, data
):
    counts = np.array(column)
    items = st.integers(0, len(column) - 1)
    value = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(column), max_size=len(column))), np.int32
    )
    taken = data.draw(st.lists(st.tuples(st.integers(0, 3), items), max_size=12))
    wanted = data.draw(st.lists(st.tuples(st.integers(0, 3), items), max_size=30))
    drawable = set(counts.nonzero()[0].tolist())
    left = {group: drawable - {item for g, item in taken if g == group} for group in range(4)}
    assume(drawable and all(left[group] for group, _ in wanted))
    group, like = (np.array([pair[k] for pair in wanted], np.int64) for k in (0, 1))
    taken_group, taken_item = (np.array([pair[k] for pair in taken], np.int64) for k in (0, 1))
    by_value = negative_sampler("category", counts, value)
    drawn = by_value.draw_outside(np.random.default_rng(seed), group, taken_group, taken_item, like)
    assert drawn.dtype == np.int32
    for (of, positive), item in zip(wanted, drawn.tolist(), strict=True):
        alike = {i for i in left[of] if value[i] == value[positive]} if value[positive] else set()
        assert item in (alike or left[of])
    again = by_value.draw_outside(np.random.default_rng(seed), group, taken_group, taken_item, like)
    assert np.array_equal(drawn, again)


def test_items_of_one_value_are_drawn_in_proportion_to_their_counts():
    counts = np.array([0, 7, 3, 10**9, 2, 50, 8, 30])
    value = np.array([0, 0, 1, 1, 1, 1, 2, 0], np.int32)
    n = 20_000
    cases = {  # taken: share of each item
        (3,): np.array([0, 0, 3, 0, 2, 50, 0, 0]),  # all but a few of the counts are the positive's
        (3, 5): np.array([0, 0, 3, 0, 2, 0, 0, 0]),
        (2, 3, 4, 5): np.array([0, 7, 0, 0, 0, 0, 8, 30]),  # none is left: any other
        (6,): np.array([0, 7, 3, 10**9, 2, 50, 0, 30]),
        (1,): np.array([0, 0, 3, 10**9, 2, 50, 8, 30]),  # unknown: any other
    }
    group = np.repeat(np.arange(len(cases)), n)
    taken = [(g, item) for g, items in enumerate(cases) for item in items]
    like = np.repeat([items[0] for items in cases], n)
    taken_group, taken_item = np.array(taken[::-1]).T
    drawn = negative_sampler("category", counts, value).draw_outside(
        np.random.default_rng(0), group, taken_group, taken_item, like
    )
    for g, share in enumerate(cases.values()):
        expected = n * share / share.sum()
        found = np.bincount(drawn[group == g], minlength=len(counts))
        assert (np.abs(found - expected) <= 4 * np.sqrt(expected) + 1e-3).all()


def test_uniform_sampling_draws_every_item_with_a_popularity_equally_often():
    counts = np.array([0, 1, 0, 500, 4, 30])
    nobody = np.zeros(0, np.int64)
    size = np.zeros(40_000, np.int64)
    drawn = negative_sampler("uniform", counts).draw_outside(
        np.random.default_rng(0), size, nobody, nobody, size
    )
    found = np.bincount(drawn, minlength=6)
    assert (found[counts == 0] == 0).all()
    assert (np.abs(found[counts > 0] - 10_000) <= 4 * np.sqrt(10_000)).all()


def test_by_popularity_draws_as_the_popularity_sampler_does():
    counts, group = np.array([0, 1, 0, 5, 4, 30]), np.arange(100)
    like = np.full(100, 5)
    first = negative_sampler("popularity", counts).draw_outside(
        np.random.default_rng(3), group, group, like, like
    )
    second = PopularitySampler(counts).draw_outside(np.random.default_rng(3), group, group, like)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    "column", [None, np.zeros(2, np.float32), Ragged(np.zeros(0, np.int32), np.zeros(3, np.int64))]
)
def test_a_rule_that_names_no_categorical_feature_is_refused(column):
    with pytest.raises(
        DataError, match="negatives by 'price': expected popularity, uniform or a categorical"
    ):
        negative_sampler("price", np.array([1, 2]), column)
