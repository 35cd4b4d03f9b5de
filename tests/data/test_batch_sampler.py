import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data import batch_sampler
from dien.data.batch_sampler import BatchSampler
from dien.data.ragged import to_offsets
from dien.data.tables import Split


@pytest.fixture
def small(monkeypatch):
    """Windows of 64 impressions in blocks of 4."""
    monkeypatch.setattr(batch_sampler, "WINDOW", 64)
    monkeypatch.setattr(batch_sampler, "BLOCK", 4)


def split_of(sizes: np.ndarray, time: np.ndarray | None = None) -> Split:
    """Impressions of so many candidates; what an order does not read is empty."""
    nothing, offsets = np.zeros(0, np.int32), to_offsets(sizes)
    return Split(
        user=np.broadcast_to(np.int32(0), len(sizes)),
        end=nothing,
        time=np.zeros(0, np.int64) if time is None else time,
        context={},
        offsets=offsets,
        item=np.broadcast_to(np.int32(0), int(offsets[-1])),
        label=nothing,
    )


def epoch_of(order: BatchSampler, epoch: int) -> list[np.ndarray]:
    return [order.batch(epoch, index) for index in range(len(order))]


@pytest.mark.usefixtures("small")
@settings(max_examples=200)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=400),
    st.sampled_from([1, 2, 10, 64, 500, 10_000]),
    st.booleans(),
    st.sampled_from([None, 0, 3, 6, 11]),
    st.integers(0, 99),
)
def test_every_epoch_has_every_impression_once_in_equally_many_batches_none_of_them_empty(
    sizes, batch_size, shuffle, since, seed
):
    sizes = np.array(sizes)
    time = np.random.default_rng(seed).integers(0, 10, len(sizes))
    wanted = np.flatnonzero(time >= (since or 0))
    order = BatchSampler(split_of(sizes, time), batch_size, seed=seed, shuffle=shuffle, since=since)
    assert order.rows == sizes[wanted].sum()
    assert abs(len(order) - order.rows / batch_size) <= 1 or len(order) < order.rows / batch_size
    for epoch in (0, 1):
        batches = epoch_of(order, epoch)
        assert all(len(batch) for batch in batches)
        seen = np.concatenate([np.zeros(0, np.int64), *batches])
        assert np.array_equal(np.sort(seen) if shuffle else seen, wanted)


@pytest.mark.usefixtures("small")
@settings(max_examples=50)
@given(st.integers(65, 1000), st.integers(5, 60), st.integers(0, 99))
def test_batches_hold_about_as_many_candidates_as_asked_for(impressions, batch_size, seed):
    sizes = np.random.default_rng(seed).integers(1, 4, impressions)
    batches = epoch_of(BatchSampler(split_of(sizes), batch_size, seed=seed, shuffle=True), 1)
    assert max(sizes[batch].sum() for batch in batches) <= 2 * batch_size + 6
    assert min(sizes[batch].sum() for batch in batches) >= batch_size / 2 - 6


@pytest.mark.usefixtures("small")
@settings(max_examples=50)
@given(st.integers(1, 500), st.integers(0, 99), st.integers(0, 9), st.data())
def test_a_batch_is_the_same_whatever_was_read_before_it(impressions, seed, epoch, draw):
    split = split_of(np.ones(impressions, np.int64))
    gone_through, jumped = (BatchSampler(split, 7, seed=seed, shuffle=True) for _ in range(2))
    batches = epoch_of(gone_through, epoch)
    for _ in range(3):
        index = draw.draw(st.integers(0, len(batches) - 1))
        assert np.array_equal(jumped.batch(epoch, index), batches[index])
        windows = [gone_through.window_of(k) for k in range(len(batches))]
        assert windows == sorted(windows)


@settings(max_examples=50)
@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 9))
def test_a_small_split_is_permuted_fully_and_by_the_same_random_numbers_as_ever(impressions, seed, epoch):
    order = BatchSampler(split_of(np.full(impressions, 2)), 20, seed=seed, shuffle=True)
    seen = np.concatenate(epoch_of(order, epoch))
    expected = np.random.default_rng([0, seed, epoch, 0]).permutation(impressions)
    assert np.array_equal(seen, expected)
    assert all(len(batch) == 10 for batch in epoch_of(order, epoch)[:-1])


@pytest.mark.usefixtures("small")
def test_two_impressions_share_a_batch_as_often_as_the_documentation_says():
    impressions, each, epochs = 512, 8, 200  # 8 windows of 16 blocks, 64 batches
    order = BatchSampler(split_of(np.ones(impressions, np.int64)), each, seed=3, shuffle=True)
    batches = np.stack([np.stack(epoch_of(order, epoch)) for epoch in range(epochs)])  # [epochs, 64, 8]
    pairs = batches.size * (each - 1)  # ordered
    blocks = batches // 4
    same = (blocks[..., :, None] == blocks[..., None, :]).sum() - batches.size
    said, full = 3 / 63, 3 / 511
    assert same / pairs == pytest.approx(said, rel=0.1)
    assert same / pairs > 5 * full

    met = np.zeros((128, 128))  # by block
    np.add.at(met, (blocks[..., :, None], blocks[..., None, :]), 1)
    distance = np.abs(np.subtract.outer(np.arange(128), np.arange(128)))
    expected = pairs * (1 - said) / (distance > 0).sum()
    for near, far in ((1, 1), (2, 8), (9, 40), (41, 127)):  # neighbours no more often than strangers
        chosen = (distance >= near) & (distance <= far)
        assert met[chosen].mean() == pytest.approx(expected, rel=0.05)

    place = np.empty((epochs, impressions), np.int64)
    place[np.arange(epochs)[:, None], batches.reshape(epochs, -1)] = np.arange(impressions)
    early = (place < impressions // 2).mean(0)  # of each impression, over the epochs
    assert np.abs(early - 0.5).max() < 5 * 0.5 / np.sqrt(epochs)


def test_memory_of_the_batch_sampler_does_not_grow_with_the_split():
    peaks = []
    for impressions in (2**22, 2**23):
        split = split_of(np.ones(impressions, np.int8), np.arange(impressions))
        tracemalloc.start()
        order = BatchSampler(split, 128, shuffle=True, since=impressions // 2)
        for index in (0, len(order) - 1):
            order.batch(0, index)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 4.5 * 2**21  # bytes: the chosen impressions, 4 each
    assert peaks[0] < 80e6
