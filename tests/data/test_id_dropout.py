"""Ids hidden in training: an item or a user is unknown in a whole batch, and nothing else is another."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.features import Schema
from dien.data.features.encoders import Hashed
from dien.data.id_dropout import sides_with_ids
from tests.data import test_batches

OPTIONS = {
    "batch_size": 64,
    "max_history": 6,
    "match_history": 50,
    "shuffle": True,
    "negatives": "redrawn",
    "auxiliary": True,
}


def batches_of(data: Dataset, share: float, **more) -> Batches:
    return Batches(data, "train", **(OPTIONS | more), id_dropout=share)


def equal(*batches: Batch) -> bool:
    """Whether two batches agree to the bit; NaN is a match that is not there."""
    return test_batches.equal(*(replace(b, matches=b.matches.nan_to_num(-1)) for b in batches))


def ids(batch: Batch) -> dict[str, np.ndarray]:
    """The ids of all items ``[B + 2N]`` and of all users ``[R]`` of a batch."""
    items = [columns["item"] for columns in (batch.target, batch.history, batch.negatives)]
    return {"item": torch.cat(items).numpy(), "user": batch.user["user"].numpy()}


def with_ids_of(batch: Batch, other: Batch) -> Batch:
    """A batch with the ids of another one."""
    places = {"target": "item", "history": "item", "negatives": "item", "user": "user"}
    columns = {
        place: getattr(batch, place) | {name: getattr(other, place)[name]} for place, name in places.items()
    }
    return replace(batch, **columns)


@settings(max_examples=25)
@given(st.sampled_from([0.0, 0.1, 5.0, 900.0]), st.integers(0, 2**40), st.integers(0, 9), st.data())
def test_an_item_or_user_is_hidden_in_the_whole_batch_or_not_at_all_and_all_else_stays(
    data, share, seed, epoch, draw
):
    index = draw.draw(st.integers(0, len(batches_of(data, 0)) - 1))
    before, after = (batches_of(data, s, seed=seed).batch(epoch, index) for s in (0, share))
    assert equal(before, with_ids_of(after, before))  # features, matches, labels and drawn negatives
    for true, found in zip(ids(before).values(), ids(after).values(), strict=True):
        hidden = found == 0
        assert np.array_equal(found[~hidden], true[~hidden])
        assert not set(true[hidden]) & set(true[~hidden]) - {0}
        assert share or not (hidden & (true > 0)).any()


@pytest.mark.parametrize("strength", [2.0, 20.0])
def test_an_id_that_training_has_n_times_is_hidden_with_probability_k_over_k_plus_n(data, strength):
    before, after = batches_of(data, 0), batches_of(data, strength)
    drawn, hidden = ({side: np.zeros(100) for side in ("item", "user")} for _ in range(2))  # by id
    for epoch in range(4):
        for a, b in zip(before.epoch(epoch), after.epoch(epoch), strict=True):
            for side, true in ids(a).items():
                known, first = np.unique(true, return_index=True)
                drawn[side][known] += 1
                hidden[side][known] += ids(b)[side][first] == 0
    counts = {side: np.zeros(100) for side in drawn}
    split = data.splits["train"]
    for i in range(len(split)):
        clicked = split.label[split.offsets[i] : split.offsets[i + 1]]
        counts["user"][data.users["user"][split.user[i]]] += (
            clicked.sum() if data.negatives_sampled else len(clicked)
        )
    rows = split.item[split.label == 1] if data.negatives_sampled else split.item
    for row, often in enumerate(data.popularity):
        counts["item"][data.items["item"][row]] += max(often, np.count_nonzero(rows == row))
    for side in drawn:
        times, of_them = drawn[side][1:], hidden[side][1:]
        share = strength / (strength + counts[side][1:])
        expected, variance = (times * share).sum(), (times * share * (1 - share)).sum()
        assert times.sum() > 500
        assert abs(of_them.sum() - expected) < 4 * np.sqrt(variance)
        of_rare = times * (share - share.mean())  # rare ones the more
        assert abs((of_rare * (of_them - times * share)).sum()) < 4 * np.sqrt(
            (of_rare**2 * times * share * (1 - share)).sum()
        )


def test_what_is_hidden_follows_from_seed_epoch_and_index_alone(data):
    options = {"shuffle": False, "negatives": "stored", "auxiliary": False}

    def hidden(seed: int, epoch: int, index: int) -> Batch:
        return batches_of(data, 20.0, seed=seed, **options).batch(epoch, index)

    went_on = list(batches_of(data, 20.0, seed=3, **options).epoch(2))
    for index, batch in enumerate(went_on):
        assert equal(batch, hidden(3, 2, index))
    for other in (hidden(4, 2, 1), hidden(3, 3, 1)):
        assert not equal(went_on[1], other)
    rows = data.splits["train"].item
    twice = replace(data, splits={"train": replace(data.splits["train"], item=np.full_like(rows, rows[0]))})
    epoch = batches_of(twice, float(len(rows)), **options).epoch(0)
    assert len({int(batch.target["item"][0]) for batch in epoch}) == 2  # each index has draws of its own


def test_an_item_that_is_hidden_still_matches_itself(data):
    batch = batches_of(data, 900.0).batch(0, 0)
    hidden = batch.target["item"] == 0
    assert (batch.matches[hidden, 1] > 0).any()  # how often the history has it


def test_hashed_ids_stay_as_no_new_one_would_be_unknown(data):
    hashed = tuple(
        replace(f, encoder=Hashed(f.size - 1)) if f.name == "item" else f for f in data.schema.features
    )
    data = replace(data, schema=Schema(hashed))
    assert sides_with_ids(data.schema) == ("user",)
    before, after = (ids(batches_of(data, share).batch(0, 0)) for share in (0, 900.0))
    assert np.array_equal(before["item"], after["item"])
    assert not np.array_equal(before["user"], after["user"])


@pytest.mark.parametrize("strength", [-0.1, float("inf"), float("nan")])
def test_a_strength_below_0_or_without_end_is_refused(data, strength):
    with pytest.raises(ValueError, match="id_dropout"):
        batches_of(data, strength)
