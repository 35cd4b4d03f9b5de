"""Raw values of features as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

_DIGITS = 6
"""More are not the log's but those of numbers as datasets store them, in 32 bits and scaled."""


def raw_text(value: object) -> str:
    """Write a raw value as people would: a number without an exponent, and the values of a list side by side.

    Args:
        value: of a feature. A number has six digits, or more where so many stand before the point.
    """
    if isinstance(value, list):
        return ", ".join(map(raw_text, value))
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    digits = max(_DIGITS, len(str(abs(int(value)))))
    return np.format_float_positional(value, precision=digits, fractional=False, unique=True, trim="-")


def features_text(raw: Mapping[str, Sequence[object]], k: int) -> dict[str, str]:
    """Write the values of one item by feature; None and NaN are unknown, and are left out.

    Args:
        raw: values of items, by feature.
        k: which of these.
    """
    values = {name: column[k] for name, column in raw.items()}
    return {name: raw_text(value) for name, value in values.items() if value is not None and value == value}
