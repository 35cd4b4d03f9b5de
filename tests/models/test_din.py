from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.din import DIN, DINConfig
from tests.embeddings import InputsByHand, enlarge
from tests.equations import assert_same, attention_logit, mlp, under, weights_of
from tests.models.batches import EVERY_KIND, NO_PROFILE, SCHEMA, alone, candidates, random_batch

SMALL = {"embedding_size": 2, "attention_hidden": (6, 3), "head_hidden": (7, 4)}
LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]


def model(schema: Schema = SCHEMA, **options: Any) -> DIN:
    """A small model in float64 and evaluation, its embeddings no longer as tiny as they start."""
    din = DIN(DINConfig(**(SMALL | options)), schema).double().eval()
    enlarge(din)
    return din


def by_hand(din: DIN, schema: Schema, batch: Batch) -> Tensor:
    """Logits, each candidate for itself; weights are an MLP on [q, k, q - k, q k], or its softmax."""
    config, weights = din.config, weights_of(din)
    inputs = InputsByHand(schema, weights, matches=din.config.matches, popularity=din.config.popularity)
    logits = []
    for b, r in enumerate(batch.history_of.tolist()):
        target = inputs.row(batch.target, b, "item")
        query = target
        if "query.weight" in weights:
            query = weights["query.weight"] @ target + weights["query.bias"]
        history = inputs.behaviours(batch, r)
        attention = under(weights, "attention.")
        scores = [
            attention_logit(attention, query, key, config.attention_activation, 1) for key in history
        ]  # a(e_j, v_A) of DIN's eq. (3)
        if config.attention_softmax:
            total = sum(torch.exp(score) for score in scores)
            scores = [torch.exp(score) / total for score in scores]
        interest = torch.zeros(history.shape[1], dtype=torch.float64)
        for score, key in zip(scores, history, strict=True):
            interest = interest + score * key
        parts = [interest, target, inputs.profile(batch, b)]
        if config.pooled_history:
            items = inputs.sequence(batch.history, batch, r, "item").sum(0)
            parts += [items, items * target]
        hidden = mlp(under(weights, "head."), torch.cat(parts), config.head_activation)
        logits.append((weights["logit.weight"] @ hidden + weights["logit.bias"])[0])
    return torch.stack(logits)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooled_history": True},
        {"position_embedding": True},
        {"popularity": True},
        {"attention_softmax": False},
        {"attention_softmax": False, "attention_activation": "dice", "pooled_history": True},
        {"attention_activation": "dice", "head_activation": "prelu"},
        {"attention_hidden": (4,), "attention_activation": "relu", "head_hidden": (3,)},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "schema", [NO_PROFILE, SCHEMA, EVERY_KIND], ids=["no profile", "no behaviour features", "every kind"]
)
def test_a_batch_is_predicted_as_by_the_equations_with_nothing_shared(
    schema: Schema, options: dict[str, Any]
) -> None:
    din, batch = model(schema, **options), random_batch(LENGTHS, HISTORY_OF, schema)
    logits, loss = din(batch)
    assert loss is None
    assert_same(logits, by_hand(din, schema, batch), list(din.parameters()))


def test_the_target_is_projected_where_behaviours_have_features_of_their_own_alone() -> None:
    assert not [name for name, _ in model().named_parameters() if name.startswith("query.")]
    din = model(EVERY_KIND)
    assert din.query.weight.shape == (din.inputs.history_width, din.inputs.item_width)
    assert din.inputs.history_width > din.inputs.item_width


def test_a_hidden_layer_as_wide_as_the_attentions_input_is_not_lost() -> None:
    shapes = [tuple(p.shape) for p in model(attention_hidden=(16, 3)).attention.parameters() if p.ndim == 2]
    assert shapes == [(16, 16), (3, 16), (1, 3)]


@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    data=st.data(),
    schema=st.sampled_from([SCHEMA, EVERY_KIND]),
)
def test_a_candidate_scores_the_same_alone_among_others_and_in_any_order(
    lengths: list[int], data: st.DataObject, schema: Schema
) -> None:
    din = model(schema, pooled_history=True)
    history_of = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6))
    batch = random_batch(lengths, history_of, schema)
    logits = din(batch).logits
    each = torch.cat([din(alone(batch, b)).logits for b in range(len(batch))])
    torch.testing.assert_close(logits, each, rtol=0, atol=1e-12)
    order = data.draw(st.permutations(range(len(batch))))
    torch.testing.assert_close(din(candidates(batch, order)).logits, logits[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("lengths", [[0], [0, 0, 0]])
def test_empty_histories_give_finite_logits_and_gradients(lengths: list[int], softmax: bool) -> None:
    options = {"pooled_history": True, "attention_activation": "dice", "attention_softmax": softmax}
    din = model(EVERY_KIND, **options).train()
    logits = din(random_batch(lengths, list(range(len(lengths))) * 2, EVERY_KIND)).logits
    assert torch.isfinite(logits).all()
    logits.sum().backward()
    for parameter in din.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad.to_dense()).all()


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("pooled", [True, False])
def test_gradients_reach_every_parameter(pooled: bool, softmax: bool) -> None:
    din = model(EVERY_KIND, pooled_history=pooled, attention_softmax=softmax).train()
    din(random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)).logits.square().sum().backward()
    for name, parameter in din.named_parameters():
        assert parameter.grad is not None, name
        if name != "attention.dense.bias" or not softmax:  # the softmax takes it away
            assert parameter.grad.to_dense().any(), name
