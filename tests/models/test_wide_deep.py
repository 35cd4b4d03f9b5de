from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.sum_pooling import SumPooling, SumPoolingConfig
from dien.models.wide_deep import WideDeep, WideDeepConfig
from tests.embeddings import InputsByHand, embedded, enlarge, weights_by_feature
from tests.equations import assert_same, mlp, under, weights_of
from tests.models.batches import EVERY_KIND, NO_PROFILE, SCHEMA, WITH_CONTEXT, random_batch

LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]


def model(schema: Schema = SCHEMA, **options: Any) -> WideDeep:
    """A small model in float64 and evaluation, nothing in it as tiny as it starts."""
    config = WideDeepConfig(embedding_size=2, head_hidden=(7, 4), **options)
    wide_deep = WideDeep(config, schema).double().eval()
    enlarge(wide_deep)
    for parameter in wide_deep.weights.parameters():
        torch.nn.init.normal_(parameter)
    return wide_deep


def of_values(schema: Schema, weights: dict[str, Tensor], batch: Batch, b: int) -> Tensor:
    """The weights of all values that the target, the behaviours, the user and the context have."""
    r = int(batch.history_of[b])
    steps = range(int(batch.offsets[r]), int(batch.offsets[r + 1]))
    places = [
        (("item",), batch.target, [b]),
        (("item", "behaviour"), batch.history, steps),
        (("user", "context"), {**batch.user, **batch.context}, [r]),
    ]
    total = torch.zeros((), dtype=torch.float64)
    for k, (sides, columns, rows) in enumerate(places):
        features = [replace(f, table=None, pooling="sum", frozen=False) for f in schema.of(*sides)]
        own = weights_by_feature(features, under(weights, f"weights.{k}."))
        assert {w.shape[1] for w in own.values()} <= {1}
        for row in rows:
            total = total + embedded(features, own, columns, row).sum()
    return total


def by_hand(wide_deep: WideDeep, schema: Schema, batch: Batch) -> Tensor:
    """``w x + w' φ(x) + w'' a + b``, each candidate for itself."""
    weights, logits = weights_of(wide_deep), []
    config = wide_deep.config
    inputs = InputsByHand(schema, weights, matches=config.matches, popularity=config.popularity)
    for b, r in enumerate(batch.history_of.tolist()):
        pooled = inputs.behaviours(batch, r).sum(0)
        target = inputs.row(batch.target, b, "item")
        x = torch.cat([pooled, target, inputs.profile(batch, b)])
        logit = weights["logit.weight"] @ mlp(under(weights, "head."), x, "dice") + weights["logit.bias"]
        product = inputs.sequence(batch.history, batch, r, "item").sum(0) * target
        logit = logit + weights["crosses.weight"] @ torch.cat(
            [pooled, target, product, inputs.numbers(batch, b)]
        )
        if wide_deep.config.sparse_weights:
            logit = logit + of_values(schema, weights, batch, b)
        logits.append(logit[0])
    return torch.stack(logits)


@pytest.mark.parametrize("options", [{}, {"sparse_weights": False}, {"popularity": True}], ids=str)
@pytest.mark.parametrize(
    "schema",
    [NO_PROFILE, SCHEMA, WITH_CONTEXT, EVERY_KIND],
    ids=["no profile", "no context", "context", "every kind"],
)
def test_a_batch_is_predicted_as_by_the_equations_with_nothing_shared(
    schema: Schema, options: dict[str, Any]
) -> None:
    wide_deep, batch = model(schema, **options), random_batch(LENGTHS, HISTORY_OF, schema)
    logits, loss = wide_deep(batch)
    assert loss is None
    assert_same(logits, by_hand(wide_deep, schema, batch), list(wide_deep.parameters()))


def test_a_target_and_a_behaviour_of_the_same_item_have_weights_of_their_own() -> None:
    of_target, of_history, of_profile = model(EVERY_KIND).weights
    tables = [table.weight for part in (of_target, of_history, of_profile) for table in part.tables]
    assert len({table.data_ptr() for table in tables}) == len(tables) == 4 + 6 + 5


def test_without_a_wide_part_it_is_the_base_model() -> None:
    wide_deep, batch = model(EVERY_KIND), random_batch(LENGTHS, HISTORY_OF, EVERY_KIND)
    for parameter in (*wide_deep.crosses.parameters(), *wide_deep.weights.parameters()):
        torch.nn.init.zeros_(parameter)
    base = SumPooling(SumPoolingConfig(embedding_size=2, head_hidden=(7, 4)), EVERY_KIND).double().eval()
    base.load_state_dict({n: w for n, w in wide_deep.state_dict().items() if n in base.state_dict()})
    torch.testing.assert_close(wide_deep(batch).logits, base(batch).logits)


@pytest.mark.parametrize("sparse", [True, False])
def test_gradients_reach_every_parameter(sparse: bool) -> None:
    wide_deep = model(EVERY_KIND, sparse_weights=sparse).train()
    wide_deep(random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)).logits.square().sum().backward()
    for name, parameter in wide_deep.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.to_dense().any(), name
        assert parameter.grad.is_sparse == (".tables." in name), name
