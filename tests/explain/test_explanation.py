"""An explanation as JSON."""

import json

import msgspec
import pytest

from dien.explain import Explanation
from tests.explain.explanations import HOSTILE, explanation


@pytest.mark.parametrize("evolving", [True, False])
@pytest.mark.parametrize("length", [0, 1, 30])
def test_an_explanation_comes_back_from_json_as_it_was(length: int, evolving: bool) -> None:
    made = explanation(length, evolving=evolving, attention=evolving)

    assert Explanation.from_json(made.to_json()) == made


def test_names_are_in_json_as_the_text_they_are() -> None:
    made = explanation(30)

    names = [one["item"]["name"] for one in json.loads(made.to_json())["history"]]

    assert set(HOSTILE) <= set(names)


def test_what_is_no_explanation_is_refused_with_the_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"history"):
        Explanation.from_json(b'{"run": "r", "model": "dien", "history": 1, "candidates": []}')
