"""What a calibration says of log odds, and where another share is clicked."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.calibration import KEY, Calibration, Platt, from_texts, to_texts

shares = st.floats(0.001, 0.999)


@given(shares, shares, shares)
def test_a_base_rate_has_the_odds_of_the_rows_times_the_share_that_was_kept(
    p: float, rate: float, base: float
) -> None:
    kept = base / (1 - base) * (1 - rate) / rate  # w: the share of non-clicks among the rows
    moved = Calibration(Platt(1.0, 0.0), rate).for_base_rate(base)
    odds = moved.clicks(np.array([math.log(p / (1 - p))]))
    assert 1 / (1 + math.exp(-odds[0])) == pytest.approx(p / (p + (1 - p) / kept))
    assert moved.click_rate == base
    again = moved.for_base_rate(rate).clicks
    assert (again.scale, again.shift) == (1.0, pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, math.nan])
def test_a_base_rate_that_is_no_share_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=f"base_rate is {rate}, expected a share of clicks above 0"):
        Calibration(Platt(1.0, 0.0), 0.2).for_base_rate(rate)


@given(st.floats(1e-9, 1e9), st.floats(-1e9, 1e9), shares, st.booleans())
def test_a_calibration_is_read_as_it_was_written(
    scale: float, shift: float, rate: float, conversions: bool
) -> None:
    whole = Calibration(Platt(scale, shift), rate, Platt(shift * shift + 1, scale) if conversions else None)
    assert from_texts(to_texts(whole)) == whole
    assert from_texts(to_texts(None)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"clicks": {"scale": 0, "shift": 0}, "click_rate": 0.5}', "scale is 0"),
        ('{"clicks": {"scale": 1e999, "shift": 0}, "click_rate": 0.5}', "scale"),
        ('{"clicks": {"scale": 1, "shift": NaN}, "click_rate": 0.5}', "shift is nan"),
        ('{"clicks": {"scale": 1, "shift": 0}, "click_rate": 1.5}', "click_rate"),
        ('{"clicks": {"scale": "1", "shift": 0}, "click_rate": 0.5}', "scale"),
        ("[]", "object"),
        ("{", "Expecting"),
    ],
)
def test_what_is_no_calibration_is_refused_by_the_name_of_its_number(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_texts({KEY: text})
