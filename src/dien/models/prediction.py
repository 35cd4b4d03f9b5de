"""What every model answers with."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Prediction(NamedTuple):
    """Scores of a batch.

    Attributes:
        logits: ``[B]`` log odds of a click.
        auxiliary_loss: scalar (eq. 6), None where the model has none or the batch no negatives.
    """

    logits: Tensor
    auxiliary_loss: Tensor | None = None

    def loss(self, label: Tensor, auxiliary_weight: float, target_weight: float = 1.0) -> Tensor:
        """Compute the loss of training, ``L = L_target + alpha L_aux`` (eq. 7).

        Args:
            label: ``[B]``, 1 clicked and 0 not.
            auxiliary_weight: ``alpha``.
            target_weight: what ``L_target`` is multiplied with, 1 in the paper.

        Returns:
            A scalar; the target's part alone where there is no auxiliary loss.
        """
        loss: Tensor = target_weight * F.binary_cross_entropy_with_logits(self.logits, label)
        if self.auxiliary_loss is not None:
            loss = loss + auxiliary_weight * self.auxiliary_loss
        return loss
