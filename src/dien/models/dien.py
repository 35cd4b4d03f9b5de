"""Deep Interest Evolution Network (Zhou et al., AAAI 2019)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import (
    MLP,
    Affine,
    BehaviourAttention,
    BilinearAttention,
    InterestEvolution,
    InterestExtractor,
    MLPAttention,
    set_gate_bias,
)
from dien.models.config import Activation, ModelConfig, Width, Widths
from dien.models.inputs import Embedded, Inputs, pooled_items
from dien.models.model import (
    Losses,
    Model,
    Prediction,
    conversion_head,
    converted,
    cross_entropy,
    with_conversions,
)
from dien.models.registry import register
from dien.models.space import MATCHED, POOLED, SHARED, Choice, LogUniform, Space
from dien.packed import Packed, Pairs

STEPS_A_CANDIDATE = {"sampled": 3, "shown": 1}
"""New behaviours for each candidate from which on the auxiliary loss has its full weight. Where negatives are
sampled, the target asks nearly what the loss asks: few behaviours are then learned by heart by both. On last
reviews of Amazon, on which that weight was found, there are about three (docs/ablations.md)."""


class DIENConfig(ModelConfig):
    """Deep Interest Evolution Network. The defaults are :meth:`paper`'s, but for auxiliary loss and head.

    The paper sums that loss over a history's steps (eq. 6), so that it grows with the histories and, where
    they are long, drowns the target's loss. The default averages it, with a weight that suits short histories
    as well as long ones, and has it once for each behaviour. The paper's head has neither matches nor the
    behaviours themselves. What each is worth: docs/ablations.md.

    Attributes:
        embedding_dropout: as for every model; docs/ablations.md has what it is worth to DIEN.
        hidden_size: width ``n_H`` of both GRUs; null makes it an item's, as in RecBole.
        gru: the evolving layer: ``gru`` (attention pools the states of a second GRU), ``aigru`` (eq. 9),
            ``agru`` (eq. 10), ``augru`` (eq. 11-12), or ``augru-complement``, the AUGRU of the authors' code,
            which takes an ordinary GRU's step where the attention is 0.
        gru_reset: whether the reset gate of both GRUs stands ``after`` the recurrent product, as in the paper
            and torch.nn.GRU, or ``before`` it, as in TensorFlow's GRUCell. There are no fast kernels for
            ``before``: it computes in plain PyTorch.
        gru_gate_bias: initial biases of both GRUs' reset and update gates, 1 in TensorFlow's GRUCell; null
            draws them as torch.nn.GRU does. The update gate is the fraction of the old state that is kept,
            but for ``augru``, where it is that of the new one (eq. 11-12).
        gru_initialisation: initial weights of the evolving AGRU or AUGRU. ``uniform``: as torch.nn.GRU's;
            ``normal``: N(0, 1) and biases 0, as RecBole's, by which most gates start saturated.
        attention: ``bilinear`` (eq. 8) or ``mlp`` on ``[q, k, q - k, q * k]``.
        attention_hidden: widths of the hidden layers of the MLP attention; unused by ``bilinear``.
        attention_scale: whether the MLP attention's logits are divided by ``sqrt(hidden_size)``, as RecBole
            does and neither paper nor authors do; unused by ``bilinear``.
        attention_query: what the attention compares with the states: the target (``plain``; projected where
            the MLP attention needs another width), or a linear layer and a PReLU of it (``prelu``), as in the
            authors' code.
        auxiliary_weight: alpha of eq. (7); 0 trains without the auxiliary loss.
        auxiliary_hidden: hidden widths of the auxiliary network.
        auxiliary_activation: its activation. The paper names none; with a sigmoid it hardly learns on small
            data (its loss stays at 2 ln 2), with PReLU it does. With ``none``, as in RecBole, the network is
            linear, whatever its depth.
        auxiliary_affine: whether a learned scale and shift of its input stand before it, as in the authors'
            code, whose batch normalisation is never put in training mode.
        auxiliary_average: ``pairs`` averages over every click and non-click, as RecBole; ``histories`` sums
            steps and both terms and averages over histories, as eq. (6); ``positions`` averages that sum over
            the ``R * (T - 1)`` places of histories filled up to the batch's longest, as the authors' code.
        auxiliary_steps: the steps that have the loss. ``all``: those of each history that is read. ``new``:
            those that no earlier training impression of the user has read, so that each behaviour has the
            loss once an epoch; and where negatives were sampled, only those whose next behaviour is no click
            of training, which asks the same. Where a batch has fewer than three of them for each candidate
            (one, where negatives were shown and not sampled), the mean over ``pairs`` weighs less in
            proportion, and is recorded so. With ``filter_by``, all are new.
        auxiliary_score: whether what the auxiliary network says of the target joins the head, too: how well
            it goes with the newest interest state.
        target_weight: weight of the target's cross-entropy in eq. (7). In the authors' code it is a half:
            they average over both classes of the softmax.
        pooled_history: whether the sum of the history and its product with the target join the head, as in
            the authors' code; the paper's head has the final state, the target, user and context only.
        behaviour_attention: whether DIN's interest joins the head, too: the behaviours themselves, summed by
            an MLP attention to the target. Neither the paper nor the authors have it.
        behaviour_attention_hidden: widths of that attention's hidden layers, fewer than DIN's: it stands
            beside the GRUs, and its first layer is most of its cost.
        attended_behaviours: whether the behaviours join the head summed by the attention scores of their
            states, without an attention of their own.
        last_behaviour: whether the newest behaviour joins the head, too.
        head_affine: whether a learned scale and shift of the head's input stand before it, as in the authors'
            code.
        head_hidden: widths of the head's hidden layers.
        head_activation: activation of the head. RecBole's Dice, whose alpha is always 0, is ``silu``.
        head_batch_norm: whether a batch normalisation stands before each activation of the head, as in
            RecBole; Dice then takes what it gives and does not standardise again.
        head_dropout: fraction of each head layer's inputs that training drops.
    """

    name: Literal["dien"] = "dien"
    embedding_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    matches: bool = True
    hidden_size: Width | None = 36
    gru: Literal["gru", "aigru", "agru", "augru", "augru-complement"] = "augru"
    gru_reset: Literal["after", "before"] = "after"
    gru_gate_bias: float | None = None
    gru_initialisation: Literal["uniform", "normal"] = "uniform"
    attention: Literal["bilinear", "mlp"] = "bilinear"
    attention_hidden: Widths = (80, 40)
    attention_scale: bool = False
    attention_query: Literal["plain", "prelu"] = "plain"
    auxiliary_weight: Annotated[float, Field(ge=0)] = 3.0
    auxiliary_hidden: Widths = (100, 50)
    auxiliary_activation: Activation | Literal["none"] = "prelu"
    auxiliary_affine: bool = False
    auxiliary_average: Literal["pairs", "histories", "positions"] = "pairs"
    auxiliary_steps: Literal["all", "new"] = "new"
    auxiliary_score: bool = True
    target_weight: PositiveFloat = 1.0
    pooled_history: bool = False
    behaviour_attention: bool = True
    behaviour_attention_hidden: Widths = (20,)
    attended_behaviours: bool = False
    last_behaviour: bool = False
    head_affine: bool = False
    head_batch_norm: bool = False
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def needs_negatives(self) -> bool:
        """Whether there is an auxiliary loss."""
        return self.auxiliary_weight > 0

    @property
    def scores_target(self) -> bool:
        """Whether the auxiliary network's score of the target joins the head."""
        return self.auxiliary_score and self.auxiliary_weight > 0

    @property
    def supervised_steps(self) -> Literal["all", "new"]:
        """Steps that have the auxiliary loss."""
        return self.auxiliary_steps

    def without_effect(self) -> dict[str, str]:
        """Name the keys of another attention or GRU, and of the auxiliary loss where it has no weight."""
        idle = super().without_effect()
        if self.attention == "bilinear":
            idle["attention_scale"] = "attention"
            idle["attention_hidden"] = "attention"
        if not self.behaviour_attention:
            idle["behaviour_attention_hidden"] = "behaviour_attention"
        if self.gru in ("gru", "aigru"):
            idle["gru_initialisation"] = "gru"
        if not self.auxiliary_weight:
            keys = (key for key in type(self).model_fields if key.startswith("auxiliary_"))
            idle |= {key: "auxiliary_weight" for key in keys if key != "auxiliary_weight"}
        return idle

    @classmethod
    def paper(cls) -> DIENConfig:
        """Follow the paper's equations; what they leave open is set to what trains best."""
        return cls(
            embedding_dropout=0.0,
            matches=False,
            auxiliary_weight=1.0,
            auxiliary_average="histories",
            auxiliary_steps="all",
            auxiliary_score=False,
            behaviour_attention=False,
        )

    @classmethod
    def authors(cls) -> DIENConfig:
        """Follow the TensorFlow code of the paper's authors.

        It goes as far as this. Dice standardises by running averages in testing, where theirs takes the
        statistics of the batch at hand: a score must not depend on the other rows of its batch. Histories
        are cut in testing too, and their sum holds no padding, of whose embedding theirs adds one for every
        place a history is shorter than its batch's longest. A softmax over two outputs is a sigmoid of their
        difference, of which one is kept. Initial weights but for the gates' biases are drawn as everywhere
        here, not as TensorFlow's. How it is trained is not the model's: theirs is Adam at 1e-3, halved each
        epoch, with the negatives of the preparation, which are these keys of :class:`TrainConfig`::

            --set training.learning_rate=0.001 --set training.learning_rate_decay=0.5
            --set training.epochs=3 --set training.batch_size=128 --set training.negatives=stored
            --set training.id_dropout=0 --set training.weight_average=null

        The epoch is chosen by the validation AUC, where theirs chooses among every 100 steps by the test AUC.
        """
        return cls(
            embedding_dropout=0.0,
            max_history=100,
            matches=False,
            gru="augru-complement",
            gru_reset="before",
            gru_gate_bias=1.0,
            attention="mlp",
            attention_query="prelu",
            auxiliary_weight=1.0,
            auxiliary_activation="sigmoid",
            auxiliary_affine=True,
            auxiliary_average="positions",
            auxiliary_steps="all",
            auxiliary_score=False,
            behaviour_attention=False,
            target_weight=0.5,
            pooled_history=True,
            head_affine=True,
        )

    @classmethod
    def recbole(cls) -> DIENConfig:
        """Follow RecBole 1.2.1 with its defaults.

        Its one ``mlp_hidden_size`` is ``attention_hidden``, ``auxiliary_hidden`` and ``head_hidden`` here.
        It goes as far as this. Embeddings and linear layers start as everywhere here, not as Xavier's normal
        distribution has it. Several values of a feature are pooled as the data's schema says, not by one
        ``pooling_mode``. How it is trained is not the model's: that RecBole draws the auxiliary loss's
        negatives once is ``--set training.auxiliary_negatives=fixed``, and that it hides no ids and averages
        no weights ``--set training.id_dropout=0 --set training.weight_average=null``. RecBole with its own
        data and training, to the same numbers, is :mod:`dien.recbole`.
        """
        widths = (256, 256, 256)
        return cls(
            embedding_size=10,
            embedding_dropout=0.0,
            matches=False,
            hidden_size=None,
            gru_initialisation="normal",
            attention="mlp",
            attention_hidden=widths,
            attention_scale=True,
            auxiliary_weight=1.0,
            auxiliary_hidden=widths,
            auxiliary_activation="none",
            auxiliary_average="pairs",
            auxiliary_steps="all",
            auxiliary_score=False,
            behaviour_attention=False,
            head_hidden=widths,
            head_activation="silu",
            head_batch_norm=True,
        )


class DIEN(Model):
    """DIEN over packed, shared histories.

    The extractor runs once a history; attention and the evolving GRU run for each candidate over the shared
    states. :func:`dien.fit` trains it, or a loop of your own with :class:`dien.RowAdam`, as in
    docs/from-python.md.

    Args:
        config: sizes and variants.
        schema: the data's features.
        inputs: embeddings of another model to read in place of its own; it then holds none and is called by
            :meth:`predict`.

    Attributes:
        hidden_size: ``H``.
    """

    config: DIENConfig
    predicts_conversions = True

    def __init__(self, config: DIENConfig, schema: Schema, inputs: Inputs | None = None) -> None:
        super().__init__()
        self.config = config
        if inputs is None:
            self.inputs = inputs = Inputs.of(config, schema)
        D = inputs.item_width
        self.hidden_size = H = config.hidden_size or D
        self.extractor = InterestExtractor(
            inputs.history_width,
            H,
            D,
            config.auxiliary_hidden,
            activation=config.auxiliary_activation,
            average=config.auxiliary_average,
            affine=config.auxiliary_affine,
            reset=config.gru_reset,
            auxiliary=config.auxiliary_weight > 0,
        )
        self.query: nn.Module = nn.Identity()
        if config.attention_query == "prelu":
            self.query = nn.Sequential(nn.Linear(D, H), nn.PReLU(H, init=0.1))  # TensorFlow's start
        elif config.attention == "mlp" and D != H:
            # The MLP attention subtracts and multiplies target and state: it wants them equally wide.
            self.query = nn.Linear(D, H)
        attention: BilinearAttention | MLPAttention
        if config.attention == "mlp":
            attention = MLPAttention(H, config.attention_hidden, scale=config.attention_scale)
        else:
            attention = BilinearAttention(H, D if config.attention_query == "plain" else H)
        self.evolution = InterestEvolution(
            H, H, attention, config.gru, initialisation=config.gru_initialisation, reset=config.gru_reset
        )
        if config.gru_gate_bias is not None:
            for gru in (self.extractor.gru, self.evolution.dynamic_rnn):
                set_gate_bias(gru, config.gru_gate_bias)
        E = inputs.history_width
        self.behaviours = (
            BehaviourAttention(E, D, config.behaviour_attention_hidden)
            if config.behaviour_attention
            else None
        )
        widths = H + D + inputs.profile_width + 2 * D * config.pooled_history
        widths += E * (config.attended_behaviours + config.behaviour_attention + config.last_behaviour)
        widths += config.scores_target
        self.affine = Affine(widths) if config.head_affine else nn.Identity()
        self.head = _head_layers(config, widths)
        self.logit = nn.Linear(config.head_hidden[-1], 1)
        self.conversion = conversion_head(schema, config, widths, _head_layers)

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch; the auxiliary loss only where the batch has negatives and the loss a weight.

        Returns:
            Logits ``[B]`` and the auxiliary loss or None.

        Raises:
            ValueError: the model is in training mode, and a batch with labels lacks the negatives that the
                auxiliary loss needs.
        """
        return self.predict(self.inputs(batch, negatives=self.config.auxiliary_weight > 0), batch)

    def predict(self, embedded: Embedded, batch: Batch) -> Prediction:
        """Predict a batch from its embeddings; the auxiliary loss only where they have negatives.

        Raises:
            ValueError: as :meth:`forward`.
        """
        if embedded.negatives is None and self.config.auxiliary_weight and batch.label is not None:
            self._expect_no_training()
        states = self.extractor.states(Packed(embedded.history, batch.offsets))  # [N, H]
        pairs = Pairs.of_histories(batch.offsets, batch.history_of)
        beside = (embedded.history,) if self.config.attended_behaviours else ()
        final = self.evolution.evolve(
            self.query(embedded.target), Packed(states, batch.offsets), pairs, *beside
        )  # [B, H], with the behaviours [B, H + E]
        parts = [final, embedded.target, embedded.profile]
        if self.config.pooled_history:
            parts += pooled_items(embedded, batch)
        if self.behaviours is not None:
            parts.append(self.behaviours(embedded.history, embedded.target, pairs))
        if self.config.last_behaviour:
            newest = Packed(embedded.history, batch.offsets).newest()  # [R, E]
            parts.append(newest.index_select(0, batch.history_of))
        if self.config.scores_target:
            extracted = Packed(states, batch.offsets)
            parts.append(self.extractor.score(extracted, embedded.target, batch.history_of))
        x = self.affine(torch.cat(parts, 1))
        logits = self.logit(self.head(x)).squeeze(1)  # [B]
        loss = None
        if embedded.negatives is not None:
            items = Packed(embedded.items, batch.offsets)  # values [N, D]
            if self.config.auxiliary_steps == "new":
                enough = len(batch) * STEPS_A_CANDIDATE["shown" if batch.shown else "sampled"]
                loss = self.extractor.loss(states, items, embedded.negatives, batch.supervised, enough)
            else:
                loss = self.extractor.loss(states, items, embedded.negatives)
        return Prediction(logits, loss).with_conversion(converted(self.conversion, x))

    def _expect_no_training(self) -> None:
        """Refuse to train without the auxiliary loss that the configuration asks for."""
        if self.training and torch.is_grad_enabled():
            raise ValueError(
                f"{type(self).__name__}: the batch has no negatives, of which the auxiliary loss "
                f"(auxiliary_weight = {self.config.auxiliary_weight:g}) is made; to train, take batches with "
                "them (Batches(..., auxiliary=True), Batch(negatives=...)), or a model with "
                "auxiliary_weight=0; to predict, call eval() on the model"
            )

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
        """Compute the loss of eq. (7); the auxiliary loss is a part of it, that of conversions is added."""
        prediction = self(batch)
        auxiliary = prediction.auxiliary_loss
        parts = {} if auxiliary is None else {"auxiliary_loss": auxiliary}
        return with_conversions(Losses(self.loss(prediction, batch), parts), prediction, batch, self.config)

    def record(self, sums: dict[str, float]) -> dict[str, float]:
        """Record the target's cross-entropy too: what the auxiliary loss leaves of the total."""
        if "auxiliary_loss" not in sums:
            return sums
        clicks = sums["loss"] - self.config.conversion_weight * sums.get("conversion_loss", 0.0)
        target = self.target(clicks, sums["auxiliary_loss"])
        return {"loss": sums["loss"], "target_loss": target, **sums}

    def target(self, loss: float, auxiliary: float) -> float:
        """Solve eq. (7) for the target's cross-entropy."""
        return (loss - self.config.auxiliary_weight * auxiliary) / self.config.target_weight


def _head_layers(config: DIENConfig, width: int) -> MLP:
    return MLP(
        [width, *config.head_hidden],
        config.head_activation,
        batch_norm=config.head_batch_norm,
        dropout=config.head_dropout,
    )


_GRU: Space = {
    **SHARED,
    **MATCHED,
    **POOLED,
    "model.hidden_size": Choice((18, 24, 36, 54, 72)),
    "model.attention": Choice(("bilinear", "mlp")),
}
_AUXILIARY: Space = {"model.auxiliary_weight": LogUniform(0.05, 10.0)}
_RECBOLE: Space = {  # the shared sizes and RecBole's own
    **SHARED,
    "model.embedding_size": Choice((8, 10, 12, 18, 24, 36, 48, 64)),
    "model.head_hidden": Choice(((80, 40), (200, 80), (256, 128, 64), (256, 256, 256))),
    **_AUXILIARY,
}

_PAPER: dict[str, Any] = {"auxiliary_weight": 0, "behaviour_attention": False, "embedding_dropout": 0.0}
# The paper's ablations, which are DIEN without the auxiliary loss: attention over two GRUs, then each of the
# ways in which attention enters the second. What a model is, is not searched.
register("gru-attention", DIEN, DIENConfig(gru="gru", **_PAPER), _GRU)
register("gru+aigru", DIEN, DIENConfig(gru="aigru", **_PAPER), _GRU)
register("gru+agru", DIEN, DIENConfig(gru="agru", **_PAPER), _GRU)
register("gru+augru", DIEN, DIENConfig(gru="augru", **_PAPER), _GRU)
register("dien", DIEN, DIENConfig(), {**_GRU, **_AUXILIARY})
# After the colon stands whose DIEN is meant.
register("dien:paper", DIEN, DIENConfig.paper())
register(
    "dien:authors",
    DIEN,
    DIENConfig.authors(),
    {**SHARED, "model.hidden_size": _GRU["model.hidden_size"], **_AUXILIARY},
)
register("dien:recbole", DIEN, DIENConfig.recbole(), _RECBOLE)
