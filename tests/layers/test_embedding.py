import pytest
import torch

from dien.layers import FeatureEmbedding

SIZES = {"item": 7, "category": 4}


def columns(*items: int) -> dict[str, torch.Tensor]:
    """Items and their categories, in another order than the tables'."""
    return {"category": torch.tensor(items) % 4, "item": torch.tensor(items)}


def test_each_list_gets_its_features_embeddings_side_by_side_in_the_order_of_the_tables() -> None:
    embedding = FeatureEmbedding(SIZES, 3)
    item, category = embedding.tables
    history, target = embedding(columns(5, 0, 2), columns(6))
    assert embedding.width == 6
    assert torch.equal(history, torch.cat([item.weight[[5, 0, 2]], category.weight[[1, 0, 2]]], 1))
    assert torch.equal(target, torch.cat([item.weight[[6]], category.weight[[2]]], 1))


def test_lists_without_an_item_come_back_empty() -> None:
    empty = {name: torch.zeros(0, dtype=torch.int64) for name in SIZES}
    history, target = FeatureEmbedding(SIZES, 3)(empty, columns(1, 2))
    assert history.shape == (0, 6)
    assert target.shape == (2, 6)


def test_all_lists_take_one_look_up_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    look_up = torch.nn.functional.embedding

    def counted(*arguments: object, **options: object) -> torch.Tensor:
        calls.append(arguments)
        return look_up(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.functional, "embedding", counted)
    FeatureEmbedding(SIZES, 3)(columns(1, 2), columns(3), columns(4, 5))
    assert len(calls) == len(SIZES)


def test_gradients_are_sparse_and_touch_the_rows_read_alone() -> None:
    embedding = FeatureEmbedding(SIZES, 3)
    history, target = embedding(columns(5, 2), columns(5))
    (history.sum() + 2 * target.sum()).backward()
    gradient = embedding.tables[0].weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    assert set(gradient.coalesce().indices()[0].tolist()) == {2, 5}
    assert gradient.to_dense()[5].tolist() == [3, 3, 3]


def test_the_unknown_row_starts_at_zero_and_no_other_does() -> None:
    for table in FeatureEmbedding(SIZES, 3).tables:
        assert not table.weight[0].any()
        assert table.weight[1:].abs().min() > 0
        assert table.weight.abs().max() < 0.1


def test_features_may_be_named_as_anything() -> None:
    names = ("type", "items", "a.b", "")
    embedding = FeatureEmbedding(dict.fromkeys(names, 3), 2)
    (found,) = embedding({name: torch.tensor([1]) for name in names})
    assert torch.equal(found, torch.cat([table.weight[[1]] for table in embedding.tables], 1))
