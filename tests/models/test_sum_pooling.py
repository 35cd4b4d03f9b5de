import pytest
import torch

from dien.data.features import Schema
from dien.models.sum_pooling import SumPooling, SumPoolingConfig
from tests.embeddings import InputsByHand, enlarge
from tests.equations import assert_same, mlp, under, weights_of
from tests.models.batches import EVERY_KIND, NO_PROFILE, SCHEMA, WITH_CONTEXT, alone, candidates, random_batch

LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]


def model(schema: Schema = SCHEMA) -> SumPooling:
    config = SumPoolingConfig(embedding_size=2, head_hidden=(7, 4))
    pooling = SumPooling(config, schema).double().eval()
    enlarge(pooling)
    return pooling


@pytest.mark.parametrize(
    "schema",
    [NO_PROFILE, SCHEMA, WITH_CONTEXT, EVERY_KIND],
    ids=["no profile", "no context", "context", "every kind"],
)
def test_a_batch_is_predicted_as_by_the_equations_with_nothing_shared(schema: Schema) -> None:
    pooling, batch = model(schema), random_batch(LENGTHS, HISTORY_OF, schema)
    weights = weights_of(pooling)
    inputs = InputsByHand(schema, weights, matches=pooling.config.matches)
    expected = []
    for b, r in enumerate(HISTORY_OF):
        pooled = inputs.behaviours(batch, r).sum(0)
        x = torch.cat([pooled, inputs.row(batch.target, b, "item"), inputs.profile(batch, b)])
        hidden = mlp(under(weights, "head."), x, "dice")
        expected.append((weights["logit.weight"] @ hidden + weights["logit.bias"])[0])
    logits, loss = pooling(batch)
    assert loss is None
    assert_same(logits, torch.stack(expected), list(pooling.parameters()))


def test_a_candidate_scores_the_same_alone_among_others_and_in_any_order() -> None:
    pooling, batch = model(EVERY_KIND), random_batch(LENGTHS, HISTORY_OF, EVERY_KIND)
    logits = pooling(batch).logits
    each = torch.cat([pooling(alone(batch, b)).logits for b in range(len(batch))])
    torch.testing.assert_close(logits, each)
    order = [3, 6, 0, 2, 5, 1, 4]
    torch.testing.assert_close(pooling(candidates(batch, order)).logits, logits[order])


def test_empty_histories_give_finite_logits() -> None:
    assert torch.isfinite(model(EVERY_KIND)(random_batch([0, 0], [0, 1, 1], EVERY_KIND)).logits).all()


def test_gradients_reach_every_parameter() -> None:
    pooling = model(EVERY_KIND).train()
    pooling(random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)).logits.square().sum().backward()
    for name, parameter in pooling.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.to_dense().any(), name
