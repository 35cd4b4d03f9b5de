"""How the log odds of a model become probabilities: two numbers for each of its heads, kept with the weights.

``dien.training.platt`` fits them on the validation split, after the weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

KEY = "calibration"
"""Of the text beside the tensors in a file of weights, which its checksum covers."""

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Logits = TypeVar("Logits", Tensor, NDArray[np.float64])


@dataclass(frozen=True)
class Platt:
    """Platt scaling (Platt, 1999): ``logit' = scale * logit + shift``. It changes no order of scores.

    Attributes:
        scale: finite and above 0; below 1 where the model is too sure.
        shift: finite.

    Raises:
        ValueError: a number is out of its range.
    """

    scale: float
    shift: float

    def __post_init__(self) -> None:
        if not (0 < self.scale < math.inf):
            raise ValueError(f"scale is {self.scale}, expected a finite number above 0")
        if not math.isfinite(self.shift):
            raise ValueError(f"shift is {self.shift}, expected a finite number")

    def __call__(self, logits: Logits) -> Logits:
        """Give the log odds ``[B]`` that hold, from those of the model; float64 keeps scores apart."""
        return logits * self.scale + self.shift


AS_IT_IS = Platt(1.0, 0.0)
"""Leaves log odds as they are."""


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model.

    Attributes:
        clicks: of the log odds of a click.
        click_rate: the share of clicks, by weight, among the rows it was fitted on; the mean probability of
            a click over these rows is the same.
        conversions: of the log odds that a click leads to a conversion; None where the model does not predict
            it, or too few clicks of both kinds are known.
    """

    clicks: Platt
    click_rate: Share
    conversions: Platt | None = None

    def for_base_rate(self, base_rate: float) -> Calibration:
        """Move the log odds of a click to where another share of all that is shown is clicked.

        Rows that hold all clicks and a share ``w`` of all else, drawn at random or sampled anew, have click
        rate ``click_rate``. The odds of a click among all that is shown are ``w`` times those among the rows:
        ``p' = p / (p + (1 - p) / w)``, with ``log w = logit(base_rate) - logit(click_rate)``.

        Args:
            base_rate: the share of clicks among all that is shown, above 0 and below 1.

        Raises:
            ValueError: it is out of its range.
        """
        if not 0 < base_rate < 1:
            raise ValueError(f"base_rate is {base_rate!r}, expected a share of clicks above 0 and below 1")
        moved = self.clicks.shift + _log_odds(base_rate) - _log_odds(self.click_rate)
        return Calibration(Platt(self.clicks.scale, moved), base_rate, self.conversions)


def to_texts(calibration: Calibration | None) -> dict[str, str]:
    """Put a calibration as a text to keep with weights; none where there is none."""
    return {} if calibration is None else {KEY: json.dumps(asdict(calibration))}


def from_texts(texts: Mapping[str, str]) -> Calibration | None:
    """Read what :func:`to_texts` has written; None where the weights have none.

    Raises:
        ValueError: it is no calibration; the message names the number.
    """
    if KEY not in texts:
        return None
    return msgspec.convert(json.loads(texts[KEY]), Calibration)


def _log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)
