from typing import Any

import pytest
import torch
from torch import Tensor

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.pnn import PNN, PNNConfig, inner_products, pairs_of_one_width
from tests.embeddings import InputsByHand, enlarge
from tests.equations import assert_same, mlp, under, weights_of
from tests.models.batches import EVERY_KIND, NO_PROFILE, SCHEMA, WITH_CONTEXT, random_batch

LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]


def model(schema: Schema = SCHEMA, **options: Any) -> PNN:
    """A small model in float64 and evaluation, its embeddings no longer as tiny as they start."""
    pnn = PNN(PNNConfig(embedding_size=2, head_hidden=(7, 4), **options), schema).double().eval()
    enlarge(pnn)
    return pnn


def by_hand(pnn: PNN, schema: Schema, batch: Batch) -> Tensor:
    """Logits, each candidate for itself: a field for every feature, a product for every pair of one width."""
    weights, logits = weights_of(pnn), []
    inputs = InputsByHand(schema, weights, matches=pnn.config.matches, popularity=pnn.config.popularity)

    def widths(*sides: Any) -> list[int]:
        return [inputs.weights[f.table or f.name].shape[1] for f in schema.of(*sides)]

    of_profile = widths("user", "context")
    for b, r in enumerate(batch.history_of.tolist()):
        pooled = inputs.behaviours(batch, r).sum(0)
        target, profile = inputs.row(batch.target, b, "item"), inputs.profile(batch, b)
        fields = [
            *pooled.split([*widths("item", "behaviour"), *([] if inputs.positions is None else [2])]),
            *target.split(widths("item")),
            *(profile[: sum(of_profile)].split(of_profile) if of_profile else ()),
        ]
        parts = [pooled, target, profile, pooled[: len(target)] * target]
        if pnn.config.inner_products:
            for width in sorted({len(field) for field in fields}):
                same = [field for field in fields if len(field) == width]
                for i, one in enumerate(same):
                    parts += [(one * other).sum()[None] for other in same[i + 1 :]]
        hidden = mlp(under(weights, "head."), torch.cat(parts), "dice")
        logits.append((weights["logit.weight"] @ hidden + weights["logit.bias"])[0])
    return torch.stack(logits)


@pytest.mark.parametrize(
    "options",
    [{}, {"inner_products": False}, {"position_embedding": True}, {"popularity": True}],
    ids=str,
)
@pytest.mark.parametrize(
    "schema",
    [NO_PROFILE, SCHEMA, WITH_CONTEXT, EVERY_KIND],
    ids=["no profile", "no context", "context", "every kind"],
)
def test_a_batch_is_predicted_as_by_the_equations_with_nothing_shared(
    schema: Schema, options: dict[str, Any]
) -> None:
    pnn = model(schema, **options)
    batch = random_batch(LENGTHS, HISTORY_OF, schema)
    logits, loss = pnn(batch)
    assert loss is None
    assert_same(logits, by_hand(pnn, schema, batch), list(pnn.parameters()))


def test_every_pair_of_fields_of_one_width_is_multiplied_the_narrow_ones_first() -> None:
    # Fields (1, 2), (3), (4, 5), (6), (7, 8, 9): the last is alone of its width.
    fields, widths = torch.arange(1.0, 10.0)[None], [2, 1, 2, 1, 3]
    assert pairs_of_one_width(widths) == [(1, 3), (0, 2)]
    assert inner_products(fields, widths).tolist() == [[3 * 6, 1 * 4 + 2 * 5]]


def test_fields_of_one_width_have_all_their_products() -> None:
    # Item and category of history and target, user and age: 6 fields.
    pnn = model()
    assert len(pairs_of_one_width(pnn.widths)) == 15
    assert pnn.head.first.in_features == 6 * 2 + 4 + 15 + 9  # 1 + 4 * 2 numbers of matches


@pytest.mark.parametrize("inner", [True, False])
def test_gradients_reach_every_parameter(inner: bool) -> None:
    pnn = model(EVERY_KIND, inner_products=inner).train()
    pnn(random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)).logits.square().sum().backward()
    for name, parameter in pnn.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.to_dense().any(), name
