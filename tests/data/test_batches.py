import threading
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.batch import Batch
from dien.data.batches import Batches, prefetch
from dien.data.clicks import training_targets
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare import impressions as impression_recipe
from dien.data.prepare import paper, temporal
from dien.data.prepare.splits import ByTime
from dien.data.ragged import Ragged, to_offsets
from dien.data.tables import SPLITS, Split
from dien.packed import Packed
from tests.data.datasets import random_prepared, stored
from tests.data.logs import make_log, random_log

OPTIONS = {"batch_size": 16, "max_history": 6}
REDRAWN = {**OPTIONS, "shuffle": True, "negatives": "redrawn", "auxiliary": True}


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory) -> Dataset:
    return stored(random_prepared(5), tmp_path_factory.mktemp("batches") / "DATA")


def values(column) -> list:
    """A column as a list: NaN as a word, so that it equals itself; lists of a multi-valued one."""
    if isinstance(column, Packed | Ragged):
        flat, ends = column.values.tolist(), column.offsets.tolist()
        return [flat[start:end] for start, end in pairwise(ends)]
    return ["missing" if value != value else value for value in column.tolist()]


def impressions(batch: Batch) -> list[tuple]:
    """A batch as a list of its impressions: user, histories, candidates, labels, context."""
    found = []
    history, target, beside = (
        {name: values(column) for name, column in columns.items()}
        for columns in (batch.history, batch.target, batch.user | batch.context)
    )
    for r in range(len(batch.offsets) - 1):
        steps = slice(batch.offsets[r], batch.offsets[r + 1])
        mine = (batch.history_of == r).nonzero().flatten().tolist()
        found.append(
            (
                int(batch.user_row[r]),
                {name: column[steps] for name, column in history.items()},
                {name: [column[k] for k in mine] for name, column in target.items()},
                batch.label[mine].tolist(),
                {name: column[r] for name, column in beside.items()},
            )
        )
    return found


def expected(data: Dataset, name: str, max_history: int) -> list[tuple]:
    """The impressions of a split, by loops and slices."""
    split, found = data.splits[name], []
    items, users, own, context = (
        {name: values(column) for name, column in table.items()}
        for table in (data.items, data.users, data.behaviours.features, split.context)
    )
    edges = next((f.encoder.edges for f in data.schema.features if f.name == "time_since"), None)
    for i in range(len(split)):
        user, end = int(split.user[i]), int(split.end[i])
        past = range(max(int(data.behaviours.offsets[user]), end - max_history), end)
        history = {name: [column[data.behaviours.item[k]] for k in past] for name, column in items.items()}
        history |= {name: [column[k] for k in past] for name, column in own.items()}
        if edges is not None:
            since = [split.time[i] - data.behaviours.time[k] for k in past]
            history["time_since"] = [1 + sum(seconds >= edge for edge in edges) for seconds in since]
        shown = slice(split.offsets[i], split.offsets[i + 1])
        found.append(
            (
                user,
                history,
                {name: [column[k] for k in split.item[shown]] for name, column in items.items()},
                split.label[shown].tolist(),
                {name: column[user] for name, column in users.items()}
                | {name: column[i] for name, column in context.items()},
            )
        )
    return found


def equal(a: Batch, b: Batch) -> bool:
    """Whether two batches agree to the bit."""
    for name, left in vars(a).items():
        right = getattr(b, name)
        if isinstance(left, dict):
            same = left.keys() == right.keys() and all(values(left[k]) == values(right[k]) for k in left)
        else:
            same = torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right
        if not same:
            return False
    return True


@settings(max_examples=40)
@given(
    st.sampled_from(SPLITS),
    st.integers(1, 700),
    st.sampled_from([1, 3, 10, 1000]),
    st.booleans(),
    st.integers(0, 5),
)
def test_an_epoch_shows_every_impression_once_in_batches_of_about_the_size(
    data, split, size, longest, shuffle, epoch
):
    batches = Batches(data, split, batch_size=size, max_history=longest, shuffle=shuffle)
    seen = list(batches.epoch(epoch))
    found = [impression for batch in seen for impression in impressions(batch)]
    wanted = expected(data, split, longest)
    assert (sorted(found, key=repr) == sorted(wanted, key=repr)) if shuffle else (found == wanted)
    largest = int(np.diff(data.splits[split].offsets).max())
    assert len(seen) == len(batches)
    if size >= largest:
        assert all(size - largest < len(batch) < size + largest for batch in seen[:-1])
    assert 0 < len(seen[-1]) <= 1.5 * size + largest


@pytest.mark.parametrize("longest", [1, 3, 1000])
def test_features_of_every_kind_and_side_are_those_on_disk(every_kind, longest):
    for split in SPLITS:
        batches = Batches(every_kind, split, batch_size=9, max_history=longest)
        found = [impression for batch in batches.epoch(0) for impression in impressions(batch)]
        assert found == expected(every_kind, split, longest)
    batch = batches.batch(0, 0)
    own = {f.name for f in every_kind.schema.of("behaviour")}
    assert batch.history.keys() == own | batch.target.keys()
    kinds = {f.name: f.kind for f in every_kind.schema.features}
    for name, column in (batch.history | batch.target | batch.user | batch.context).items():
        assert isinstance(column, Packed) == (kinds[name] == "multi")
        indices = column.values if isinstance(column, Packed) else column
        assert indices.dtype == (torch.float32 if kinds[name] == "numeric" else torch.int64)


@settings(max_examples=100)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 40), st.booleans())
def test_impressions_larger_than_a_batch_leave_none_empty(data, sizes, batch_size, shuffle):
    rows, shown = len(sizes), sum(sizes)
    user = np.arange(rows, dtype=np.int32)  # row 0, "unknown", is as good as another here
    split = Split(
        user=user,
        end=data.behaviours.offsets[user],  # an empty history
        time=np.zeros(rows, np.int64),
        context={},
        offsets=to_offsets(np.array(sizes)),
        item=np.ones(shown, np.int32),
        label=np.ones(shown, np.int8),
    )
    dataset = replace(data, splits={"train": split})
    batches = Batches(dataset, "train", batch_size=batch_size, max_history=1, shuffle=shuffle)
    for epoch in range(3):
        seen = list(batches.epoch(epoch))
        assert all(len(batch) for batch in seen)
        assert sorted(torch.cat([batch.user_row for batch in seen]).tolist()) == list(range(rows))
        assert sum(map(len, seen)) == shown


def test_each_seed_and_epoch_has_its_own_order_and_each_batch_its_own_draws(tmp_path, data):
    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches(data, "train", seed=seed, shuffle=True, **OPTIONS)
        return torch.cat([batch.user_row for batch in batches.epoch(epoch)]).tolist()

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(a != b for k, a in enumerate(orders) for b in orders[:k])

    alike = make_log([(f"u{user}", item, time) for user in range(200) for time, item in enumerate("abcdefg")])
    batches = Batches(stored(paper(alike), tmp_path / "DATA"), "train", **(REDRAWN | {"shuffle": False}))
    first, second = batches.batch(0, 0), batches.batch(0, 1)
    assert torch.equal(first.history["item"], second.history["item"])
    assert not torch.equal(first.target["item"], second.target["item"])
    assert not torch.equal(first.negatives["item"], second.negatives["item"])


@settings(max_examples=20)
@given(st.integers(0, 2**40), st.integers(0, 10), st.data())
def test_a_batch_depends_on_seed_epoch_and_index_alone(data, seed, epoch, draw):
    batches = Batches(data, "train", seed=seed, **REDRAWN)
    index = draw.draw(st.integers(0, len(batches) - 1))
    went_on = list(batches.epoch(epoch))[index]
    resumed = next(Batches(data, "train", seed=seed, **REDRAWN).epoch(epoch, start=index))
    assert equal(went_on, resumed)
    for other in (
        Batches(data, "train", seed=seed + 1, **REDRAWN).batch(epoch, index),
        batches.batch(epoch + 1, index),
        batches.batch(epoch, (index + 1) % len(batches)),
    ):
        assert not equal(went_on, other)


def positives(batch: Batch) -> list[tuple]:
    return [
        (user, history["item"], [item for item, y in zip(target["item"], label, strict=True) if y], label)
        for user, history, target, label, _ in impressions(batch)
    ]


def test_redrawn_negatives_are_new_each_epoch_and_never_a_positive_of_the_impression(data):
    batches = Batches(data, "train", **(REDRAWN | {"shuffle": False}))
    fixed = Batches(data, "train", **OPTIONS)
    several = 0
    for index in range(len(batches)):
        first, second, as_stored = batches.batch(0, index), batches.batch(1, index), fixed.batch(0, index)
        assert positives(first) == positives(second) == positives(as_stored)
        assert not torch.equal(first.target["item"], second.target["item"])
        assert not torch.equal(first.target["item"], as_stored.target["item"])
        for _, _, target, label, _ in impressions(first):
            clicked = {item for item, y in zip(target["item"], label, strict=True) if y}
            several += len(clicked) > 1
            assert not clicked & {item for item, y in zip(target["item"], label, strict=True) if not y}
    assert several > 5


def test_real_negatives_and_those_of_validation_and_test_stay_as_stored(data, real):
    for dataset, split in ((real, "train"), (data, "valid"), (data, "test")):
        redrawn = Batches(dataset, split, **(REDRAWN | {"shuffle": False}))
        as_stored = Batches(dataset, split, **OPTIONS)
        for index in range(len(redrawn)):
            a, b = redrawn.batch(7, index), as_stored.batch(0, index)
            assert torch.equal(a.target["item"], b.target["item"])
            assert torch.equal(a.label, b.label)


@pytest.mark.parametrize("by", ["uniform", "category"])
def test_redrawn_negatives_follow_the_rule_the_stored_ones_were_drawn_by(tmp_path, by):
    log = random_log(users=20, items=30, events=900)
    dataset = stored(impressions_of(log, by), tmp_path / "DATA")
    batches = Batches(dataset, "train", batch_size=64, max_history=1, shuffle=True, negatives="redrawn")
    drawn, alike, several = np.zeros(len(dataset.popularity)), [], 0
    for epoch in range(20):
        for batch in batches.epoch(epoch):
            drawn += np.bincount(batch.target["item"][batch.label == 0], minlength=len(drawn))
            for _, _, target, label, _ in impressions(batch):
                positives = int(sum(label))
                several += positives > 1
                of = np.arange(len(label) - positives) // 2  # two negatives for each positive, in their order
                category = np.array(target["category"])
                alike += (category[positives:] == category[of]).tolist()
    assert several > 100
    if by == "category":
        assert np.mean(alike) > 0.99  # all but where no other is left
    else:
        some = drawn[drawn > 0]
        assert len(some) == np.count_nonzero(dataset.popularity)
        assert some.std() < 0.1 * some.mean()  # popularities differ by far more
        assert np.mean(alike) < 0.5


def impressions_of(log: Log, by: str):
    return impression_recipe(log, ByTime(0.8, 0.9), warmup=0, negatives=2, negatives_by=by)


@settings(max_examples=30)
@given(st.integers(0, 300), st.integers(1, 100), st.booleans())
def test_only_impressions_since_a_time_are_read_where_one_is_given(data, since, size, shuffle):
    split = data.splits["train"]
    batches = Batches(data, "train", batch_size=size, max_history=3, shuffle=shuffle, since=since)
    wanted = [e for e, time in zip(expected(data, "train", 3), split.time, strict=True) if time >= since]
    found = [impression for batch in batches.epoch(1) for impression in impressions(batch)]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)
    assert batches.rows == sum(len(impression[3]) for impression in wanted)
    if not shuffle:
        assert found == wanted


def test_memory_of_a_batch_does_not_grow_with_the_longest_history(tmp_path):
    rows = [("long", f"i{k % 50}", k) for k in range(300_000)]
    rows += [(f"u{k}", f"i{k % 50}", 10 * k + j) for k in range(200) for j in range(6)]
    dataset = stored(paper(make_log(rows)), tmp_path / "DATA")
    batches = {name: Batches(dataset, name, batch_size=64, max_history=10) for name in SPLITS}
    assert np.diff(dataset.behaviours.offsets).max() == 300_000
    peaks, longest = [], 0
    tracemalloc.start()
    for split in batches.values():
        for index in range(len(split)):
            tracemalloc.reset_peak()
            batch = split.batch(0, index)
            peaks.append(tracemalloc.get_traced_memory()[1])
            longest = max(longest, int((batch.offsets[1:] - batch.offsets[:-1]).max()))
    tracemalloc.stop()
    assert longest == 10
    assert max(peaks) < 200_000  # bytes; the long history alone has 1.2 million


def test_an_empty_split_has_no_batches(tmp_path):
    rows = [("u", item, time) for time, item in enumerate("abcde" * 4)]
    log = make_log([*rows, ("v", "a", 90), ("v", "b", 90), ("v", "a", 95), ("v", "c", 95)])
    dataset = stored(temporal(log, warmup=5), tmp_path / "DATA")
    dataset.check()
    assert len(dataset.splits["test"]) == 0
    batches = Batches(dataset, "test", **OPTIONS)
    assert len(batches) == 0
    assert list(batches.epoch(0)) == []


def test_a_size_or_index_out_of_range_is_refused(data):
    with pytest.raises(ValueError, match="must be at least 1"):
        Batches(data, "train", batch_size=0, max_history=5)
    batches = Batches(data, "train", **OPTIONS)
    for index in (-1, len(batches)):
        with pytest.raises(IndexError, match=f"batch {index} of"):
            batches.batch(0, index)


def test_prefetching_keeps_the_order_and_stays_within_its_depth():
    built = []

    def build():
        for k in range(20):
            built.append(k)
            yield k

    for place, batch in enumerate(prefetch(build(), depth=3)):
        assert batch == place
        assert len(built) <= place + 1 + 3
    assert built == list(range(20))


def test_prefetching_raises_what_the_batches_raise_and_leaves_no_thread():
    def build():
        yield 1
        raise RuntimeError("disk gone")

    before = threading.active_count()
    ahead = prefetch(build())
    assert next(ahead) == 1
    with pytest.raises(RuntimeError, match="disk gone"):
        next(ahead)
    abandoned = prefetch(iter(range(100)))
    next(abandoned)
    abandoned.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_rows_of_a_batch_say_where_its_candidates_stand_in_the_split(every_kind, shuffle):
    split = every_kind.splits["train"]
    found = []
    for batch in Batches(every_kind, "train", **OPTIONS, shuffle=shuffle).epoch(3):
        assert torch.equal(
            batch.target["item"], torch.tensor(every_kind.items["item"][split.item[batch.rows]])
        )
        assert batch.label.tolist() == split.label[batch.rows].tolist()
        found += batch.rows.tolist()
    assert sorted(found) == list(range(len(split.item)))
    assert (found == sorted(found)) is not shuffle


@settings(max_examples=25)
@given(st.integers(1, 9), st.sampled_from([1, 16, 500]), st.integers(0, 99), st.booleans())
def test_an_epoch_marks_each_behaviour_that_training_reads_once_but_no_target_with_sampled_negatives(
    data, real, longest, size, seed, sampled
):
    data = data if sampled else real
    asked = set(training_targets(data).nonzero()[0]) if sampled else set()
    split, behaviours = data.splits["train"], data.behaviours
    options = {"batch_size": size, "max_history": longest, "seed": seed, "auxiliary": True}
    marks = [
        [batch.supervised for batch in Batches(data, "train", **options, **more).epoch(1)]
        for more in ({"auxiliary_steps": "new"}, {"auxiliary_steps": "new", "shuffle": True}, {})
    ]
    ends = zip(split.user.tolist(), split.end.tolist(), strict=True)
    read = [k for user, end in ends for k in range(max(int(behaviours.offsets[user]), end - longest), end)]
    marked = np.array(read)[torch.cat(marks[0]).numpy()]
    assert sorted(marked) == sorted(set(read) - asked)
    assert asked or not sampled
    assert int(torch.cat(marks[1]).sum()) == len(marked)  # whatever the order
    assert set(marks[2]) == {None}
