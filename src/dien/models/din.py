"""Deep Interest Network (Zhou et al., KDD 2018), which DIEN's paper compares itself with."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import MLPAttention
from dien.models.config import Activation, ModelConfig, Widths
from dien.models.inputs import Inputs, pooled_items
from dien.models.model import Model, Prediction, conversion_head, converted, head_layers
from dien.models.registry import register
from dien.models.space import MATCHED, POOLED, SHARED, Choice
from dien.ops import pair_sums
from dien.packed import Pairs


class DINConfig(ModelConfig):
    """Deep Interest Network; the defaults are what DIEN's authors ran beside DIEN.

    Attributes:
        attention_hidden: widths of the attention's hidden layers, on ``[q, k, q - k, q * k]``.
        attention_activation: their activation.
        attention_softmax: whether a softmax over the history makes the weights of its behaviours add up to
            1, as in the authors' code. DIN's paper weighs by the activations as they are (eq. 3, section
            4.3), so that the sum grows with how much of a history bears on the target.
        pooled_history: whether the sum of the history and its product with the target join the head, as in
            the authors' code.
    """

    name: Literal["din"] = "din"
    matches: bool = True
    attention_hidden: Widths = (80, 40)
    attention_activation: Activation = "sigmoid"
    attention_softmax: bool = True
    pooled_history: bool = False
    head_activation: Activation = "dice"


class DIN(Model):
    """DIN over packed, shared histories: behaviours are summed by their attention to the target.

    By default a softmax over the history normalises the attention, as in the code of DIEN's authors. Without
    it (``attention_softmax``) behaviours are weighed by the activations themselves, eq. (3) of DIN's paper.

    Args:
        config: sizes.
        schema: the data's features.
    """

    config: DINConfig
    predicts_conversions = True

    def __init__(self, config: DINConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs.of(config, schema)
        D, E = self.inputs.item_width, self.inputs.history_width
        # The attention subtracts and multiplies target and behaviour: it wants them equally wide.
        self.query = nn.Linear(D, E) if D != E else nn.Identity()
        self.attention = MLPAttention(
            E, config.attention_hidden, config.attention_activation, softmax=config.attention_softmax
        )
        widths = E + D + self.inputs.profile_width + (2 * D if config.pooled_history else 0)
        self.head = head_layers(config, widths)
        self.logit = nn.Linear(config.head_hidden[-1], 1)
        self.conversion = conversion_head(schema, config, widths)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch: logits ``[B]``."""
        embedded = self.inputs(batch)
        pairs = Pairs.of_histories(batch.offsets, batch.history_of)
        scores = self.attention(embedded.history, self.query(embedded.target), pairs)  # [P]
        interest = pair_sums(embedded.history, scores, pairs.starts, pairs.lengths)  # [B, E]
        parts = [interest, embedded.target, embedded.profile]
        if self.config.pooled_history:
            parts += pooled_items(embedded, batch)
        x = torch.cat(parts, 1)
        logits = self.logit(self.head(x)).squeeze(1)  # [B]
        return Prediction(logits).with_conversion(converted(self.conversion, x))


register(
    "din",
    DIN,
    DINConfig(),
    {**SHARED, **MATCHED, **POOLED, "model.attention_hidden": Choice(((36,), (80, 40), (128, 64)))},
)
