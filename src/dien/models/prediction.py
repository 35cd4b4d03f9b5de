"""What every model answers with."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Prediction(NamedTuple):
    """Scores of a batch.

    Attributes:
        logits: ``[B]`` log odds of a click.
        auxiliary_loss: scalar (eq. 6), None where the model has none or the batch no negatives.
    """

    logits: Tensor
    auxiliary_loss: Tensor | None = None
