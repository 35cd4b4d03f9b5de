"""BaseModel of the paper: embeddings, the history summed up, an MLP."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.config import Activation, ModelConfig
from dien.models.inputs import Inputs, pooled_history
from dien.models.model import Model, Prediction, conversion_head, converted, head_layers
from dien.models.registry import register
from dien.models.space import MATCHED, SHARED


class SumPoolingConfig(ModelConfig):
    """BaseModel of the paper: embeddings, the history sum-pooled, an MLP."""

    name: Literal["sum-pooling"] = "sum-pooling"
    matches: bool = True
    head_activation: Activation = "dice"


class SumPooling(Model):
    """Embedding, sum pooling of the behaviours and an MLP (the paper's BaseModel).

    Args:
        config: sizes.
        schema: the data's features.
    """

    config: SumPoolingConfig
    predicts_conversions = True

    def __init__(self, config: SumPoolingConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs.of(config, schema)
        widths = self.inputs.history_width + self.inputs.item_width + self.inputs.profile_width
        self.head = head_layers(config, widths)
        self.logit = nn.Linear(config.head_hidden[-1], 1)
        self.conversion = conversion_head(schema, config, widths)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch: logits ``[B]``."""
        embedded = self.inputs(batch)
        x = torch.cat([pooled_history(embedded, batch), embedded.target, embedded.profile], 1)
        logits = self.logit(self.head(x)).squeeze(1)  # [B]
        return Prediction(logits).with_conversion(converted(self.conversion, x))


register("sum-pooling", SumPooling, SumPoolingConfig(), {**SHARED, **MATCHED})
