"""Deep Interest Evolution Network (Zhou et al., AAAI 2019)."""

from __future__ import annotations

import torch
from torch import nn

from dien.config import DIENConfig
from dien.data.batch import Batch
from dien.data.schema import Schema
from dien.layers import MLP, InterestEvolvingLayer, InterestExtractorNetwork
from dien.models.inputs import Inputs, pooled_items
from dien.models.prediction import Prediction
from dien.packed import Packed, Pairs


class DIEN(nn.Module):
    """DIEN over packed, shared histories.

    The extractor runs once a history; attention and the evolving GRU run for each candidate over the shared
    states.

    Args:
        config: sizes and variants.
        schema: the data's features.
    """

    def __init__(self, config: DIENConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs(schema, config.embedding_size)
        D, H = self.inputs.item_width, config.hidden_size
        self.extractor = InterestExtractorNetwork(
            self.inputs.history_width,
            H,
            [H + D, *config.auxiliary_hidden, 1],
            activation=config.auxiliary_activation,
            average=config.auxiliary_average,
            item_size=D,
        )
        # The MLP attention subtracts and multiplies target and state: it wants them equally wide.
        self.query = nn.Linear(D, H) if config.attention == "mlp" and D != H else nn.Identity()
        self.evolution = InterestEvolvingLayer(
            None,
            H,
            H,
            (4 * H, *config.attention_hidden),
            gru=config.gru.upper(),
            attention=config.attention,
            target_size=D,
            scale=config.attention_scale,
        )
        widths = H + D + self.inputs.profile_width + (2 * D if config.pooled_history else 0)
        self.head = MLP(
            [widths, *config.head_hidden],
            config.head_activation,
            batch_norm=config.head_batch_norm,
            dropout=config.head_dropout,
        )
        self.logit = nn.Linear(config.head_hidden[-1], 1)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch; the auxiliary loss only where the batch has negatives and the loss a weight.

        Returns:
            Logits ``[B]`` and the auxiliary loss or None.
        """
        auxiliary = self.config.auxiliary_weight > 0
        embedded = self.inputs(batch, negatives=auxiliary)
        states = self.extractor.states(Packed(embedded.history, batch.offsets))  # [N, H]
        pairs = Pairs.of_histories(batch.offsets, batch.history_of)
        final = self.evolution.evolve(
            self.query(embedded.target), Packed(states, batch.offsets), pairs
        )  # [B, H]
        parts = [final, embedded.target, embedded.profile]
        if self.config.pooled_history:
            parts += pooled_items(embedded, batch)
        logits = self.logit(self.head(torch.cat(parts, 1))).squeeze(1)  # [B]
        loss = None
        if embedded.negatives is not None:
            items = Packed(embedded.items, batch.offsets)  # values [N, D]
            loss = self.extractor.packed_auxiliary_loss(states, items, embedded.negatives)
        return Prediction(logits, loss)
