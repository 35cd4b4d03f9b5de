"""What every model is: a module that predicts a batch, and says what training minimises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.models.config import ModelConfig


class Prediction(NamedTuple):
    """Scores of a batch.

    Attributes:
        logits: ``[B]`` log odds of a click.
        auxiliary_loss: scalar (eq. 6), None where the model has none or the batch no negatives.
    """

    logits: Tensor
    auxiliary_loss: Tensor | None = None


class Losses(NamedTuple):
    """Losses of a batch.

    Attributes:
        total: scalar, what training minimises.
        parts: scalars that training sums up and records beside the total, by their names in
            ``metrics.jsonl``; the same names for every batch.
    """

    total: Tensor
    parts: dict[str, Tensor]


class Model(nn.Module):
    """A click model. A subclass writes ``__init__(config, schema)`` and :meth:`forward`.

    The gradients of its embedding tables are sparse. :class:`dien.RowAdam` takes them as they are;
    ``torch.optim.Adam``, weight decay and ``clip_grad_norm_`` of torch do not: for these set
    ``model.sparse_gradients = False``, or the key of this name in its configuration.

    Attributes:
        config: sizes and variants, a class of the model's own.
        training_only: name of the submodule that training alone needs, as a teacher; its weights are kept
            in a file of their own (``NAME.safetensors`` of the run folder). Empty where there is none.
    """

    config: ModelConfig
    training_only: ClassVar[str] = ""

    @property
    def sparse_gradients(self) -> bool:
        """Whether the gradients of every embedding table are sparse; can be set."""
        return all(table.sparse for table in self._tables())

    @sparse_gradients.setter
    def sparse_gradients(self, sparse: bool) -> None:
        for table in self._tables():
            table.sparse = sparse

    def _tables(self) -> Iterator[nn.Embedding]:
        return (part for part in self.modules() if isinstance(part, nn.Embedding))

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch: logits ``[B]``."""
        raise NotImplementedError(f"{type(self).__name__}: a model defines forward(batch)")

    def losses(self, batch: Batch) -> Losses:
        """Compute what training minimises: the cross-entropy of the labels, unless a model says otherwise."""
        return Losses(cross_entropy(self(batch), batch), {})

    def record(self, sums: dict[str, float]) -> dict[str, float]:
        """Say what training records of its steps.

        Args:
            sums: over the steps, ``loss`` the total, and each of :attr:`Losses.parts` by its name.

        Returns:
            Sums, in the order in which they are shown; by default the same.
        """
        return sums


def cross_entropy(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute the mean cross-entropy of a batch's labels, ``L_target`` (eq. 7).

    Where rows have weights, each row's cross-entropy is multiplied by its weight over the mean weight of the
    training rows: ``sum(w * l) / (B * mean(w))``. Weights that are all alike change nothing.

    Raises:
        ValueError: the batch has no labels.
    """
    if batch.label is None:
        raise ValueError("losses: the batch has no labels; batches of a split have them, requests have none")
    return F.binary_cross_entropy_with_logits(prediction.logits, batch.label, batch.weight)
