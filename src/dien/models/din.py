"""Deep Interest Network (Zhou et al., KDD 2018), which DIEN's paper compares itself with."""

from __future__ import annotations

import torch
from torch import nn

from dien.config import DINConfig
from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import MLP, SequenceAttention
from dien.models.inputs import Inputs, pooled_items
from dien.models.model import Model, Prediction
from dien.ops import segment_sum
from dien.packed import Pairs


class DIN(Model):
    """DIN over packed, shared histories: behaviours are summed by their attention to the target.

    By default a softmax over the history normalises the attention, as in the code of DIEN's authors. Without
    it (``attention_softmax``) behaviours are weighed by the activations themselves, eq. (3) of DIN's paper.

    Args:
        config: sizes.
        schema: the data's features.
    """

    config: DINConfig

    def __init__(self, config: DINConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs(schema, config.embedding_size)
        D, E = self.inputs.item_width, self.inputs.history_width
        # The attention subtracts and multiplies target and behaviour: it wants them equally wide.
        self.query = nn.Linear(D, E) if D != E else nn.Identity()
        self.attention = SequenceAttention(
            (4 * E, *config.attention_hidden),
            E,
            config.attention_activation,
            softmax=config.attention_softmax,
            scale=False,
        )
        widths = E + D + self.inputs.profile_width + (2 * D if config.pooled_history else 0)
        self.head = MLP([widths, *config.head_hidden], config.head_activation)
        self.logit = nn.Linear(config.head_hidden[-1], 1)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch: logits ``[B]``."""
        embedded = self.inputs(batch)
        pairs = Pairs.of_histories(batch.offsets, batch.history_of)
        scores = self.attention(embedded.history, self.query(embedded.target), pairs)  # [P]
        read = embedded.history.index_select(0, pairs.step) * scores[:, None]  # [P, E]
        parts = [segment_sum(read, pairs.lengths), embedded.target, embedded.profile]
        if self.config.pooled_history:
            parts += pooled_items(embedded, batch)
        return Prediction(self.logit(self.head(torch.cat(parts, 1))).squeeze(1))
