import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dien.layers.embedding
from dien.data.batch import Columns
from dien.data.features import Feature
from dien.layers import FeatureEmbedding
from dien.layers.embedding import FixedVector, VectorProjection, embedding_tables
from dien.packed import Packed
from tests.embeddings import embedded, weights_by_feature
from tests.equations import assert_same, weights_of
from tests.models.batches import random_column

FEATURES = (Feature("item", "item", 7), Feature("category", "item", 4))
TAGS, PRICE = Feature("tags", "item", 6, "multi"), Feature("price", "item", 1, "numeric")
SIZES = st.lists(st.integers(0, 6), min_size=1, max_size=3)


def columns(*items: int) -> Columns:
    """Items and their categories, in another order than the tables'."""
    return {"category": torch.tensor(items) % 4, "item": torch.tensor(items)}


def lists(*rows: list[int]) -> Packed:
    values = torch.tensor([index for row in rows for index in row], dtype=torch.int64)
    return Packed(values, torch.tensor([0, *map(len, rows)]).cumsum(0))


def test_each_list_gets_its_features_embeddings_side_by_side_in_the_order_of_the_features() -> None:
    embedding = FeatureEmbedding(FEATURES, 3)
    item, category = embedding.tables
    history, target = embedding(columns(5, 0, 2), columns(6))
    assert embedding.width == 6
    assert torch.equal(history, torch.cat([item.weight[[5, 0, 2]], category.weight[[1, 0, 2]]], 1))
    assert torch.equal(target, torch.cat([item.weight[[6]], category.weight[[2]]], 1))


@st.composite
def features_of_every_kind(draw: st.DrawFn) -> list[Feature]:
    """Features in any order; any with indices may share the table of one that has its own."""
    every = st.sampled_from(["categorical", "multi", "numeric", "vector"])
    kinds = draw(st.lists(every, min_size=1, max_size=6))
    features = []
    for k, kind in enumerate(kinds):
        width, pooling = draw(st.sampled_from([None, 1, 4])), draw(st.sampled_from(["mean", "sum", "max"]))
        size = 1 if kind == "numeric" else draw(st.integers(1, 5))
        frozen = kind == "vector" and draw(st.booleans())
        width = size if frozen else width
        feature = Feature(f"f{k}", "item", size, kind, width, pooling, frozen=frozen)
        indexed = kind in ("categorical", "multi")
        owners = [f for f in features if f.kind in ("categorical", "multi") and f.table is None]
        if indexed and owners and draw(st.booleans()):
            owner = draw(st.sampled_from(owners))
            feature = replace(feature, table=owner.name, size=owner.size)
        features.append(feature)
    return draw(st.permutations(features))


@settings(max_examples=60)
@given(features=features_of_every_kind(), sizes=SIZES, seed=st.integers(0, 2**31))
def test_features_of_every_kind_are_embedded_value_by_value_with_their_gradients(
    features: list[Feature], sizes: list[int], seed: int
) -> None:
    embedding = FeatureEmbedding(features, 2).double()
    random = torch.Generator().manual_seed(seed)
    parts = [{f.name: random_column(f, n, random) for f in features} for n in sizes]
    found = embedding(*parts)
    weights = weights_by_feature(features, weights_of(embedding))
    assert all(weights[f.name].shape[1] == (f.width or 2) for f in features if f.table is None)
    for part, size, one in zip(parts, sizes, found, strict=True):
        assert one.shape == (size, embedding.width)
        rows = [embedded(features, weights, part, row) for row in range(size)]
        expected = torch.stack(rows) if rows else one.detach()
        assert_same(one, expected, list(embedding.parameters()) if rows else [])


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
@pytest.mark.parametrize("rows", [[[]], [[], [], []], []], ids=["one", "several", "no rows"])
def test_lists_without_an_index_are_pooled_to_zero(rows: list[list[int]], pooling: Any) -> None:
    embedding = FeatureEmbedding([replace(TAGS, pooling=pooling)], 3)
    (found,) = embedding({"tags": lists(*rows)})
    assert torch.equal(found, torch.zeros(len(rows), 3))
    found.sum().backward()
    assert not embedding.tables[0].weight.grad.to_dense().any()


def test_a_missing_number_reaches_no_gradient_as_nan() -> None:
    embedding = FeatureEmbedding([PRICE], 3)
    (found,) = embedding({"price": torch.tensor([float("nan"), 2.0, float("nan")])})
    found.sum().backward()
    # Two are missing; the third counts as much as it is large.
    assert embedding.numbers[0].weight.grad.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert torch.equal(found[0], embedding.numbers[0].weight[0])
    assert torch.equal(found[1], 2 * embedding.numbers[0].weight[1])


class Densified(torch.autograd.Function):
    """A weight as it is, its gradient no longer sparse."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.to_dense() if gradient.is_sparse else gradient


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_gradients_are_those_of_finite_differences(pooling: Any) -> None:
    features = [*FEATURES, replace(TAGS, pooling=pooling), PRICE]
    embedding = FeatureEmbedding(features, 2).double()
    part = columns(5, 2, 0) | {
        "tags": lists([1, 3, 3], [], [4]),
        "price": torch.tensor([0.5, float("nan"), -2.0]),
    }
    names, parameters = zip(*embedding.named_parameters(), strict=True)

    def embed(*weights: Tensor) -> Tensor:
        weights = tuple(map(Densified.apply, weights))  # finite differences are taken of every entry
        return torch.func.functional_call(embedding, dict(zip(names, weights, strict=True)), (part,))[0]

    assert torch.autograd.gradcheck(embed, parameters)


def test_lists_without_an_item_come_back_empty() -> None:
    empty: Columns = {f.name: torch.zeros(0, dtype=torch.int64) for f in FEATURES}
    history, target = FeatureEmbedding(FEATURES, 3)(empty, columns(1, 2))
    assert history.shape == (0, 6)
    assert target.shape == (2, 6)


def test_all_lists_take_one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for module, name in ((dien.layers.embedding, "gather_rows"), (torch.nn.functional, "embedding_bag")):
        look_up = getattr(module, name)

        def counted(*arguments: Any, look_up: Any = look_up, **options: Any) -> Any:
            calls.append(look_up.__name__)
            return look_up(*arguments, **options)

        monkeypatch.setattr(module, name, counted)
    parts = [columns(1, 2), columns(3), columns(4, 5)]
    parts = [part | {"tags": lists(*[[1, 2]] * len(part["item"]))} for part in parts]
    FeatureEmbedding([*FEATURES, TAGS], 3)(*parts)
    assert calls == ["gather_rows", "embedding_bag"]


def test_an_index_beyond_a_table_is_refused_with_its_feature() -> None:
    part = columns(1, 6, 2) | {"category": torch.tensor([1, 4, 2])}
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(
            IndexError, match=r"column 1 has index 4 at position 1; expected 0 to 3.*item, category"
        ):
            FeatureEmbedding(FEATURES, 3).to(dtype)(columns(3), part)


def test_gradients_are_sparse_and_touch_the_rows_read_alone() -> None:
    embedding = FeatureEmbedding(FEATURES, 3)
    history, target = embedding(columns(5, 2), columns(5))
    (history.sum() + 2 * target.sum()).backward()
    gradient = embedding.tables[0].weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    assert set(gradient.coalesce().indices()[0].tolist()) == {2, 5}
    assert gradient.to_dense()[5].tolist() == [3, 3, 3]


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_gradients_of_pooled_lists_are_sparse_too(pooling: Any) -> None:
    embedding = FeatureEmbedding([replace(TAGS, pooling=pooling)], 3)
    embedding({"tags": lists([4, 2], [], [4])})[0].sum().backward()
    gradient = embedding.tables[0].weight.grad
    assert gradient.is_sparse
    assert set(gradient.coalesce().indices()[0].tolist()) == {2, 4}


def test_a_table_shared_with_another_embedding_learns_from_both_and_is_registered_once() -> None:
    favourite = Feature("favourite", "user", 4, table="category")
    tables = embedding_tables([*FEATURES, favourite], 3)
    item, user = FeatureEmbedding(FEATURES, 3, tables), FeatureEmbedding([favourite], 3, tables)
    both = torch.nn.ModuleDict({"item": item, "user": user})
    assert list(both.state_dict()) == ["item.tables.0.weight", "item.tables.1.weight"]
    (items,), (users,) = item(columns(1, 2)), user({"favourite": torch.tensor([3, 2])})
    (items.sum() + 10 * users.sum()).backward()
    assert tables["category"].weight.grad.to_dense()[:, 0].tolist() == [0, 1, 11, 10]


@pytest.mark.parametrize("change", [copy.deepcopy, lambda m: m.double(), lambda m: m.to("meta")])
def test_sharing_outlives_a_copy_and_a_move(change: Any) -> None:
    favourite = Feature("favourite", "user", 4, table="category")
    tables = embedding_tables([*FEATURES, favourite], 3)
    item, user = FeatureEmbedding(FEATURES, 3, tables), FeatureEmbedding([favourite], 3, tables)
    both = change(torch.nn.ModuleDict({"item": item, "user": user}))
    weight = both["item"].tables[1].weight
    (users,) = both["user"]({"favourite": torch.tensor([3], device=weight.device)})
    assert users.dtype == weight.dtype
    if weight.device.type == "cpu":
        with torch.no_grad():
            weight[3] = 7
        assert both["user"]({"favourite": torch.tensor([3])})[0].tolist() == [[7, 7, 7]]
    assert users.device == weight.device


def test_the_width_of_a_shared_table_is_that_of_its_owner() -> None:
    features = [Feature("a", "item", 4, width=5), Feature("b", "item", 4, width=2, table="a")]
    assert FeatureEmbedding(features, 3).width == 10


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (
            Feature("a", "item", 4, table="b"),
            "'a' shares the embedding table of 'b', which has none of its own",
        ),
        (Feature("a", "item", 1, table="price"), "'price', which has none of its own; expected one of: item"),
        (Feature("a", "item", 4, table="x"), "shares the embedding table of 'x', which has none"),
        (Feature("a", "item", 4, table="item"), "4 indices and shares the embedding table of 'item' with 7"),
    ],
    ids=["a chain", "of a number", "of no feature", "of another size"],
)
def test_a_table_that_cannot_be_shared_is_refused(feature: Feature, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureEmbedding([*FEATURES, Feature("b", "item", 7, table="item"), PRICE, feature], 3)


def test_the_unknown_row_starts_at_zero_and_no_other_does() -> None:
    embedding = FeatureEmbedding([*FEATURES, TAGS, PRICE], 3)
    assert len(list(embedding.parameters())) == 4
    for weight in embedding.parameters():
        assert not weight[0].any()
        assert weight[1:].abs().min() > 0
        assert weight.abs().max() < 0.1


@settings(max_examples=15)
@given(size=st.integers(1, 5), width=st.integers(1, 4), missing=st.lists(st.booleans(), max_size=4))
def test_vectors_have_the_right_derivatives_and_no_nan_reaches_them(
    size: int, width: int, missing: list[bool]
) -> None:
    vectors = torch.randn(len(missing), size, dtype=torch.float64)
    vectors[torch.tensor(missing, dtype=torch.bool)] = float("nan")
    for embedding in (VectorProjection(size, width).double(), FixedVector(size).double()):

        def embed(weight: Tensor, embedding: torch.nn.Module = embedding) -> Tensor:
            return torch.func.functional_call(embedding, {"weight": weight}, vectors)

        assert torch.autograd.gradcheck(embed, torch.randn_like(embedding.weight).requires_grad_())


def test_a_vector_of_length_one_starts_smaller_through_a_map_and_as_it_is_where_frozen() -> None:
    torch.manual_seed(0)
    features = [
        Feature("text", "item", 300, "vector"),
        Feature("look", "item", 300, "vector", 300, frozen=True),
    ]
    embedding = FeatureEmbedding(features, 64)
    vectors = F.normalize(torch.randn(500, 300))
    vectors[0] = float("nan")
    (found,) = embedding({"text": vectors, "look": vectors})
    assert embedding.widths == (64, 300)
    assert found[1:, :64].std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(found[1:, 64:], vectors[1:])
    assert not found[0].any()
    assert repr(embedding) == "FeatureEmbedding(text: 300 numbers, 64; look: 300 numbers, 300)"


def test_features_may_be_named_as_anything() -> None:
    names = ("type", "items", "a.b", "", "tables", "numbers")
    embedding = FeatureEmbedding([Feature(name, "item", 3) for name in names], 2)
    (found,) = embedding({name: torch.tensor([1]) for name in names})
    assert torch.equal(found, torch.cat([table.weight[[1]] for table in embedding.tables], 1))
