"""Evolving states before a gap, interpolated, against those computed from the first step."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.explain import influence, logits_without
from dien.explain.influence import naive_influence
from dien.explain.prefixes import HIGH, LOW, NODES, Prefixes
from dien.layers import AttentionGRU
from dien.layers.gru import Reset
from dien.serving import Request, Scorer
from tests.explain.scorers import scorer_of

KINDS = ("agru", "augru", "augru-complement")


@settings(max_examples=30)
@given(
    kind=st.sampled_from(KINDS),
    reset=st.sampled_from(["after", "before"]),
    candidates=st.integers(1, 4),
    steps=st.integers(1, 60),
    peak=st.floats(0.0, 4.0),
    seed=st.integers(0, 9),
)
def test_a_state_is_that_of_attention_multiplied_by_the_factor(
    kind: Any, reset: Reset, candidates: int, steps: int, peak: float, seed: int
) -> None:
    torch.manual_seed(seed)
    rnn = AttentionGRU(5, 7, kind, reset=reset).requires_grad_(False)
    scores = (peak * torch.randn(candidates, steps)).softmax(1)
    interests = torch.randn(steps, 5)
    prefixes = Prefixes(rnn, interests, scores)
    at = torch.arange(steps)
    factor = LOW + (HIGH - LOW) * torch.rand(steps, candidates)
    found = prefixes.before(at, factor)
    starts = torch.zeros(candidates, dtype=torch.int64)
    for t in range(steps):
        each = (factor[t, :, None] * scores[:, :t]).flatten()
        expected = rnn.run(interests, starts, torch.full_like(starts, t), each)
        torch.testing.assert_close(found[t][prefixes.good], expected[prefixes.good], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_that_is_not_all_on_one_behaviour_is_interpolated_for_every_candidate(kind: Any) -> None:
    torch.manual_seed(0)
    rnn = AttentionGRU(5, 7, kind).requires_grad_(False)
    for peak in (0.0, 1.0, 2.0):
        scores = (peak * torch.randn(20, 100)).softmax(1)
        assert Prefixes(rnn, torch.randn(100, 5), scores).good.all()


@settings(max_examples=20)
@given(
    gru=st.sampled_from(KINDS),
    attention=st.sampled_from(["bilinear", "mlp"]),
    length=st.integers(20, 70),
    candidates=st.integers(1, 9),
    sharpness=st.floats(0.1, 20.0),
    seed=st.integers(0, 9),
)
def test_influences_of_long_histories_are_those_of_variants_scored_from_the_first_step(
    rich_scorer: Scorer, gru: Any, attention: Any, length: int, candidates: int, sharpness: float, seed: int
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=60, gru=gru, attention=attention)
    layer = scorer.model.evolution.attention_layer
    with torch.no_grad():  # from even attention to all of it on one behaviour
        (layer.weight if attention == "bilinear" else layer.dense.weight).mul_(sharpness)
    rng = np.random.default_rng(seed)
    history, shown = ([f"i{k}" for k in rng.integers(0, 26, n)] for n in (length, candidates))
    times = np.sort(rng.integers(1, 10**6, length)).tolist()
    request = Request(user="u1", history=history, candidates=shown, times=times, time=10**6)
    found, expected = influence(scorer, request), naive_influence(scorer, request)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_most_steps_before_a_gap_are_not_computed_again(
    rich_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=60)
    with torch.no_grad():
        scorer.model.evolution.attention_layer.weight.mul_(0.01)  # even attention
    request = Request(user="u1", history=["i1", "i2", "i3"] * 20, candidates=["i1", "i7"])
    forward, steps = AttentionGRU.forward, []

    def counted(self: AttentionGRU, rows: Any) -> Any:
        steps.append(int(rows.lengths.sum()))
        return forward(self, rows)

    monkeypatch.setattr(AttentionGRU, "forward", counted)
    influence(scorer, request)
    after_gaps = 2 * sum(range(60))
    assert sum(steps) == 2 * 60 * (1 + NODES + 2) + after_gaps  # the request, and the runs


def test_runs_of_behaviours_of_different_lengths_are_left_out_all_the_same(rich_scorer: Scorer) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=40)
    request = Request(user="u1", history=["i1", "i2", "i3", "i4"] * 15, candidates=["i1", "i7"])
    sets = [[59], list(range(30, 60)), list(range(60)), [], [3, 41, 50]]
    each = [logits_without(scorer, request, [one])[0] for one in sets]
    np.testing.assert_allclose(logits_without(scorer, request, sets), each, rtol=1e-5, atol=1e-5)
