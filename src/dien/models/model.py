"""What every model is: a module that predicts a batch, and says what training minimises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.calibration import Calibration
from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import MLP
from dien.models.config import ModelConfig

C = TypeVar("C", bound=ModelConfig)


class Prediction(NamedTuple):
    """Scores of a batch.

    Attributes:
        logits: ``[B]`` log odds of a click.
        auxiliary_loss: scalar (eq. 6), None where the model has none or the batch no negatives.
    """

    logits: Tensor
    auxiliary_loss: Tensor | None = None

    @property
    def conversion(self) -> Tensor | None:
        """Log odds ``[B]`` that a click leads to what it is for; None where the model has no such head."""
        return None

    def with_conversion(self, conversion: Tensor | None) -> Prediction:
        """Add what a second head predicts ``[B]``; None adds nothing."""
        return self if conversion is None else _OfBoth(self, conversion)


class _OfBoth(Prediction):
    """A prediction that has conversions: the same two fields, and one beside them."""

    def __new__(cls, clicks: Prediction, conversion: Tensor) -> _OfBoth:
        made = super().__new__(cls, *clicks)
        made._conversion = conversion
        return made

    _conversion: Tensor

    @property
    def conversion(self) -> Tensor | None:
        return self._conversion


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
        predicts_conversions: whether it has a second head where the data has conversions
            (:func:`conversion_head`).
        calibration: what makes its logits log odds that hold, where a run has fitted it; None elsewhere. The
            logits of :meth:`forward` are without it.
    """

    config: ModelConfig
    training_only: ClassVar[str] = ""
    predicts_conversions: ClassVar[bool] = False
    calibration: Calibration | None = None

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
        """Compute what training minimises: the cross-entropy of the labels, unless a model says otherwise.

        Where the model has a second head, the loss of conversions is added, and is one of the parts.
        """
        prediction = self(batch)
        return with_conversions(Losses(cross_entropy(prediction, batch), {}), prediction, batch, self.config)

    def record(self, sums: dict[str, float]) -> dict[str, float]:
        """Say what training records of its steps.

        Args:
            sums: over the steps, ``loss`` the total, and each of :attr:`Losses.parts` by its name.

        Returns:
            Sums, in the order in which they are shown; by default the same.
        """
        return sums


def head_layers(config: ModelConfig, width: int) -> MLP:
    """Make the hidden layers of a head that reads ``[B, width]``."""
    return MLP([width, *config.head_hidden], config.head_activation)


def conversion_head(
    schema: Schema, config: C, width: int, hidden: Callable[[C, int], nn.Module] = head_layers
) -> nn.Module | None:
    """Make the second head: as the first, with weights of its own.

    Args:
        schema: of the data.
        config: of the model.
        width: of what the first head reads.
        hidden: makes the hidden layers of the first head, from ``width`` to ``config.head_hidden[-1]``.

    Returns:
        None where the data has no conversions, or ``conversion_weight`` is 0.
    """
    if not config.wants_conversions(schema):
        return None
    return nn.Sequential(hidden(config, width), nn.Linear(config.head_hidden[-1], 1))


def converted(head: nn.Module | None, x: Tensor) -> Tensor | None:
    """Call the second head, where there is one, on what the first one reads: ``[B]``."""
    return None if head is None else head(x).squeeze(1)


def with_conversions(losses: Losses, prediction: Prediction, batch: Batch, config: ModelConfig) -> Losses:
    """Add the loss of conversions to those of a batch, where the model predicts them.

    It is taken over all rows, as in ESMM (Ma et al., SIGIR 2018): the cross-entropy of click and conversion
    together, whose probability is the product of both. So what the second head predicts, the conversion of a
    click, is learned from rows that were not clicked, too, and not from clicks alone, which are other rows
    than those it is asked for. A row whose conversion is not known counts 0.

    Raises:
        ValueError: the batch says nothing of conversions.
    """
    if prediction.conversion is None:
        return losses
    if batch.conversion is None:
        raise ValueError("losses: the batch has no conversions, and the model predicts them; give it some")
    together, not_together = log_probabilities(prediction.logits, prediction.conversion)  # [B]
    known = ~batch.conversion.isnan()
    each = -torch.where(batch.conversion == 1, together, not_together)
    each = torch.where(known, each, 0.0)
    loss = (each if batch.weight is None else each * batch.weight).mean()
    return Losses(losses.total + config.conversion_weight * loss, {**losses.parts, "conversion_loss": loss})


def log_probabilities(click: Tensor, conversion: Tensor) -> tuple[Tensor, Tensor]:
    """Give the logarithm of the probability that both happen, and that not both do, from their log odds."""
    together = F.logsigmoid(click) + F.logsigmoid(conversion)
    return together, torch.logaddexp(F.logsigmoid(-click), F.logsigmoid(click) + F.logsigmoid(-conversion))


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
