"""Product-based neural network (Qu et al., ICDM 2016), which DIEN's paper compares itself with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.config import Activation, ModelConfig
from dien.models.inputs import Inputs, pooled_history
from dien.models.model import Model, Prediction, conversion_head, converted, head_layers
from dien.models.registry import register
from dien.models.space import MATCHED, SHARED, Choice


class PNNConfig(ModelConfig):
    """Product-based neural network (Qu et al., 2016), with inner products.

    Attributes:
        inner_products: whether the inner products of all pairs of fields join the head; without, its only
            products are those of target and history, element by element, as in the code of DIEN's authors.
    """

    name: Literal["pnn"] = "pnn"
    matches: bool = True
    inner_products: bool = True
    head_activation: Activation = "dice"


class PNN(Model):
    """The inner-product network, IPNN: fields and the inner products of their pairs go into an MLP.

    A field is a feature of the target, of the summed history, of the user or of the context. Every pair of
    fields of one width has an inner product; fields of different widths have none. Each product has weights
    of its own in the first layer, which Qu et al. approximate by a factorisation to save time. The products
    of target and summed history, element by element, join the head too: they are all that makes the PNN of
    the code of DIEN's authors.

    Args:
        config: sizes.
        schema: the data's features.
    """

    config: PNNConfig
    predicts_conversions = True

    def __init__(self, config: PNNConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs = Inputs.of(config, schema)
        D, E = inputs.item_width, inputs.history_width
        # As the fields stand in the embeddings of history, target and profile.
        of_item, of_behaviour, of_profile = inputs.item.widths, inputs.behaviour.widths, inputs.profile.widths
        own = *of_behaviour, *inputs.position_widths
        self.widths = (*of_item, *own, *of_item, *of_profile)
        products = len(pairs_of_one_width(self.widths)) if config.inner_products else 0
        widths = E + 2 * D + inputs.profile_width + products
        self.head = head_layers(config, widths)
        self.logit = nn.Linear(config.head_hidden[-1], 1)
        self.conversion = conversion_head(schema, config, widths)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch: logits ``[B]``."""
        embedded = self.inputs(batch)
        pooled = pooled_history(embedded, batch)
        product = pooled[:, : self.inputs.item_width] * embedded.target
        parts = [pooled, embedded.target, embedded.profile, product]
        if self.config.inner_products:
            fields = torch.cat(parts[:3], 1)[:, : sum(self.widths)]  # matches and popularity are no fields
            parts.append(inner_products(fields, self.widths))
        x = torch.cat(parts, 1)
        logits = self.logit(self.head(x)).squeeze(1)  # [B]
        return Prediction(logits).with_conversion(converted(self.conversion, x))


def pairs_of_one_width(widths: Sequence[int]) -> list[tuple[int, int]]:
    """List the pairs of fields that have an inner product, the narrowest first, as :func:`inner_products`."""
    return [
        (i, j)
        for width in sorted(set(widths))
        for i, j in itertools.combinations(range(len(widths)), 2)
        if widths[i] == widths[j] == width
    ]


def inner_products(fields: Tensor, widths: Sequence[int]) -> Tensor:
    """Multiply every pair of fields of one width.

    Args:
        fields: ``[B, ·]``, side by side.
        widths: of each.

    Returns:
        ``[B, pairs]``, those of narrow fields first, each width's by first and then by second field.
    """
    split = torch.split(fields, list(widths), 1)
    products = []
    for width in sorted(set(widths)):
        same = torch.stack([field for field in split if field.shape[1] == width], 1)  # [B, F, width]
        first, second = torch.triu_indices(same.shape[1], same.shape[1], 1, device=fields.device)
        products.append((same @ same.transpose(1, 2))[:, first, second])
    return torch.cat(products, 1)


register(
    "pnn",
    PNN,
    PNNConfig(),
    {**SHARED, **MATCHED, "model.inner_products": Choice((False, True))},
)
