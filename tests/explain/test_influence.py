"""The influence of each behaviour, against what the scorer says of requests without it."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dien.explain import influence, logits_without
from dien.explain.influence import naive_influence
from dien.explain.prefixes import NODES
from dien.explain.variants import distinct
from dien.layers import AttentionGRU, MLPAttention
from dien.models import model_config
from dien.run import Run
from dien.serving import Request, Scorer
from tests.embeddings import enlarge
from tests.explain.own_models import OWN
from tests.explain.scorers import READERS, of, reading, scorer_of

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def log_odds(scorer: Scorer, request: dict[str, Any]) -> np.ndarray:
    """Log odds of a request before the calibration, from its scores."""
    scores = torch.from_numpy(scorer.score(**request))
    logits = torch.logit(scores).numpy()
    platt = scorer.calibration
    return logits if platt is None else (logits - platt.clicks.shift) / platt.clicks.scale


def left_out(request: dict[str, Any], removed: list[int]) -> dict[str, Any]:
    """The request without some places of its history, with their times and features."""
    kept = [t for t in range(len(request["history"])) if t not in removed]

    def some(values: Any) -> Any:
        return None if values is None else [values[t] for t in kept]

    own = {name: some(values) for name, values in (request.get("behaviours") or {}).items()}
    return {
        **request,
        "history": some(request["history"]),
        "times": some(request.get("times")),
        "behaviours": own,
    }


def request_of(given_requests: list[dict[str, Any]], place: int, length: int) -> dict[str, Any]:
    """One of the requests with the newest of its history, and eight candidates, some of them clicked."""
    one = given_requests[place % len(given_requests)]
    cut = left_out(one, list(range(max(0, len(one["history"]) - length))))
    seen = cut["history"][-3:]
    candidates = [*one["candidates"][:3], *seen, "i1", "no item", "i1"]
    return {**cut, "candidates": candidates}


def by_hand(scorer: Scorer, request: dict[str, Any]) -> np.ndarray:
    """The influences as the scorer gives them, a request for each behaviour."""
    full = log_odds(scorer, request)
    each = [full - log_odds(scorer, left_out(request, [t])) for t in range(len(request["history"]))]
    return np.array(each).reshape(-1, len(full)).T


@settings(max_examples=40)
@given(name=st.sampled_from(READERS), place=st.integers(0, 50), length=st.integers(0, 9))
def test_influence_is_what_the_scorer_says_of_the_request_without_the_behaviour(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], name: str, place: int, length: int
) -> None:
    scorer = scorer_of(rich_scorer, name, max_history=9)
    request = request_of(rich_requests, place, length)
    found = influence(scorer, Request(**request))
    np.testing.assert_allclose(found, by_hand(scorer, request), **CLOSE)


OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"position_embedding": True},
    {"filter_by": "category", "filter_history": 11},
    {"max_history": 3, "match_history": 5},
    {"matches": False},
)


@settings(max_examples=60)
@given(
    name=st.sampled_from(READERS),
    options=st.sampled_from(OPTIONS),
    place=st.integers(0, 50),
    length=st.integers(0, 20),
    candidates=st.lists(st.integers(0, 26), min_size=0, max_size=12),
)
def test_what_variants_share_changes_no_influence(
    rich_scorer: Scorer,
    rich_requests: list[dict[str, Any]],
    name: str,
    options: dict[str, Any],
    place: int,
    length: int,
    candidates: list[int],
) -> None:
    scorer = scorer_of(rich_scorer, name, **{"max_history": 15, **options})
    one = {**request_of(rich_requests, place, length), "candidates": [f"i{k}" for k in candidates]}
    request = Request(**one)
    found, expected = influence(scorer, request), naive_influence(scorer, request)
    assert found.shape == (len(candidates), len(scorer.check(request).history))
    np.testing.assert_allclose(found, expected, **CLOSE)


@settings(max_examples=30)
@given(
    own=st.sampled_from(OWN), length=st.integers(0, 60), sharpness=st.floats(0.1, 3.0), seed=st.integers(0, 9)
)
def test_of_a_model_of_ones_own_nothing_is_shared_that_is_not_the_same(
    rich_scorer: Scorer, own: Any, length: int, sharpness: float, seed: int
) -> None:
    config = model_config("sum-pooling").model_copy(update={"matches": True, "max_history": 40})
    torch.manual_seed(seed)
    model = own(config, rich_scorer.run.schema).eval().requires_grad_(False)
    enlarge(model)
    model.head.weight.mul_(sharpness)
    rng = np.random.default_rng(seed)
    history, shown = ([f"i{k}" for k in rng.integers(0, 26, n)] for n in (length, 4))
    scorer, request = of(rich_scorer, model, config), Request(user="u1", history=history, candidates=shown)
    found, expected = influence(scorer, request), naive_influence(scorer, request)
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert not length or np.abs(found).max() > 1e-3


def test_behaviours_that_only_matches_tell_of_cost_little_more_than_one_scoring(
    rich_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=30)
    with torch.no_grad():
        scorer.model.evolution.attention_layer.weight.mul_(0.01)  # even attention
    rng = np.random.default_rng(0)
    history = [f"i{k}" for k in rng.integers(0, 26, 400)]
    request = Request(user="u1", history=history, candidates=["i1", "i7", "i30"])
    forward, steps = AttentionGRU.forward, []

    def counted(self: AttentionGRU, rows: Any) -> Any:
        steps.append(int(rows.lengths.sum()))
        return forward(self, rows)

    monkeypatch.setattr(AttentionGRU, "forward", counted)
    found = influence(scorer, request)
    runs, after = 3 * 30 * (NODES + 2), 3 * sum(range(30))
    once, *rest = sorted(steps, reverse=True)
    assert sum(steps) <= 3 * 30 + runs + after + 6 * 3 * 30, (once, rest)
    monkeypatch.undo()
    np.testing.assert_allclose(found, naive_influence(scorer, request), **CLOSE)


@given(
    arrays(np.int32, st.tuples(st.integers(0, 30), st.integers(1, 4)), elements=st.integers(-2, 2)),
    st.booleans(),
)
def test_rows_are_told_apart_by_all_of_their_numbers(rows: np.ndarray, mixed_alike: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if mixed_alike:  # as if every row came to the same number
            patch.setattr("dien.explain.variants._mixed", lambda rows: np.zeros(len(rows), np.uint64))
        first, inverse = distinct(rows)
    assert len(first) == len({tuple(row) for row in rows.tolist()})
    np.testing.assert_array_equal(rows[first][inverse], rows)


@pytest.mark.parametrize(("name", "softmax"), [("din", True), ("din", False), ("dien", True)])
def test_attention_to_behaviours_is_computed_once_for_all_variants(
    rich_scorer: Scorer,
    rich_requests: list[dict[str, Any]],
    name: str,
    softmax: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"attention_softmax": softmax} if name == "din" else {}
    scorer = scorer_of(rich_scorer, name, max_history=9, **options)
    request = request_of(sorted(rich_requests, key=lambda one: len(one["history"])), -1, 9)
    forward, pairs = MLPAttention.forward, []

    def counted(self: MLPAttention, states: Any, targets: Any, of: Any) -> Any:
        pairs.append(int(of.lengths.sum()))
        return forward(self, states, targets, of)

    monkeypatch.setattr(MLPAttention, "forward", counted)
    found = influence(scorer, Request(**request))
    assert pairs == [9 * len(request["candidates"])] * 2  # in the model, and for its logits
    monkeypatch.undo()
    np.testing.assert_allclose(found, by_hand(scorer, request), **CLOSE)
    assert not any(layer._forward_pre_hooks for layer in scorer.model.modules())


@pytest.mark.parametrize("name", ["sum-pooling", "din", "dien"])
def test_no_older_behaviour_takes_the_place_of_the_one_that_is_left_out(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], name: str
) -> None:
    scorer = scorer_of(rich_scorer, name, max_history=4, match_history=6)
    fewer = reading(scorer, max_history=3, match_history=5)
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    request = request_of([longest], 0, 9)
    assert len(request["history"]) == 9
    full, found = log_odds(scorer, request), influence(scorer, Request(**request))
    assert found.shape == (len(full), 6)  # of the oldest three nothing is read
    for place in range(5, 9):
        expected = full - log_odds(fewer, left_out(request, [place]))
        np.testing.assert_allclose(found[:, place - 3], expected, **CLOSE)
    matched = reading(scorer, match_history=5)  # older than the steps: only the matches tell of it
    for place in (3, 4):
        expected = full - log_odds(matched, left_out(request, [place]))
        np.testing.assert_allclose(found[:, place - 3], expected, **CLOSE)
    assert (np.abs(found) > 1e-4).any(0).all()


@pytest.mark.parametrize("by", ["tags", "category", "item"])
@pytest.mark.parametrize("name", ["din", "dien"])
def test_of_a_searched_history_each_candidate_goes_without_what_it_reads(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], name: str, by: str
) -> None:
    options = {"max_history": 2, "filter_history": 8, "match_history": 8}
    scorer = scorer_of(rich_scorer, name, filter_by=by, **options)
    shorter = reading(scorer, filter_history=7, match_history=7)
    fewer = reading(shorter, max_history=1)
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    request = request_of([longest], 0, 12)
    found = influence(scorer, Request(**request))
    rows = scorer.encode([scorer.check(Request(**request))])
    looked_up = scorer.read(rows, slice(0, len(rows.candidates)))
    full, first = log_odds(scorer, request), len(request["history"]) - 8
    offsets, history_of = looked_up.batch.offsets, looked_up.batch.history_of
    assert found.shape == (len(full), 8)
    for t in range(8):
        rest = left_out(request, [first + t])
        as_many, one_fewer = log_odds(shorter, rest), log_odds(fewer, rest)
        for b, h in enumerate(history_of.tolist()):
            reads = t in looked_up.read[offsets[h] : offsets[h + 1]]
            expected = full[b] - (one_fewer[b] if reads else as_many[b])
            np.testing.assert_allclose(found[b, t], expected, **CLOSE)


def test_several_behaviours_are_left_out_at_once(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=9)
    request = request_of(sorted(rich_requests, key=lambda one: len(one["history"])), -1, 9)
    sets = [[], [0, 3], [8], list(range(9)), [2, 1, 7]]
    found = logits_without(scorer, Request(**request), sets)
    expected = [log_odds(scorer, left_out(request, removed)) for removed in sets]
    np.testing.assert_allclose(found, expected, **CLOSE)
    with pytest.raises(ValueError, match=r"place 9 of variant 1; expected places from 0, below 9"):
        logits_without(scorer, Request(**request), [[0], [9]])


def test_more_candidates_and_behaviours_than_fit_at_once_make_no_difference(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=9)
    request = Request(**request_of(sorted(rich_requests, key=lambda one: len(one["history"])), -1, 9))
    expected = influence(scorer, request)
    monkeypatch.setattr("dien.explain.variants.CANDIDATES_AT_ONCE", 4)
    monkeypatch.setattr("dien.explain.shared.STEPS_AT_ONCE", 99)
    monkeypatch.setattr("dien.explain.shared.PAIRS_AT_ONCE", 30)
    np.testing.assert_allclose(influence(scorer, request), expected, **CLOSE)


def test_a_run_scores_to_the_same_influences(small_run: Run) -> None:
    scorer = Scorer(small_run)
    request = {
        "user": "u1",
        "history": ["1", "2", "7", "2"],
        "candidates": ["2", "9"],
        "context": {"hour": "3"},
    }
    found = influence(scorer, Request(**request))
    np.testing.assert_allclose(found, by_hand(scorer, request), **CLOSE)
