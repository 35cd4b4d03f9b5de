import pytest
import torch

from dien.config import DIENConfig, SumPoolingConfig
from dien.data.schema import Schema
from dien.models import DIEN, SumPooling, build
from tests.equations import assert_same, mlp, under, weights_of
from tests.models.batches import SCHEMA, WITH_CONTEXT, alone, candidates, random_batch

LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]


def model(schema: Schema = SCHEMA) -> SumPooling:
    config = SumPoolingConfig(embedding_size=2, head_hidden=(7, 4))
    return SumPooling(config, schema).double().eval()


@pytest.mark.parametrize("schema", [SCHEMA, WITH_CONTEXT], ids=["no context", "context"])
def test_a_batch_is_predicted_as_by_the_equations_with_nothing_shared(schema: Schema) -> None:
    pooling, batch = model(schema), random_batch(LENGTHS, HISTORY_OF, schema)
    weights = weights_of(pooling)
    items = [weights[f"inputs.item.tables.{k}.weight"] for k in range(2)]
    profile = [weights[f"inputs.profile.tables.{k}.weight"] for k in range(len(schema.features) - 2)]
    expected = []
    for b, r in enumerate(HISTORY_OF):
        x = torch.zeros(4, dtype=torch.float64)
        for t in range(int(batch.offsets[r]), int(batch.offsets[r + 1])):
            item, category = batch.history["item"][t], batch.history["category"][t]
            x = x + torch.cat([items[0][item], items[1][category]])
        target = torch.cat([items[0][batch.target["item"][b]], items[1][batch.target["category"][b]]])
        names = ["user", "age", "hour"][: len(profile)]
        columns = {**batch.user, **batch.context}
        beside = [table[columns[name][r]] for name, table in zip(names, profile, strict=True)]
        hidden = mlp(under(weights, "head."), torch.cat([x, target, *beside]), "dice")
        expected.append((weights["logit.weight"] @ hidden + weights["logit.bias"])[0])
    logits, loss = pooling(batch)
    assert loss is None
    assert_same(logits, torch.stack(expected), list(pooling.parameters()))


def test_a_candidate_scores_the_same_alone_among_others_and_in_any_order() -> None:
    pooling, batch = model(), random_batch(LENGTHS, HISTORY_OF)
    logits = pooling(batch).logits
    each = torch.cat([pooling(alone(batch, b)).logits for b in range(len(batch))])
    torch.testing.assert_close(logits, each)
    order = [3, 6, 0, 2, 5, 1, 4]
    torch.testing.assert_close(pooling(candidates(batch, order)).logits, logits[order])


def test_empty_histories_give_finite_logits() -> None:
    assert torch.isfinite(model()(random_batch([0, 0], [0, 1, 1])).logits).all()


def test_gradients_reach_every_parameter() -> None:
    pooling = model(WITH_CONTEXT).train()
    pooling(random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, WITH_CONTEXT)).logits.square().sum().backward()
    for name, parameter in pooling.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.to_dense().any(), name


def test_a_configuration_builds_the_model_it_names() -> None:
    assert isinstance(build(SumPoolingConfig(), SCHEMA), SumPooling)
    assert isinstance(build(DIENConfig(), SCHEMA), DIEN)
