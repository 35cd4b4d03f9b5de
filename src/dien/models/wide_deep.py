"""Wide & Deep (Cheng et al., DLRS 2016), which DIEN's paper compares itself with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.features import Feature, Schema
from dien.layers import FeatureEmbedding
from dien.layers.embedding import embedding_tables
from dien.models.config import Activation, ModelConfig
from dien.models.inputs import Inputs, pooled_history
from dien.models.model import Model, Prediction, conversion_head, converted, head_layers
from dien.models.registry import register
from dien.models.space import MATCHED, SHARED
from dien.ops import segment_sum


class WideDeepConfig(ModelConfig):
    """Wide & Deep (Cheng et al., 2016): a linear model beside the network of BaseModel.

    Attributes:
        sparse_weights: whether each value of every feature has a weight of its own in the wide part, as in
            the paper of Wide & Deep; without, the wide part is that of the code of DIEN's authors, which is
            linear in the embeddings of target and history and their product.
    """

    name: Literal["wide-deep"] = "wide-deep"
    matches: bool = True
    sparse_weights: bool = True
    head_activation: Activation = "dice"


class WideDeep(Model):
    """A wide and a deep part whose logits are added up, trained together (section 3.3).

    The deep part is BaseModel. The wide part is linear in the sparse features (of the target, of all
    behaviours counted together, of user and context), each value having a weight of its own, and in
    cross-product transformations. A cross of target and history would need a weight for every pair of items:
    in its place stand the products of their embeddings, and these embeddings themselves, as in the code of
    DIEN's authors. Both parts are trained by the same optimiser, while Cheng et al. train the wide one by
    FTRL with an L1 penalty. The wide part is linear in matches and popularity, too.

    Args:
        config: sizes.
        schema: the data's features.
    """

    config: WideDeepConfig
    predicts_conversions = True

    def __init__(self, config: WideDeepConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs.of(config, schema)
        D, E = self.inputs.item_width, self.inputs.history_width
        widths = E + D + self.inputs.profile_width
        self.head = head_layers(config, widths)
        self.logit = nn.Linear(config.head_hidden[-1], 1)
        # The logit has a bias for both parts.
        self.crosses = nn.Linear(E + 2 * D + self.inputs.numbers_width, 1, bias=False)
        # A behaviour's item and a target's are two features: they share no weight.
        sides = (("item",), ("item", "behaviour"), ("user", "context")) if config.sparse_weights else ()
        features = (_alone(schema.of(*of)) for of in sides)
        self.weights = nn.ModuleList(
            FeatureEmbedding(mine, 1, embedding_tables(mine, 1, config.sparse_gradients)) for mine in features
        )
        # The wide part is of clicks alone.
        self.conversion = conversion_head(schema, config, widths)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch: logits ``[B]``."""
        embedded = self.inputs(batch)
        target, pooled = embedded.target, pooled_history(embedded, batch)
        x = torch.cat([pooled, target, embedded.profile], 1)
        deep = self.logit(self.head(x))  # [B, 1]
        product = pooled[:, : self.inputs.item_width] * target
        logits = deep + self.crosses(torch.cat([pooled, target, product, embedded.numbers], 1))
        if self.config.sparse_weights:
            logits = logits + self._sparse(batch)
        return Prediction(logits.squeeze(1)).with_conversion(converted(self.conversion, x))

    def _sparse(self, batch: Batch) -> Tensor:
        """Sum up the weights of all sparse features, ``[B, 1]``."""
        of_target, of_history, of_profile = self.weights
        (target,), (history,) = of_target(batch.target), of_history(batch.history)  # [B, ·], [N, ·]
        shared = segment_sum(history.sum(1, keepdim=True), batch.offsets[1:] - batch.offsets[:-1])  # [R, 1]
        if of_profile.features:
            (profile,) = of_profile({**batch.user, **batch.context})  # [R, ·]
            shared = shared + profile.sum(1, keepdim=True)
        logits: Tensor = target.sum(1, keepdim=True) + shared.index_select(0, batch.history_of)
        return logits


def _alone(features: Iterable[Feature]) -> list[Feature]:
    """Have each feature own a weight for every value, those of several values being added up."""
    return [replace(feature, width=1, pooling="sum", table=None, frozen=False) for feature in features]


register("wide-deep", WideDeep, WideDeepConfig(), {**SHARED, **MATCHED})
