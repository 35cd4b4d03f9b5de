import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize, prune

from dien.data.features import Feature
from dien.layers import FeatureEmbedding
from dien.layers.embedding import embedding_tables
from dien.models.inputs import Inputs
from dien.packed import Packed
from tests.models.batches import EVERY_KIND, random_batch

FEATURES = (Feature("item", "item", 7), Feature("category", "item", 4))
LIKES = (Feature("likes", "user", 7, "multi", table="item"), Feature("user", "user", 3))
BATCH = random_batch([3, 0, 2], [0, 1, 2, 2], EVERY_KIND)
OWNERS = [f.name for f in EVERY_KIND.features if f.stored.indexed and f.table is None]


def outputs(inputs: Inputs) -> list[torch.Tensor]:
    return [part for part in inputs(BATCH, negatives=True) if part is not None]


def sides(inputs: Inputs) -> dict[str, FeatureEmbedding]:
    """The embedding that owns the table of each feature."""
    return {
        name: part for part in (inputs.item, inputs.profile, inputs.behaviour) for name in part.tables.names
    }


def made_over(change: Any, name: str, by_name: bool = True) -> tuple[Inputs, nn.Embedding]:
    """Inputs of which one table is changed, and the table."""
    torch.manual_seed(0)
    inputs = Inputs(EVERY_KIND, 2)
    tables = sides(inputs)[name].tables
    where = name if by_name else tables.names.index(name)
    changed = change(tables[where])
    if changed is not tables[where]:
        tables[where] = changed
    return inputs, changed


@settings(max_examples=20)
@given(
    name=st.sampled_from(OWNERS),
    by_name=st.booleans(),
    frozen=st.booleans(),
    travel=st.sampled_from([copy.deepcopy, lambda inputs: pickle.loads(pickle.dumps(inputs)), lambda m: m]),
)
def test_a_replaced_table_is_read_by_all_that_share_it_as_if_its_rows_had_been_copied(
    name: str, by_name: bool, frozen: bool, travel: Any
) -> None:
    def rows(table: nn.Embedding) -> torch.Tensor:
        return torch.arange(float(table.weight.numel())).reshape(table.weight.shape) / 10

    def copied(table: nn.Embedding) -> nn.Embedding:
        with torch.no_grad():
            table.weight.copy_(rows(table))
        return table

    expected, _ = made_over(copied, name)
    found, table = made_over(
        lambda now: nn.Embedding.from_pretrained(rows(now), freeze=frozen), name, by_name
    )
    moved = travel(found)
    for one, two in zip(outputs(moved), outputs(expected), strict=True):
        assert torch.equal(one, two)
    assert moved.state_dict().keys() == expected.state_dict().keys()
    sum(part.sum() for part in outputs(moved)).backward()
    gradient = sides(moved)[name].tables[name].weight.grad
    assert (gradient is None) == frozen
    assert gradient is None or not gradient.is_sparse  # as the new table has it
    assert table.weight.data_ptr() == sides(found)[name].tables[name].weight.data_ptr()


@pytest.mark.parametrize("name", ["item", "tags", "queries", "action"])
def test_hooks_pruning_and_parametrizations_of_a_table_take_effect(name: str) -> None:
    class Twice(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return 2 * weight

    def doubled(table: nn.Embedding) -> nn.Embedding:
        with torch.no_grad():
            table.weight *= 2
        return table

    def hooked(table: nn.Embedding) -> nn.Embedding:
        table.register_forward_hook(lambda module, inputs, output: 2 * output)
        return table

    def parametrized(table: nn.Embedding) -> nn.Embedding:
        parametrize.register_parametrization(table, "weight", Twice())
        return table

    def pruned(table: nn.Embedding) -> nn.Embedding:
        prune.custom_from_mask(table, "weight", torch.ones_like(table.weight))
        with torch.no_grad():
            table.weight_orig *= 2  # what training moves
        return table

    expected = outputs(made_over(doubled, name)[0])
    assert not all(map(torch.equal, outputs(made_over(lambda table: table, name)[0]), expected))
    for change in (hooked, parametrized, pruned):
        for found, wanted in zip(outputs(made_over(change, name)[0]), expected, strict=True):
            torch.testing.assert_close(found, wanted)


def test_a_hook_sees_the_rows_of_each_list_and_each_column() -> None:
    embedding, seen = FeatureEmbedding(FEATURES, 2), []
    embedding.tables["category"].register_forward_hook(lambda module, inputs, output: seen.append(output))
    parts = [{"item": torch.tensor(of), "category": torch.tensor(of) % 4} for of in ([5, 0, 6], [1])]
    found = embedding(*parts)
    assert [list(rows.shape) for rows in seen] == [[3, 2], [1, 2]]
    assert all(torch.equal(one[:, 2:], rows) for one, rows in zip(found, seen, strict=True))


def test_a_table_whose_gradients_are_not_sparse_has_dense_ones_and_the_same_numbers() -> None:
    inputs = [Inputs(EVERY_KIND, 2) for _ in range(2)]
    inputs[1].load_state_dict(inputs[0].state_dict())
    for part in inputs[1].modules():
        if isinstance(part, nn.Embedding):
            part.sparse = False
    for one in inputs:
        sum(part.square().sum() for part in outputs(one)).backward()
    for (name, sparse), dense in zip(inputs[0].named_parameters(), inputs[1].parameters(), strict=True):
        assert sparse.grad is not None, name
        assert dense.grad is not None, name
        assert not dense.grad.is_sparse
        torch.testing.assert_close(dense.grad, sparse.grad.to_dense())


def test_tables_have_the_names_of_their_features_and_may_be_asked_for_by_them() -> None:
    tables = FeatureEmbedding(FEATURES, 2).tables
    assert tables.names == ("item", "category")
    assert tables["category"] is tables[1]
    assert tables[-1] is tables[1]
    assert tables[:1] == [tables[0]]
    assert "(1, category): Embedding(4, 2" in repr(tables)
    with pytest.raises(KeyError, match="no table of 'brand'; expected one of: item, category"):
        tables["brand"]


def test_what_cannot_be_read_in_place_of_a_table_is_refused() -> None:
    tables = FeatureEmbedding(FEATURES, 2).tables
    for other in (nn.Embedding(3, 2), nn.Embedding(4, 3), nn.Embedding(5, 2)):
        with pytest.raises(
            ValueError, match=r"'category': found \d rows of \d; expected nn.Embedding\(4, 2\)"
        ):
            tables[1] = other
    for wrong in (nn.Linear(4, 2), torch.zeros(4, 2), None):
        with pytest.raises(TypeError, match=r"'item': found .*; expected nn.Embedding\(7, 2\)"):
            tables["item"] = wrong
    for act in (
        lambda: tables.append(nn.Embedding(4, 2)),
        lambda: tables.extend([nn.Embedding(4, 2)]),
        lambda: tables.insert(0, nn.Embedding(4, 2)),
        lambda: tables.pop(0),
        lambda: tables.__delitem__("item"),
    ):
        with pytest.raises(TypeError, match="one table for each of item, category; one may be replaced"):
            act()
    assert [list(table.weight.shape) for table in tables] == [[7, 2], [4, 2]]


def test_a_table_shared_before_its_owner_is_made_is_read_where_it_then_stands() -> None:
    tables = embedding_tables([*FEATURES, *LIKES], 2)
    user, item = FeatureEmbedding(LIKES, 2, tables), FeatureEmbedding(FEATURES, 2, tables)
    item.tables["item"] = nn.Embedding.from_pretrained(torch.full((7, 2), 3.0))
    likes = Packed(torch.tensor([4]), torch.tensor([0, 1]))
    assert user({"likes": likes, "user": torch.tensor([1])})[0][0, :2].tolist() == [3, 3]
