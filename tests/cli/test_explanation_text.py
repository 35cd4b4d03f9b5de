"""What the terminal says of an explanation: no figure of what is not read, no two scores that look alike."""

import pytest
from msgspec import structs

from dien.cli.explanation_text import behaviours_table, flip_texts, named, probability, reads_text
from dien.explain import ShownItem
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


@pytest.mark.parametrize(
    ("name", "features", "text"),
    [
        ("Butter", {"category": "Milk"}, "Butter (7)"),
        (None, {"price": "9.5", "category": "Milk"}, "price 9.5 (7)"),
        (None, {}, "7"),
        ("7", {}, "7"),
    ],
)
def test_an_item_is_called_by_its_name_or_by_the_first_feature_that_it_has(
    name: str | None, features: dict[str, str], text: str
) -> None:
    assert named(ShownItem(id="7", name=name, features=features)) == text


def test_the_flip_says_which_behaviours_and_that_none_were_found() -> None:
    shown = explanation(5, named=False)
    (found,) = flip_texts(shown)
    first, second = (named(one.item) for one in shown.candidates[:2])
    assert found == (
        f"without the behaviours 1 from the end (the fewest), the order turns: {first} scores 0.2000, "
        f"{second} 0.3000"
    )
    (none,) = flip_texts(structs.replace(shown, flip=None))
    assert none == f"the order of {first} and {second}: no behaviours found without which it turns"
    assert flip_texts(explanation(5, candidates=1)) == []
