"""The models: layers put together. Every one is called with a Batch and answers with a Prediction."""

from __future__ import annotations

from dien.config import DIENConfig, DINConfig, ModelConfig, PNNConfig, RocketConfig, WideDeepConfig
from dien.data.features import Schema
from dien.models.dien import DIEN
from dien.models.din import DIN
from dien.models.model import Losses, Model, Prediction
from dien.models.pnn import PNN
from dien.models.rocket import Rocket
from dien.models.sum_pooling import SumPooling
from dien.models.wide_deep import WideDeep


def build(config: ModelConfig, schema: Schema) -> Model:
    """Build the model a configuration describes, with fresh weights from torch's global generator."""
    if isinstance(config, RocketConfig):
        return Rocket(config, schema)
    if isinstance(config, DIENConfig):
        return DIEN(config, schema)
    if isinstance(config, DINConfig):
        return DIN(config, schema)
    if isinstance(config, PNNConfig):
        return PNN(config, schema)
    if isinstance(config, WideDeepConfig):
        return WideDeep(config, schema)
    return SumPooling(config, schema)


__all__ = [
    "DIEN",
    "DIN",
    "PNN",
    "Losses",
    "Model",
    "Prediction",
    "Rocket",
    "SumPooling",
    "WideDeep",
    "build",
]
