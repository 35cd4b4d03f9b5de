"""The arguments of the operator ``adam_rows``."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Adam(NamedTuple):
    """A step for some rows of a table; shapes and meaning as in :func:`dien.ops.adam_rows`.

    Attributes:
        table: ``[V, W]``, written.
        rows: ``[n]``.
        drows: ``[n, W]``.
        mean: ``[V, W]``, written.
        square: ``[V, W]``, written.
        touched: ``[V]``, written.
        step: number of this step.
        lr: step size.
        beta1: decay rate of ``mean``.
        beta2: decay rate of ``square``.
        eps: added to the denominator.
    """

    table: Tensor
    rows: Tensor
    drows: Tensor
    mean: Tensor
    square: Tensor
    touched: Tensor
    step: int
    lr: float
    beta1: float
    beta2: float
    eps: float
