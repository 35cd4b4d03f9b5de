"""RecBole's DIEN, class and parameters named alike, over packed histories."""

from __future__ import annotations

import sys
from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.model.layers import ContextSeqEmbLayer, Dice, MLPLayers
from recbole.utils import FeatureType, InputType
from torch import Tensor, nn

from dien.layers import InterestEvolvingLayer, InterestExtractorNetwork
from dien.ops import segment_sum
from dien.packed import Packed, Pairs
from dien.recbole.histories import Histories
from dien.recbole.switches import Switches


class DIEN(SequentialRecommender):  # type: ignore[misc]
    """Deep Interest Evolution Network inside RecBole: its configuration, data, trainer and checkpoints.

    Computes what RecBole 1.2.1's class of this name computes, from the same initial weights for a seed,
    unless the configuration sets ``dien_preset`` or another key of :class:`~dien.recbole.Switches`. Nothing
    is computed on padding, and rows of one history share its interest states. A history may be empty, and
    :meth:`predict` reads no negatives.

    Args:
        config: RecBole's Config, with the keys of its DIEN.yaml.
        dataset: RecBole's Dataset, for the features of users and items.

    Raises:
        ValueError: a key beginning with ``dien_`` that is unknown, or its value.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        adopt(config)
        self.device = config["device"]
        self.alpha = config["alpha"]
        self.gru = config["gru_type"]
        self.pooling_mode = config["pooling_mode"]
        self.dropout_prob = config["dropout_prob"]
        self.LABEL_FIELD = config["LABEL_FIELD"]
        self.embedding_size = config["embedding_size"]
        self.mlp_hidden_size = list(config["mlp_hidden_size"])
        self.NEG_ITEM_SEQ = config["NEG_PREFIX"] + self.ITEM_SEQ
        self.switches = switches = Switches.of(config)

        self.types = ["user", "item"]
        self.user_feat = dataset.get_user_feature()
        self.item_feat = dataset.get_item_feature()
        user, D = (
            self.embedding_size * _embedded_fields(features, config, dataset)
            for features in (self.user_feat, self.item_feat)
        )
        # Attributes of these names are RecBole's, too.
        self.att_list = [4 * D, *self.mlp_hidden_size]
        self.interest_mlp_list = [2 * D, *self.mlp_hidden_size, 1]
        self.dnn_mlp_list = [(4 if switches.pooled_history else 2) * D + user, *self.mlp_hidden_size]
        self.other_parameter_name = ["embedding_layer"]
        # In RecBole's order, so that a seed gives its initial weights.
        self.interset_extractor = InterestExtractorNetwork(
            D,
            D,
            self.interest_mlp_list,
            activation=switches.auxiliary_activation,
            average=switches.auxiliary_average,
        )
        self.interest_evolution = InterestEvolvingLayer(
            None,
            D,
            D,
            self.att_list,
            gru=self.gru,
            attention=switches.attention,
            scale=switches.attention_scale,
            initialisation=switches.gru_init,
        )
        self.embedding_layer = ContextSeqEmbLayer(
            dataset, self.embedding_size, self.pooling_mode, self.device
        )
        self.dnn_mlp_layers = MLPLayers(
            self.dnn_mlp_list, activation="Dice", dropout=self.dropout_prob, bn=True
        )
        if switches.dice == "learnt":
            layers = self.dnn_mlp_layers.mlp_layers
            for i, layer in enumerate(layers):
                if isinstance(layer, Dice):
                    layers[i] = LearntDice(layers[i - 1].num_features)
        self.dnn_predict_layer = nn.Linear(self.mlp_hidden_size[-1], 1)
        self.sigmoid = nn.Sigmoid()
        self.loss = nn.BCEWithLogitsLoss()
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding | nn.Linear):
            nn.init.xavier_normal_(module.weight.data)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias.data)

    def forward(
        self,
        user: Tensor,
        item_seq: Tensor,
        neg_item_seq: Tensor | None,
        item_seq_len: Tensor,
        next_items: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Predict candidates.

        Args:
            user: ``[B]`` ids.
            item_seq: ``[B, T]`` ids of the history's items, filled up at the end.
            neg_item_seq: ``[B, T]`` an item that was not clicked for each of these, or None.
            item_seq_len: ``[B]`` between 0 and ``T``.
            next_items: ``[B]`` ids of the targets.

        Returns:
            Logits ``[B]``, and the auxiliary loss, None without negatives.

        Raises:
            ValueError: a length is out of range.
        """
        histories = Histories.of(item_seq, item_seq_len, neg_item_seq, equally_often=neg_item_seq is not None)
        return self._predict(user, histories, next_items)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Compute the cross-entropy of the labels plus ``alpha`` times the auxiliary loss.

        Args:
            interaction: RecBole's Interaction with user, history and its length, target and label; also
                negative histories, unless ``dien_fresh_negatives`` is set or ``alpha`` is 0.

        Returns:
            A scalar.

        Raises:
            KeyError: there are no negative histories where they are needed.
            ValueError: a length is out of range.
        """
        item_seq, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        negatives = None
        if self.alpha and self.switches.fresh_negatives:
            negatives = self._fresh_negatives(item_seq, lengths)
        elif self.alpha:
            if self.NEG_ITEM_SEQ not in interaction:
                raise KeyError(
                    f"{self.NEG_ITEM_SEQ}: not in the interaction; expected the negative histories of "
                    "RecBole's DIENDataset, or dien_fresh_negatives: true in the configuration"
                )
            negatives = interaction[self.NEG_ITEM_SEQ]
        user, targets = interaction[self.USER_ID], interaction[self.POS_ITEM_ID]
        # Called, as predict does: a forward of a subclass and hooks take effect.
        logits, auxiliary = self(user, item_seq, negatives, lengths, targets)
        loss: Tensor = self.loss(logits, interaction[self.LABEL_FIELD])
        return loss if auxiliary is None else loss + self.alpha * auxiliary

    def predict(self, interaction: Any) -> Tensor:
        """Predict the probability of a click.

        Args:
            interaction: RecBole's Interaction with user, history and its length, and target.

        Returns:
            ``[B]``.

        Raises:
            ValueError: a length is out of range.
        """
        item_seq, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        logits, _ = self(interaction[self.USER_ID], item_seq, None, lengths, interaction[self.POS_ITEM_ID])
        return torch.sigmoid(logits)

    def other_parameter(self) -> dict[str, Any]:
        """Give checkpoints nothing beside the state dict, in which the embedding layer is already."""
        return {}

    def load_other_parameter(self, para: Any) -> None:
        """Take nothing: the embedding layer, which RecBole's checkpoints hold here, is in the state dict."""

    def _fresh_negatives(self, item_seq: Tensor, lengths: Tensor) -> Tensor:
        """Draw a negative for each item ``[B, T]``, the same ones for histories that are alike."""
        histories = Histories.of(item_seq, lengths, equally_often=True).with_negatives(self.n_items)
        assert histories.negatives is not None
        drawn = Packed(histories.negatives, histories.items.offsets).to_padded(item_seq.shape[1])
        return drawn if histories.of_row is None else drawn[histories.of_row]

    def _predict(self, user: Tensor, histories: Histories, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute logits ``[B]`` and the auxiliary loss, None without negatives."""
        ids = [histories.items.values, targets]
        if histories.negatives is not None:
            ids.append(histories.negatives)
        with torch.autocast(user.device.type, enabled=False):  # the operators want one dtype
            # RecBole's layer embeds [rows, items]: all real steps and targets stand in one row.
            embedded = self.embedding_layer(user, torch.cat(ids)[None])
            profile = _side_by_side(embedded, "user")  # [B, D_u]
            sizes = [len(part) for part in ids]
            items, target, *rest = torch.split(_side_by_side(embedded, "item")[0], sizes)
            behaviours = Packed(items, histories.items.offsets)  # values [N, D]
            states = self.interset_extractor.states(behaviours)  # [N, D]
            auxiliary = None
            if rest:
                auxiliary = self.interset_extractor.loss(states, behaviours, rest[0])
            pairs = Pairs.of_histories(behaviours.offsets, histories.of_row)
            final = self.interest_evolution.evolve(
                target, Packed(states, behaviours.offsets), pairs
            )  # [B, D]
            parts = [final, target, profile]
            if self.switches.pooled_history:
                pooled = segment_sum(items, behaviours.lengths)
                if histories.of_row is not None:
                    pooled = pooled.index_select(0, histories.of_row)
                parts += [pooled, pooled * target]
        logits: Tensor = self.dnn_predict_layer(self.dnn_mlp_layers(torch.cat(parts, 1)))
        return logits.squeeze(1), auxiliary


def adopt(config: Any) -> None:
    """Have a configuration name our class where it names one that is no longer found.

    RecBole's Config holds the class that its model's name stood for when it was made. Once ours has taken
    that place (:func:`dien.recbole.use`), RecBole's own can no longer be pickled into a checkpoint.
    """
    held = getattr(config, "model_class", None)
    if not isinstance(held, type) or held.__name__ != "DIEN":
        return
    found = getattr(sys.modules.get(held.__module__), held.__qualname__, None)
    if found is not held and found is DIEN:
        config.model_class = DIEN


class LearntDice(Dice):  # type: ignore[misc]
    """RecBole's Dice, its alpha a parameter that starts at RecBole's 0.

    Args:
        width: number of channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        alpha = self.__dict__.pop("alpha")  # a plain tensor
        self.register_parameter("alpha", nn.Parameter(alpha))

    def forward(self, score: Tensor) -> Tensor:
        """Apply to ``[B, C]``, returning ``[B, C]``."""
        p = torch.sigmoid(score)
        activated: Tensor = score * (p + (1 - p) * self.alpha)
        return activated


def _embedded_fields(features: Any, config: Any, dataset: Any) -> int:
    """Count the fields that RecBole's layer embeds: all but floats that are not ``numerical_features``."""
    floats = FeatureType.FLOAT, FeatureType.FLOAT_SEQ
    return sum(
        dataset.field2type[field] not in floats or field in config["numerical_features"]
        for field in features.interaction
    )


def _side_by_side(embedded: Any, of: str) -> Tensor:
    """Concatenate the embeddings ``[..., fields, width]`` of users or items, tokens before floats."""
    parts = [fields[of] for fields in embedded if fields[of] is not None]
    return torch.cat(parts, -2).flatten(-2)
