"""What the terminal says of an explanation: no figure of what is not read, no two scores that look alike."""

import pytest

from dien.cli.explanation_text import behaviours_table, probability, reads_text
from tests.explain.explanations import explanation


@pytest.mark.parametrize(
    ("value", "other", "text"),
    [
        (0.465, None, "0.4650"),
        (0.99996, None, "0.999960"),
        (0.00001, None, "0.000010"),
        (1.0, None, "1.0000"),
        (0.46512, 0.46509, "0.465120"),
    ],
)
def test_a_score_has_the_digits_that_tell_it_from_the_others(
    value: float, other: float | None, text: str
) -> None:
    assert probability(value, other) == text


def test_the_table_says_what_is_not_read_as_a_sequence() -> None:
    shown = explanation(30, reads=10)
    assert reads_text(shown, 0) == (
        "30 behaviours: read as a sequence 10, the newest; matches over all; 7 older ones are not read"
    )
    attention = list(behaviours_table(shown, 0).columns[3].cells)
    assert "-" in attention
    assert "0.0000" not in attention
