"""Deep Interest Evolution Network (Zhou et al., AAAI 2019)."""

from __future__ import annotations

import torch
from torch import nn

from dien.config import DIENConfig
from dien.data.batch import Batch
from dien.data.schema import Schema
from dien.layers import MLP, Affine, InterestEvolvingLayer, InterestExtractorNetwork, set_gate_bias
from dien.models.inputs import Embedded, Inputs, pooled_items
from dien.models.prediction import Prediction
from dien.packed import Packed, Pairs


class DIEN(nn.Module):
    """DIEN over packed, shared histories.

    The extractor runs once a history; attention and the evolving GRU run for each candidate over the shared
    states.

    Args:
        config: sizes and variants.
        schema: the data's features.
        inputs: embeddings of another model to read in place of its own; it then holds none and is called by
            :meth:`predict`.

    Attributes:
        hidden_size: ``H``.
    """

    def __init__(self, config: DIENConfig, schema: Schema, inputs: Inputs | None = None) -> None:
        super().__init__()
        self.config = config
        if inputs is None:
            self.inputs = inputs = Inputs(schema, config.embedding_size)
        D = inputs.item_width
        self.hidden_size = H = config.hidden_size or D
        self.extractor = InterestExtractorNetwork(
            inputs.history_width,
            H,
            [H + D, *config.auxiliary_hidden, 1],
            activation=config.auxiliary_activation,
            average=config.auxiliary_average,
            item_size=D,
            affine=config.auxiliary_affine,
            reset=config.gru_reset,
        )
        self.query: nn.Module = nn.Identity()
        if config.attention_query == "prelu":
            self.query = nn.Sequential(nn.Linear(D, H), nn.PReLU(H, init=0.1))  # TensorFlow's start
        elif config.attention == "mlp" and D != H:
            # The MLP attention subtracts and multiplies target and state: it wants them equally wide.
            self.query = nn.Linear(D, H)
        self.evolution = InterestEvolvingLayer(
            None,
            H,
            H,
            (4 * H, *config.attention_hidden),
            gru=config.gru.upper(),
            attention=config.attention,
            target_size=H if config.attention_query == "prelu" else D,
            scale=config.attention_scale,
            initialisation=config.gru_initialisation,
            reset=config.gru_reset,
        )
        if config.gru_gate_bias is not None:
            for gru in (self.extractor.gru, self.evolution.dynamic_rnn):
                set_gate_bias(gru, config.gru_gate_bias)
        widths = H + D + inputs.profile_width + (2 * D if config.pooled_history else 0)
        self.affine = Affine(widths) if config.head_affine else nn.Identity()
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
        return self.predict(self.inputs(batch, negatives=self.config.auxiliary_weight > 0), batch)

    def predict(self, embedded: Embedded, batch: Batch) -> Prediction:
        """Predict a batch from its embeddings; the auxiliary loss only where they have negatives."""
        states = self.extractor.states(Packed(embedded.history, batch.offsets))  # [N, H]
        pairs = Pairs.of_histories(batch.offsets, batch.history_of)
        final = self.evolution.evolve(
            self.query(embedded.target), Packed(states, batch.offsets), pairs
        )  # [B, H]
        parts = [final, embedded.target, embedded.profile]
        if self.config.pooled_history:
            parts += pooled_items(embedded, batch)
        logits = self.logit(self.head(self.affine(torch.cat(parts, 1)))).squeeze(1)  # [B]
        loss = None
        if embedded.negatives is not None:
            items = Packed(embedded.items, batch.offsets)  # values [N, D]
            loss = self.extractor.packed_auxiliary_loss(states, items, embedded.negatives)
        return Prediction(logits, loss)
