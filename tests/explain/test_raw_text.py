"""Raw values as text: what people would write, and no exponents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.explain.raw_text import raw_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567.0, "1234567"),
        (12.99, "12.99"),
        (12.990003, "12.99"),
        (1e-5, "0.00001"),
        (3.0, "3"),
        (-0.5, "-0.5"),
        (float("inf"), "inf"),
        ("1e5", "1e5"),
        ([1.5, "a", 2.0], "1.5, a, 2"),
    ],
)
def test_a_value_is_written_as_people_would(value: object, text: str) -> None:
    assert raw_text(value) == text


@given(st.floats(-1e15, 1e15))
def test_a_number_has_no_exponent_and_is_near_to_what_it_says(value: float) -> None:
    text = raw_text(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=1e-5)


@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_is_written_whole(value: int) -> None:
    assert raw_text(float(value)) == str(value)
