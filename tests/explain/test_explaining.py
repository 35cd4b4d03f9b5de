"""Explanations of requests: put together of parts, each of which is checked by scoring."""

from typing import Any

import numpy as np
import pytest
import torch

from dien import Prediction, Request, RunError, Scorer
from dien.data.item_names import ItemNames
from dien.explain import Explanation, explain, flips, traces
from dien.explain.paths import in_two_dimensions
from tests.explain.scorers import READERS, reading, scorer_of


def without(request: Request, places: list[int]) -> Request:
    kept = [k for k in range(len(request.history)) if k not in places]

    def of(values: Any) -> Any:
        return None if values is None else [values[k] for k in kept]

    return Request(
        user=request.user,
        history=of(request.history),
        candidates=request.candidates,
        context=request.context,
        behaviours={name: of(values) for name, values in (request.behaviours or {}).items()},
        times=of(request.times),
        time=request.time,
        candidate_features=request.candidate_features,
        user_features=request.user_features,
    )


@pytest.fixture
def request_of_one(rich_requests: list[dict[str, Any]]) -> Request:
    several = [Request(**one) for one in rich_requests if len(one["candidates"]) > 1]
    return max(several, key=lambda one: len(one.history))


def logits(scores: Any) -> Any:
    return np.log(scores) - np.log1p(-np.asarray(scores))


@pytest.mark.parametrize("name", READERS)
def test_every_model_is_explained_and_what_is_said_is_what_scoring_says(
    name: str, rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer, request = scorer_of(rich_scorer, name), request_of_one
    scorer.calibration = None  # the scores are then the logits'
    found = explain(scorer, request)
    T, B = len(request.history), len(request.candidates)
    assert len(found.history) == T
    assert [one.item.id for one in found.history] == [str(item) for item in request.history]
    assert [one.item.id for one in found.candidates] == [str(item) for item in request.candidates]
    scores = scorer.score_many([request])[0]
    np.testing.assert_allclose([one.score for one in found.candidates], scores, rtol=1e-5)
    for b in range(B):
        one = found.candidates[b]
        assert len(one.influence) == T
        assert all(len(values) == T for values in (*one.attention.values(), *one.features.values()))
        assert len(one.gate) in (0, T)
        assert len(one.path) in (0, T)
        for run in one.runs:
            left = scorer.score_many([without(request, list(range(run.first, run.last + 1)))])[0][b]
            assert run.influence == pytest.approx(logits(scores[b]) - logits(left), abs=1e-3)
    assert Explanation.from_json(found.to_json()) == found


@pytest.mark.parametrize("name", ["dien", "din", "sum-pooling"])
def test_what_only_a_step_has_is_none_of_a_behaviour_that_is_not_read_as_a_sequence(
    name: str, rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = reading(scorer_of(rich_scorer, name), max_history=2)
    found = explain(scorer, request_of_one)
    T = len(found.history)
    assert found.matched == T > 2  # matches are counted over the others
    traced = traces(scorer, request_of_one)
    for b, one in enumerate(found.candidates):
        assert one.reads == 2
        assert None not in one.influence
        several = [
            *one.features.values(),
            *one.attention.values(),
            *([one.gate, one.path] if one.gate else []),
        ]
        assert len(several) > 1
        for values in several:
            assert values[:-2] == [None] * (T - 2)
            assert None not in values[-2:]
        for layer, values in one.attention.items():
            assert values[-2:] == traced.attention[layer][b, -2:].tolist()
    assert Explanation.from_json(found.to_json()) == found
    assert len(found.guess) == (1 if name == "dien" else 0)


def test_with_a_filter_each_candidate_says_what_it_reads(
    rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = scorer_of(rich_scorer, "din", filter_by="category")
    found = explain(scorer, request_of_one)
    assert found.filter_by == "category"
    read = traces(scorer, request_of_one).reads
    for b, one in enumerate(found.candidates):
        assert one.reads == read[b].sum()
        (values,) = one.attention.values()
        assert [value is not None for value in values] == read[b].tolist()


def test_the_axes_of_paths_are_those_of_the_states_after_what_is_read(
    rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = reading(scorer_of(rich_scorer, "dien"), max_history=2)
    found = explain(scorer, request_of_one)
    states = traces(scorer, request_of_one).states
    assert states is not None
    B, _, H = states.shape
    places, variance = in_two_dimensions(states[:, -2:].reshape(2 * B, H))
    shown = [place for one in found.candidates for place in one.path if place is not None]
    np.testing.assert_array_equal(shown, places)
    assert found.variance == list(variance)


def test_older_behaviours_than_are_read_are_counted_and_not_shown(
    rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = reading(scorer_of(rich_scorer, "din", matches=False), max_history=3)
    found = explain(scorer, request_of_one)
    assert (len(found.history), found.matched) == (3, 0)
    assert found.left_out == len(request_of_one.history) - 3
    assert [one.item.id for one in found.history] == [str(item) for item in request_of_one.history[-3:]]


def test_items_have_their_names_and_raw_features(rich_scorer: Scorer, request_of_one: Request) -> None:
    ids = rich_scorer.run.item_ids
    names = ItemNames(ids, ids.values.str.to_uppercase())
    found = explain(rich_scorer, request_of_one, names=names)
    for one in (*[shown.item for shown in found.history], *[shown.item for shown in found.candidates]):
        assert one.name == (one.id.upper() if ids.index(one.id) else None)
        assert set(one.features) <= {"category", "tags", "price"}


def test_a_request_without_candidates_is_refused(rich_scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="candidates: found none"):
        explain(rich_scorer, Request(user=None, history=["i1"], candidates=[]))


def test_a_model_that_reads_no_history_is_refused(
    rich_scorer: Scorer, request_of_one: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(rich_scorer, "sum-pooling", matches=False)
    model: Any = scorer.model
    monkeypatch.setattr(model, "forward", lambda batch: Prediction(torch.zeros(len(batch.history_of))))
    with pytest.raises(RunError, match="reads no history"):
        explain(scorer, request_of_one)


def test_an_empty_history_is_explained_by_nothing(rich_scorer: Scorer) -> None:
    found = explain(rich_scorer, Request(user=None, history=[], candidates=["i1", "i2"]))
    assert found.history == []
    assert found.flip is None
    assert found.guess == []
    assert all(one.influence == [] for one in found.candidates)


@pytest.mark.parametrize("name", ["dien", "din", "sum-pooling"])
def test_candidates_that_read_histories_of_their_own_are_explained(
    name: str, rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = scorer_of(rich_scorer, name, filter_by="category")
    scorer.calibration = None
    found = explain(scorer, request_of_one)
    categories = [one.item.features.get("category") for one in found.history]
    scores = scorer.score_many([request_of_one])[0]
    for b, one in enumerate(found.candidates):
        own = one.item.features.get("category")
        for place, influences in enumerate(zip(*one.features.values(), strict=True)):
            assert categories[place] == own or not any(influences)
        last = scorer.score_many([without(request_of_one, [len(categories) - 1])])[0][b]
        assert one.influence[-1] == pytest.approx(logits(scores[b]) - logits(last), abs=1e-3)
    assert found.guess == []


def test_a_flip_of_a_long_history_is_found_without_trying_every_pair(
    rich_scorer: Scorer, request_of_one: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flips, "MOST_PAIRS", 0)
    found = explain(scorer_of(rich_scorer, "dien"), request_of_one).flip
    T = len(request_of_one.history)
    assert found is None or found.scored <= 3 * T
    assert found is None or found.exact == (len(found.removed) <= 2)
