"""Rocket Launching (Zhou et al., AAAI 2018): a light DIEN that is trained beside a booster."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from dien.config import RocketConfig
from dien.data.batch import Batch
from dien.data.schema import Schema
from dien.models.dien import DIEN
from dien.models.prediction import Prediction

BOOSTER = "booster."
"""What the names of the booster's weights begin with: what scoring does without."""


class Losses(NamedTuple):
    """What training minimises the sum of.

    Attributes:
        light: the light net's loss (DIEN's eq. 7).
        booster: the booster's.
        hint: mean squared difference of the logits, of which only the light net's are to move.
        light_auxiliary: the light net's auxiliary loss, a part of ``light``; None where there is none.
    """

    light: Tensor
    booster: Tensor
    hint: Tensor
    light_auxiliary: Tensor | None

    def total(self, hint_weight: float) -> Tensor:
        """Add up the losses, ``light + booster + lambda hint``."""
        return self.light + self.booster + hint_weight * self.hint


class Launch(NamedTuple):
    """What both nets say of a batch."""

    light: Prediction
    booster: Prediction

    def losses(self, label: Tensor, auxiliary_weight: float, target_weight: float = 1.0) -> Losses:
        """Compute the losses.

        Args:
            label: ``[B]``, 1 clicked and 0 not.
            auxiliary_weight: ``alpha`` of eq. (7), for both nets.
            target_weight: what the cross-entropies are multiplied with.
        """
        light, booster = (net.loss(label, auxiliary_weight, target_weight) for net in self)
        # The gradient block: the booster learns from labels alone, and is not held back by the light net.
        hint = (self.light.logits - self.booster.logits.detach()).square().mean()
        return Losses(light, booster, hint, self.light.auxiliary_loss)


class Rocket(DIEN):
    """A light DIEN with a booster beside it.

    It is the light net: called with a batch, it runs nothing of the booster, and its weights without those of
    the booster are a DIEN's of ``config.light()``. What the nets share are the embeddings, the layers below
    the first GRU: they are most of the weights, take next to no time, and learn from the labels of both nets,
    both auxiliary losses, and the hint through the light net. Each net has its own extractor, as those are
    what makes the light one light; and so each has an auxiliary network and loss, because the loss is there
    to make the states of an extractor tell of interests.

    Args:
        config: sizes and variants.
        schema: the data's features.
    """

    config: RocketConfig

    def __init__(self, config: RocketConfig, schema: Schema) -> None:
        super().__init__(config, schema)
        self.booster = DIEN(config.booster(), schema, self.inputs)

    def launch(self, batch: Batch) -> Launch:
        """Predict a batch by both nets, from the same embeddings."""
        embedded = self.inputs(batch, negatives=self.config.auxiliary_weight > 0)
        return Launch(self.predict(embedded, batch), self.booster.predict(embedded, batch))
