"""The negatives that batches hold for the auxiliary loss, drawn anew or fixed for each behaviour."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from dien.data.batches import Batches
from tests.data.datasets import auxiliary_negatives

OPTIONS = {"batch_size": 16, "max_history": 6}
REDRAWN = {**OPTIONS, "shuffle": True, "negatives": "redrawn", "auxiliary": True}
FIXED = {**REDRAWN, "max_history": 10**6, "auxiliary_negatives": "fixed"}


def test_an_auxiliary_negative_is_new_each_epoch_and_never_the_step_itself(data, real):
    for dataset in (data, real):
        batches = Batches(dataset, "train", **(REDRAWN | {"shuffle": False}))
        first = [batches.batch(0, index) for index in range(len(batches))]
        again = [batches.batch(1, index) for index in range(len(batches))]
        for batch in first:
            assert batch.negatives.keys() == batch.history.keys()
            assert (batch.negatives["item"] != batch.history["item"]).all()
        drawn, redrawn = (torch.cat([b.negatives["item"] for b in epoch]) for epoch in (first, again))
        assert (drawn != redrawn).float().mean() > 0.5
    assert Batches(dataset, "train", **OPTIONS).batch(0, 0).negatives is None


def test_a_fixed_auxiliary_negative_is_the_same_wherever_and_whenever_a_behaviour_is_read(data, real):
    for dataset in (data, real):
        read = {}
        for size, shuffle in ((16, True), (50, True), (16, False)):
            batches = Batches(dataset, "train", **(FIXED | {"batch_size": size, "shuffle": shuffle}))
            for epoch in range(2):
                for behaviour, drawn in auxiliary_negatives(batches.epoch(epoch)).items():
                    read.setdefault(behaviour, []).extend(drawn)
        assert all(len(set(drawn)) == 1 for drawn in read.values())
        assert np.mean([len(drawn) for drawn in read.values()]) > 20  # in several impressions and epochs
        other = auxiliary_negatives(Batches(dataset, "train", seed=1, **FIXED).epoch(0))
        assert other.keys() == read.keys()
        assert np.mean([drawn[0] != read[behaviour][0] for behaviour, drawn in other.items()]) > 0.5

        whole, cut = (
            Batches(dataset, "train", **(FIXED | {"shuffle": False, "max_history": n})).batch(0, 3)
            for n in (10**6, 4)
        )
        assert int(cut.offsets[-1]) < int(whole.offsets[-1])
        for (start, end), own in zip(
            pairwise(whole.offsets.tolist()), pairwise(cut.offsets.tolist()), strict=True
        ):
            newest = whole.negatives["item"][max(start, end - 4) : end]
            assert torch.equal(cut.negatives["item"][slice(*own)], newest)


def test_fixed_auxiliary_negatives_follow_the_popularity_of_the_others_over_behaviours(data):
    index, seeds = data.items["item"], range(60)  # [I]
    share = np.bincount(index, data.popularity) / data.popularity.sum()
    found, behaviours = np.zeros(len(share)), np.zeros(len(share))
    for seed in seeds:
        drawn = auxiliary_negatives(Batches(data, "train", seed=seed, **FIXED).epoch(0))
        for (user, k), negatives in drawn.items():
            own = index[data.behaviours.item[data.behaviours.offsets[user] + k]]
            assert own not in negatives
            found[negatives[0]] += 1
            behaviours[own] += 1
    others = share / (1 - share[:, None])  # by the item of the behaviour
    np.fill_diagonal(others, 0)
    expected = behaviours @ others
    assert found.sum() > 20_000
    assert (np.abs(found - expected) <= 4 * np.sqrt(expected)).all()


@pytest.mark.parametrize("of", ["redrawn in each epoch", "fixed by each seed"])
def test_auxiliary_negatives_are_items_shown_and_not_clicked_where_the_log_names_them(real, of):
    behaviours = real.behaviours
    assert behaviours.unclicked is not None
    start, end, item = (getattr(behaviours.unclicked, name) for name in ("start", "end", "item"))
    options = {"batch_size": 64, "max_history": 10**6, "auxiliary": True}
    fixed = [Batches(real, "train", seed=k, auxiliary_negatives="fixed", **options) for k in range(30)]
    batches = Batches(real, "train", **options)
    split, seen, others = real.splits["train"], 0, 0
    drawn: dict[int, set[int]] = {}
    for epoch in range(30):
        source = batches if of == "redrawn in each epoch" else fixed[epoch]
        read = [
            torch.cat([getattr(b, side)["item"] for b in source.epoch(epoch)])
            for side in ("history", "negatives")
        ]
        history, negative = (column.numpy() for column in read)
        place = np.concatenate(
            [np.arange(behaviours.offsets[u], e) for u, e in zip(split.user, split.end, strict=True)]
        )
        assert np.array_equal(history, real.items["item"][behaviours.item[place]])
        for k, own, got in zip(place.tolist(), history.tolist(), negative.tolist(), strict=True):
            passed = set(real.items["item"][item[start[k] : end[k]]].tolist())
            assert got != own
            if passed - {own} and own not in passed:
                assert got in passed
                seen += 1
                drawn.setdefault(k, set()).add(got)
            others += not passed
    assert seen > 1000
    assert others > 1000
    for k, got in list(drawn.items())[:50]:  # each of them is drawn at some time
        assert got == set(real.items["item"][item[start[k] : end[k]]].tolist())


def test_drawing_auxiliary_negatives_does_not_change_the_candidates(data):
    with_them = Batches(data, "train", **REDRAWN).batch(2, 3)
    without = Batches(data, "train", **(REDRAWN | {"auxiliary": False})).batch(2, 3)
    assert torch.equal(with_them.target["item"], without.target["item"])
