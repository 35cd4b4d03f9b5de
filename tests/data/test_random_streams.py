import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.random_streams import RandomStreams, _mixed

HIGHS = st.integers(1, 2**63) | st.integers(1, 100)


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 2**62), min_size=1, max_size=20, unique=True),
    HIGHS,
    st.integers(0, 2**70),
    st.data(),
)
def test_the_numbers_of_a_key_do_not_depend_on_the_other_keys(keys, high, seed, data):
    def numbers(streams: RandomStreams, which: np.ndarray) -> list:
        return [streams.integers(high, which), streams.random(which), streams.integers(high, which)]

    all_of_them = numbers(RandomStreams(seed, np.array(keys)), np.arange(len(keys)))
    some = np.array(data.draw(st.lists(st.integers(0, len(keys) - 1), min_size=1, unique=True)))
    streams = RandomStreams(seed, np.array(keys)[some])
    order = np.array(data.draw(st.permutations(range(len(some)))))
    for found, expected in zip(numbers(streams, order), all_of_them, strict=True):
        assert np.array_equal(found, expected[some[order]])
    assert (all_of_them[0] >= 0).all()
    assert (all_of_them[0] < high).all()
    assert (all_of_them[1] >= 0).all()
    assert (all_of_them[1] < 1).all()


def test_the_bits_are_those_of_splitmix64():
    steps = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    known = [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]  # of Vigna's splitmix64.c from state 0
    assert _mixed(steps).tolist() == known


def test_every_integer_is_equally_likely_however_large_they_are():
    n = 40_000
    for high in (7, 3 * 2**61):  # of which a mere remainder would draw the lower two thirds more often
        drawn = RandomStreams(1, np.arange(n)).integers(high, np.arange(n))
        found = np.bincount(drawn // -(-high // 7), minlength=7)
        assert (np.abs(found - n / 7) <= 4 * np.sqrt(n / 7)).all()


def test_streams_of_neighbouring_keys_and_seeds_are_uncorrelated():
    n = 10_000
    keys, which = np.arange(n), np.arange(n)
    streams = RandomStreams(0, keys)
    first = streams.random(which)
    others = [
        streams.random(which),
        RandomStreams(0, keys + 1).random(which),
        RandomStreams(1, keys).random(which),
    ]
    assert np.array_equal(others[1][:-1], first[1:])
    for other in others:
        assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(n)
