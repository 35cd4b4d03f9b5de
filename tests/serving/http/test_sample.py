"""A sample over time: even, bounded, and with the newest."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.serving.http import sample
from dien.serving.http.sample import Sample


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Have samples be full after 16 lines or 1000 bytes, and of 1000 seconds at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "MOST", 16)
        patch.setattr(sample, "LARGEST", 1000)
        patch.setattr(sample, "FIRST_EVERY", 1.0)
        patch.setattr(sample, "LAST_EVERY", 1000 / 16)
        yield


def times_of(found: Sample) -> list[float]:
    return list(map(float, found.content().split()))


@given(st.integers(1, 400))
def test_lines_are_as_far_apart_everywhere_and_the_newest_is_there(number: int) -> None:
    found, now = Sample(), 0.0
    for _ in range(number):
        found.add(b"%f\n" % now)
        now += found.every
    times = times_of(found)
    assert times[-1] == pytest.approx(now - found.every)
    gaps = [later - before for before, later in pairwise(times)]
    assert all(found.every - 1e-3 <= gap < 2 * found.every for gap in gaps)
    assert len(found) == len(times) <= 16
    assert len(times) >= min(number, 8)  # never less than half of it
    assert found.every <= 1000 / 16


def test_it_comes_to_be_of_the_last_day_and_no_more() -> None:
    found, now = Sample(), 0.0
    while now < 5000:
        found.add(b"%f\n" % now)
        now += found.every
    times = times_of(found)
    assert len(times) == 16
    assert 900 < times[-1] - times[0] < 1000


@given(st.lists(st.integers(1, 1500), min_size=1, max_size=100))
def test_bytes_are_bounded_but_for_a_single_line(sizes: list[int]) -> None:
    found = Sample()
    for size in sizes:
        found.add(b"x" * size)
        assert len(found.content()) <= 1000 or len(found) == 1
        assert found.content().endswith(b"x" * size)


@given(st.integers(0, 40), st.integers(0, 20))
def test_some_of_the_lines_are_spread_over_all_of_them(number: int, most: int) -> None:
    lines = [b"%d\n" % place for place in range(min(number, 16))]
    some = list(map(int, Sample(lines).spread(most)))
    assert len(some) == min(most, len(lines))
    assert some == sorted(set(some))
    assert not some or some[-1] == len(lines) - 1
    gaps = {later - before for before, later in pairwise(some)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_former_sample_that_is_full_is_taken_for_that_of_a_day() -> None:
    assert Sample([b"1\n"] * 20).every == sample.LAST_EVERY
    assert len(Sample([b"1\n"] * 20)) == 16
    assert Sample([b"1\n"] * 8).every == sample.FIRST_EVERY
