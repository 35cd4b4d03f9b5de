"""Deep Interest Evolution Network (Zhou et al., AAAI 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dien.config import DIENConfig
from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import MLP, Affine, InterestEvolvingLayer, InterestExtractorNetwork, set_gate_bias
from dien.models.inputs import Embedded, Inputs, pooled_items
from dien.models.model import Losses, Model, Prediction, cross_entropy
from dien.packed import Packed, Pairs


class DIEN(Model):
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

    config: DIENConfig

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

    def loss(self, prediction: Prediction, batch: Batch) -> Tensor:
        """Compute the loss of a prediction, ``L = L_target + alpha L_aux`` (eq. 7).

        Returns:
            A scalar; the target's part alone where there is no auxiliary loss.
        """
        loss = self.config.target_weight * cross_entropy(prediction, batch)
        if prediction.auxiliary_loss is not None:
            loss = loss + self.config.auxiliary_weight * prediction.auxiliary_loss
        return loss

    def losses(self, batch: Batch) -> Losses:
        """Compute the loss of eq. (7); the auxiliary loss is a part of it."""
        prediction = self(batch)
        auxiliary = prediction.auxiliary_loss
        parts = {} if auxiliary is None else {"auxiliary_loss": auxiliary}
        return Losses(self.loss(prediction, batch), parts)

    def record(self, sums: dict[str, float]) -> dict[str, float]:
        """Record the target's cross-entropy too: what the auxiliary loss leaves of the total."""
        if "auxiliary_loss" not in sums:
            return sums
        loss, auxiliary = sums["loss"], sums["auxiliary_loss"]
        return {"loss": loss, "target_loss": self.target(loss, auxiliary), "auxiliary_loss": auxiliary}

    def target(self, loss: float, auxiliary: float) -> float:
        """Solve eq. (7) for the target's cross-entropy."""
        return (loss - self.config.auxiliary_weight * auxiliary) / self.config.target_weight
