"""Explanations of requests: put together of parts, each of which is checked by scoring."""

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs

from dien import Request, Scorer
from dien.calibration import Calibration, Platt
from dien.data.item_names import ItemNames
from dien.explain import Explanation, explain, traces
from dien.explain.paths import in_two_dimensions
from dien.explain.runs import COUNTS, SPANS
from dien.explain.unknown_features import unknown_features
from dien.threads import one_thread
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
        assert one.logit == pytest.approx(logits(scores[b]), abs=1e-3)
        each = [scorer.score_many([without(request, [place])])[0][b] for place in range(T)]
        np.testing.assert_allclose(one.influence, logits(scores[b]) - logits(each), atol=1e-3)
        for run in one.runs:
            left = scorer.score_many([without(request, list(range(run.first, run.last + 1)))])[0][b]
            assert run.influence == pytest.approx(logits(scores[b]) - logits(left), abs=1e-3)
    assert len({one.logit for one in found.candidates}) == B > 1
    assert Explanation.from_json(found.to_json()) == found


@pytest.mark.parametrize("name", READERS)
def test_what_is_said_of_a_candidate_is_what_is_said_of_it_alone(
    name: str, rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = scorer_of(rich_scorer, name, max_history=len(request_of_one.history))
    request = structs.replace(request_of_one, candidates=["i1", "i2", "i7"])
    found = explain(scorer, request)
    states = []
    for one, candidate in zip(found.candidates, request.candidates, strict=True):
        alone = structs.replace(request, candidates=[candidate])
        traced = traces(scorer, alone)
        assert one.attention.keys() == traced.attention.keys()
        for layer, weights in one.attention.items():
            np.testing.assert_allclose(np.array(weights), traced.attention[layer][0], atol=1e-5)
        if traced.gate is not None:
            assert traced.states is not None
            np.testing.assert_allclose(np.array(one.gate), traced.gate[0], atol=1e-5)
            states.append(traced.states[0])
        of_features = unknown_features(scorer, scorer.check(alone))
        assert one.features.keys() == of_features.keys()
        for feature, values in one.features.items():
            np.testing.assert_allclose(np.array(values), of_features[feature][0], atol=1e-4)
    for layer in found.candidates[0].attention:  # so that no other candidate's would do
        assert found.candidates[0].attention[layer] != found.candidates[1].attention[layer]
    if states:
        # Distances along the two axes are the same whichever way an axis points.
        places, variance = in_two_dimensions(np.concatenate(states))
        shown = np.array([one.path for one in found.candidates]).reshape(-1, 2)
        np.testing.assert_allclose(np.abs(shown - shown[0]), np.abs(places - places[0]), atol=1e-3)
        np.testing.assert_allclose(found.variance, variance, atol=1e-4)
    else:
        assert all(one.path == one.gate == [] for one in found.candidates)


def test_scores_are_calibrated_and_logits_are_not(rich_scorer: Scorer, request_of_one: Request) -> None:
    scorer = scorer_of(rich_scorer, "dien")
    scorer.calibration = Calibration(clicks=Platt(scale=0.5, shift=0.7), click_rate=0.3)
    found = explain(scorer, request_of_one)
    assert found.calibrated
    for one in found.candidates:
        assert logits(one.score) == pytest.approx(0.5 * one.logit + 0.7, abs=1e-5)


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


def test_a_candidate_is_shown_with_the_features_that_the_request_gives(
    rich_scorer: Scorer, request_of_one: Request
) -> None:
    asked = structs.replace(
        request_of_one,
        candidates=["i1", "no such item", "i2"],
        candidate_features={
            "price": [12.5, 3, None],
            "tags": [None, ["tag1", "tag2"], None],
            "category": ["c1", "c2", None],
        },
    )
    plain = explain(rich_scorer, structs.replace(asked, candidate_features=None)).candidates
    one, unknown, as_known = (candidate.item.features for candidate in explain(rich_scorer, asked).candidates)
    assert one == plain[0].item.features | {"price": "12.5", "category": "c1"}
    assert unknown == {"price": "3", "tags": "tag1, tag2", "category": "c2"}
    assert as_known == plain[2].item.features != {}


def test_times_of_a_run_whose_log_has_an_order_alone_make_no_spans(
    rich_scorer: Scorer, request_of_one: Request
) -> None:
    scorer = scorer_of(rich_scorer, "din", matches=False)
    assert {run.name for run in explain(scorer, request_of_one).candidates[0].runs} & {*SPANS}
    scorer.fields = copy.copy(scorer.fields)
    scorer.fields.timed = False
    found = explain(scorer, request_of_one)
    names = [run.name for run in found.candidates[0].runs]
    assert names == [f"last {n}" for n in COUNTS if n <= len(found.history)]


def test_the_names_of_the_dataset_count_and_those_of_the_run_where_it_has_none(
    rich_scorer: Scorer, request_of_one: Request
) -> None:
    ids = rich_scorer.run.item_ids
    upper, longer = (ItemNames(ids, ids.values + text) for text in (" of the run", " of the data"))
    scorer = copy.copy(rich_scorer)
    for of_run, of_data, name in [
        (upper, longer, "i1 of the data"),
        (upper, None, "i1 of the run"),
        (None, longer, "i1 of the data"),
        (None, None, None),
    ]:
        scorer.run = replace(rich_scorer.run)
        scorer.run.__dict__["names"] = of_run
        data: Any = SimpleNamespace(names=of_data)
        scorer.data = data
        found = explain(scorer, structs.replace(request_of_one, candidates=["i1"]))
        assert found.candidates[0].item.name == name


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


def test_an_explanation_is_computed_with_one_thread(rich_scorer: Scorer) -> None:
    scorer = scorer_of(rich_scorer, "dien")
    seen: set[int] = set()
    scorer.model.register_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads()))
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            if torch.get_num_threads() == 3:
                pytest.skip("torch runs on an OpenMP library that is not found")
        explain(scorer, Request(user="u1", history=["i1", "i2"] * 9, candidates=["i2", "i3"]))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert seen == {1}
