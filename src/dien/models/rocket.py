"""Rocket Launching (Zhou et al., AAAI 2018): a light DIEN that is trained beside a booster.

This is distillation with both nets trained at once: the light net is the student, the booster its teacher.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models.config import Width, Widths
from dien.models.dien import DIEN, DIENConfig
from dien.models.model import Losses, Prediction
from dien.models.registry import register


class RocketConfig(DIENConfig):
    """Rocket Launching (Zhou et al., AAAI 2018): a light DIEN that learns from a booster trained beside it.

    The keys are those of the light net, which alone scores, and hold for the booster too, but for its sizes,
    which have keys of their own. Both nets read the same embeddings, have an auxiliary loss each, and differ
    from DIEN in nothing else.

    Attributes:
        hidden_size: width of the light net's GRUs; null makes it an item's.
        head_hidden: widths of the hidden layers of the light net's head.
        booster_hidden_size: width of the booster's GRUs, at least that of the light net's.
        booster_head_hidden: widths of the hidden layers of the booster's head.
        hint_weight: lambda, the weight of the mean squared difference of both nets' logits; with 0 the
            nets share the embeddings alone. Of 0, 0.3, 1, 3 and 10 the default had the best validation AUC on
            Amazon's Beauty (docs/models.md).
    """

    name: Literal["rocket"] = "rocket"  # type: ignore[assignment]
    hidden_size: Width | None = 12
    head_hidden: Widths = (80, 40)
    booster_hidden_size: Annotated[Width, Field(validate_default=True)] = 36
    booster_head_hidden: Widths = (200, 80)
    hint_weight: Annotated[float, Field(ge=0)] = 3.0

    @field_validator("booster_hidden_size")
    @classmethod
    def _no_smaller_than_the_light_net(cls, value: int, others: ValidationInfo) -> int:
        light = others.data.get("hidden_size")
        if light is not None and value < light:
            raise ValueError(f"the booster's width must be at least hidden_size, the light net's {light}")
        return value

    def light(self) -> DIENConfig:
        """Configure the light net, as a DIEN alone."""
        return DIENConfig(**{key: getattr(self, key) for key in DIENConfig.model_fields if key != "name"})

    def serving(self) -> DIENConfig:
        """Configure what scores: the light net."""
        return self.light()

    def booster(self) -> DIENConfig:
        """Configure the booster, as a DIEN alone."""
        sizes = {"hidden_size": self.booster_hidden_size, "head_hidden": self.booster_head_hidden}
        return self.light().model_copy(update=sizes)


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
    to make the states of an extractor represent interests.

    Args:
        config: sizes and variants.
        schema: the data's features.
    """

    config: RocketConfig
    training_only = "booster"
    predicts_conversions = False

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


register("rocket", Rocket, RocketConfig())
