"""What the extractor guesses, against its auxiliary network asked by hand."""

from typing import Any

import numpy as np
import pytest

from dien import Request, Scorer
from dien.explain.guesses import guesses
from dien.explain.traces import traces
from tests.explain.scorers import scorer_of


@pytest.mark.parametrize("name", ["dien", "dien:authors", "dien:recbole"])
def test_probabilities_are_those_of_the_auxiliary_network_and_ranks_lie_among_all(
    name: str, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, name)
    request = scorer.check(Request(**max(rich_requests, key=lambda one: len(one["history"]))))
    found = guesses(scorer, request, drawn=10)
    T = len(request.history)
    assert [one.step for one in found] == list(range(T - 1))
    logits = traces(scorer, request).next_logits
    assert logits is not None
    np.testing.assert_allclose(
        [one.probability for one in found], 1 / (1 + np.exp(-logits[0, :-1])), rtol=1e-4
    )
    for one in found:
        assert one.among in (9, 10)
        assert 1 <= one.rank <= one.among + 1
    assert found == guesses(scorer, request, drawn=10)
    assert found != guesses(scorer, request, drawn=10, seed=1)


@pytest.mark.parametrize("name", ["din", "gru+augru"])
def test_a_model_without_an_auxiliary_network_guesses_nothing(name: str, rich_scorer: Scorer) -> None:
    scorer = scorer_of(rich_scorer, name)
    assert guesses(scorer, scorer.check(Request(user=None, history=["i1", "i2"], candidates=["i3"]))) == []
