"""What the extractor guesses, against its auxiliary network asked by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dien import Request, Scorer
from dien.explain.guesses import guesses
from dien.explain.traces import item_logits, traces
from tests.explain.scorers import scorer_of

CLOSE = 1e-5
"""Logits that are no further apart may come in either order, by rounding."""


@pytest.mark.parametrize("name", ["dien", "dien:authors", "dien:recbole"])
def test_probabilities_and_ranks_are_those_of_the_auxiliary_network(
    name: str, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, name)
    request = scorer.check(Request(**max(rich_requests, key=lambda one: len(one["history"]))))
    every = len(scorer.catalogue.item_ids) - 1
    traced = traces(scorer, request)
    found = guesses(scorer, request, traced, drawn=every)
    T = len(request.history)
    assert [one.step for one in found] == list(range(T - 1))
    assert traced.next_logits is not None
    assert traced.interests is not None
    np.testing.assert_allclose(
        [one.probability for one in found], 1 / (1 + np.exp(-traced.next_logits[0, :-1])), rtol=1e-4
    )
    # All items of the catalogue are drawn, so that which are does not matter.
    logits = item_logits(scorer, traced.interests[0], np.arange(1, every + 1))  # [T, every]
    ids = scorer.catalogue.item_ids.values[1:].to_list()
    ranks = []
    for one in found:
        real = traced.next_logits[0, one.step]
        others = [logits[one.step, k] for k in range(every) if ids[k] != request.history[one.step + 1]]
        above = sum(other > real + CLOSE for other in others)
        level = sum(abs(other - real) <= CLOSE for other in others)
        assert 1 + above <= one.rank <= 1 + above + level
        assert one.among == len(others) == every - 1
        ranks.append(one.rank)
    assert len(set(ranks)) > 3


def test_there_is_no_guess_where_the_run_does_not_know_what_came_next(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, "dien")
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    request = scorer.check(Request(**longest))
    T = len(request.history)
    known, steps = guesses(scorer, request, traces(scorer, request)), list(range(T - 1))
    assert [one.step for one in known] == steps
    history = [*request.history[:2], "no such item", *request.history[3:]]
    other = replace(request, history=history)
    found = guesses(scorer, other, traces(scorer, other))
    assert [one.step for one in found] == [step for step in steps if step != 1]
    assert found[0] == known[0]


def test_what_is_drawn_hangs_on_the_seed_alone(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, "dien")
    request = scorer.check(Request(**max(rich_requests, key=lambda one: len(one["history"]))))
    traced = traces(scorer, request)
    found = guesses(scorer, request, traced, drawn=10)
    assert all(one.among in (9, 10) for one in found)
    assert found == guesses(scorer, request, traced, drawn=10)
    assert found != guesses(scorer, request, traced, drawn=10, seed=1)


@pytest.mark.parametrize("name", ["din", "gru+augru"])
def test_a_model_without_an_auxiliary_network_guesses_nothing(name: str, rich_scorer: Scorer) -> None:
    scorer = scorer_of(rich_scorer, name)
    request = scorer.check(Request(user=None, history=["i1", "i2"], candidates=["i3"]))
    assert guesses(scorer, request, traces(scorer, request)) == []
