"""Rocket Launching (Zhou et al., AAAI 2018): a light DIEN that is trained beside a booster."""

from __future__ import annotations

from typing import NamedTuple

from dien.config import RocketConfig
from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.dien import DIEN
from dien.models.model import Losses, Prediction


class Launch(NamedTuple):
    """What both nets predict for a batch."""

    light: Prediction
    booster: Prediction


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
    training_only = "booster"

    def __init__(self, config: RocketConfig, schema: Schema) -> None:
        super().__init__(config, schema)
        self.booster = DIEN(config.booster(), schema, self.inputs)

    def launch(self, batch: Batch) -> Launch:
        """Predict a batch by both nets, from the same embeddings."""
        embedded = self.inputs(batch, negatives=self.config.auxiliary_weight > 0)
        return Launch(self.predict(embedded, batch), self.booster.predict(embedded, batch))

    def losses(self, batch: Batch) -> Losses:
        """Add up the losses, ``light + booster + lambda hint``.

        Light and booster each have DIEN's loss (eq. 7). The hint is the mean squared difference of their
        logits, of which only the light net's are to move. The auxiliary loss among the parts is the light
        net's.
        """
        launch = self.launch(batch)
        light, booster = self.loss(launch.light, batch), self.booster.loss(launch.booster, batch)
        # The gradient block: the booster learns from labels alone, and is not held back by the light net.
        hint = (launch.light.logits - launch.booster.logits.detach()).square().mean()
        auxiliary = launch.light.auxiliary_loss
        parts = {} if auxiliary is None else {"auxiliary_loss": auxiliary}
        total = light + booster + self.config.hint_weight * hint
        return Losses(total, {**parts, "booster_loss": booster, "hint_loss": hint})

    def record(self, sums: dict[str, float]) -> dict[str, float]:
        """Record the light net's cross-entropy too: what the other parts leave of the total."""
        booster, hint = sums["booster_loss"], sums["hint_loss"]
        light = sums["loss"] - (booster + self.config.hint_weight * hint)
        target = self.target(light, sums.get("auxiliary_loss", 0.0))
        return {"loss": sums["loss"], "target_loss": target} | sums
