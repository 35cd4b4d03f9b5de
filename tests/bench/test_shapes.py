import dataclasses

import pytest
import torch

from dien.bench.shapes import CATEGORIES, SHAPES, USERS, Shape, draw, draws, schema
from dien.config import RunConfig
from dien.data.batch import Columns
from dien.models import build
from dien.models.sum_pooling import SumPoolingConfig
from dien.packed import Packed


def ids(columns: Columns, name: str) -> torch.Tensor:
    column = columns[name]
    assert not isinstance(column, Packed)
    return column


def lengths(shape: Shape, longest: int = 100, seed: int = 0) -> torch.Tensor:
    offsets = draw(shape, longest, seed=seed).offsets
    return offsets[1:] - offsets[:-1]


def test_geometric_lengths_have_their_mean_and_lie_between_one_and_the_longest() -> None:
    many = dataclasses.replace(SHAPES["mean-15"], histories=200_000)
    drawn = lengths(many).double()
    assert drawn.min() == 1
    assert drawn.max() == 100
    # Of a geometric length cut at 100: 15 (1 - (14 / 15)^100); its standard error here is 0.03.
    assert float(drawn.mean()) == pytest.approx(15 * (1 - (14 / 15) ** 100), abs=0.15)
    assert float((drawn == 1).double().mean()) == pytest.approx(1 / 15, abs=0.005)


def test_full_histories_are_the_longest_length_each() -> None:
    assert lengths(SHAPES["full"]).tolist() == [100] * 1024
    assert lengths(SHAPES["full"], longest=7).tolist() == [7] * 1024


def test_a_pair_shares_a_history_and_a_request_one_history_among_its_candidates() -> None:
    paired = draw(SHAPES["paired"], 100)
    assert paired.history_of.tolist() == [row // 2 for row in range(1024)]
    request = draw(SHAPES["request"], 100)
    assert request.history_of.tolist() == [0] * 200
    assert request.offsets.tolist() == [0, 100]


@pytest.mark.parametrize("items", [3, 50_000])
def test_items_fit_the_vocabulary_and_no_negative_is_its_behaviour(items: int) -> None:
    batch = draw(SHAPES["mean-15"], 100, items=items)
    assert batch.negatives is not None
    sizes = {feature.name: feature.size for feature in schema(items).features}
    assert sizes == {"item": items, "category": CATEGORIES, "user": USERS}
    for columns in (batch.history, batch.target, batch.negatives, batch.user):
        for name in columns:
            assert int(ids(columns, name).min()) >= 1
            assert int(ids(columns, name).max()) < sizes[name]
    assert not bool((ids(batch.negatives, "item") == ids(batch.history, "item")).any())


def test_an_item_has_one_category_wherever_it_stands() -> None:
    batch = draw(SHAPES["mean-15"], 100, items=100)
    assert batch.negatives is not None
    seen: dict[int, int] = {}
    for columns in (batch.history, batch.target, batch.negatives):
        for item, category in zip(
            ids(columns, "item").tolist(), ids(columns, "category").tolist(), strict=True
        ):
            assert seen.setdefault(item, category) == category


def test_a_seed_gives_the_same_batch_and_another_gives_another() -> None:
    items = [ids(draw(SHAPES["paired"], 100, seed=seed).target, "item") for seed in (1, 1, 2)]
    assert torch.equal(items[0], items[1])
    assert not torch.equal(items[0], items[2])


def test_a_model_with_popularity_reads_the_batches_that_are_drawn_for_it() -> None:
    config = RunConfig(model=SumPoolingConfig(popularity=True))
    (batch,) = draws(SHAPES["request"], config, items=50, batches=1)
    assert len(build(config.model, schema(50)).eval()(batch).logits) == len(batch)
