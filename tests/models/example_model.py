"""A model of your own is one file: the mean of a history beside the target, in an MLP."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import MLP
from dien.models import (
    SHARED,
    Inputs,
    LogUniform,
    Losses,
    Model,
    ModelConfig,
    Prediction,
    cross_entropy,
    register,
)
from dien.ops import segment_sum


class MeanPoolingConfig(ModelConfig):
    """The mean of a history beside the target, in an MLP.

    Attributes:
        penalty: weight of the mean squared logit in the loss.
    """

    name: Literal["mean-pooling"] = "mean-pooling"
    matches: bool = True
    penalty: NonNegativeFloat = 0.01


class MeanPooling(Model):
    """Predicts a click from the mean of the behaviours, the target, and the user and context."""

    config: MeanPoolingConfig

    def __init__(self, config: MeanPoolingConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs.of(config, schema)
        width = self.inputs.history_width + self.inputs.item_width + self.inputs.profile_width
        self.head = MLP([width, *config.head_hidden, 1], config.head_activation, last_activation=False)

    def forward(self, batch: Batch) -> Prediction:
        embedded = self.inputs(batch)
        lengths = batch.offsets.diff()  # [R] behaviours of each history
        mean = segment_sum(embedded.history, lengths) / lengths.clamp(min=1)[:, None]  # [R, D]
        x = torch.cat([mean[batch.history_of], embedded.target, embedded.profile], 1)  # [B, ·]
        return Prediction(self.head(x).squeeze(1))

    def losses(self, batch: Batch) -> Losses:
        prediction = self(batch)
        target, size = cross_entropy(prediction, batch), prediction.logits.square().mean()
        return Losses(target + self.config.penalty * size, {"target_loss": target, "logit_size": size})


register("mean-pooling", MeanPooling, MeanPoolingConfig(), SHARED | {"model.penalty": LogUniform(1e-4, 0.1)})
