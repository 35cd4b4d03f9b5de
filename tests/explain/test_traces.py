"""Traces of models, against the equations in float64 with nothing shared."""

import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.data.batch import Batch
from dien.explain import item_logits, traces
from dien.explain.attention import OF_BEHAVIOURS, OF_STATES
from dien.explain.traces import packed_traces
from dien.models import DIEN, DIENConfig
from dien.models.din import DIN, DINConfig
from dien.serving import Request, Scorer
from tests.embeddings import InputsByHand, enlarge
from tests.equations import attention_logit, auxiliary_score, gru_states, under, weights_of
from tests.explain.scorers import READERS, scorer_of
from tests.explain.test_influence import request_of
from tests.models.batches import EVERY_KIND, NO_PROFILE, random_batch

ODD = {"embedding_size": 3, "hidden_size": 7, "attention_hidden": (5, 3), "head_hidden": (7, 4)}
EXACT = {"rtol": 0, "atol": 1e-11}


def softmax(logits: list[Tensor]) -> Tensor:
    found = torch.exp(torch.stack(logits))
    return found / found.sum()


def update_gate(kind: str, x: Tensor, h: Tensor, a: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Share of the new state ``[H]`` that a step takes over."""
    H = len(h)
    i = weights["weight_ih"] @ x + weights["bias_ih"]
    j = weights["weight_hh"] @ h + weights["bias_hh"]
    u = 1 / (1 + torch.exp(-(i + j)[H : 2 * H]))
    if kind in ("gru", "aigru"):
        return 1 - u
    return {"agru": a + 0 * u, "augru": a * u, "augru-complement": 1 - (1 - a) * u}[kind]


def by_hand(dien: DIEN, batch: Batch, schema: Any) -> list[dict[str, Tensor]]:
    """What each candidate's traces are, over the steps of its history."""
    config, weights, found = dien.config, weights_of(dien), []
    inputs = InputsByHand(schema, weights, matches=config.matches, popularity=False)
    rnn = {
        name.removeprefix("rnn.").removesuffix("_l0"): w
        for name, w in under(weights, "evolution.dynamic_rnn.").items()
    }
    for b, r in enumerate(batch.history_of.tolist()):
        target, history = inputs.row(batch.target, b, "item"), inputs.behaviours(batch, r)
        reset = config.gru_reset
        interests = gru_states("gru", history, None, under(weights, "extractor.gru."), reset=reset)
        query = target
        if "query.weight" in weights:
            query = weights["query.weight"] @ target + weights["query.bias"]
        keys = gru_states("gru", interests, None, rnn, reset=reset) if config.gru == "gru" else interests
        attention = under(weights, "evolution.attention_layer.")
        divisor = keys.shape[1] ** 0.5 if config.attention_scale else 1.0
        one = {"interests": interests, "a": interests[:, 0], "states": interests, "gate": interests[:, 0]}
        if len(history):
            a = softmax([attention_logit(attention, query, key, "sigmoid", divisor) for key in keys])
            read = a[:, None] * interests if config.gru == "aigru" else interests
            states = keys
            if config.gru != "gru":
                kind = "gru" if config.gru == "aigru" else config.gru
                states = gru_states(kind, read, a, rnn, reset=reset)
            before = torch.cat([0 * states[:1], states[:-1]])
            gates = [
                update_gate(config.gru, x, h, s, rnn).mean() for x, h, s in zip(read, before, a, strict=True)
            ]
            one |= {"a": a, "states": states, "gate": torch.stack(gates)}
        if config.behaviour_attention:
            own, asked = under(weights, "behaviours.attention."), target
            if "behaviours.query.weight" in weights:
                asked = weights["behaviours.query.weight"] @ target + weights["behaviours.query.bias"]
            logits = [attention_logit(own, asked, key, "sigmoid", 1.0) for key in history]
            one["b"] = softmax(logits) if logits else interests[:, 0]
        if config.auxiliary_weight:
            score = auxiliary_score(under(weights, "extractor."), config.auxiliary_activation)
            items = inputs.sequence(batch.history, batch, r, "item")
            one["next"] = torch.stack(
                [score(interests[t], items[t + 1]) for t in range(len(items) - 1)]
                + [torch.tensor(float("nan"), dtype=torch.float64)] * bool(len(items))
                + [interests[0:0].sum()] * (not len(items))
            )[: len(items)]
        found.append(one)
    return found


@settings(max_examples=40)
@given(
    gru=st.sampled_from(["gru", "aigru", "agru", "augru", "augru-complement"]),
    attention=st.sampled_from(["bilinear", "mlp"]),
    reset=st.sampled_from(["after", "before"]),
    behaviour_attention=st.booleans(),
    auxiliary_weight=st.sampled_from([0.0, 1.0]),
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    data=st.data(),
    schema=st.sampled_from([NO_PROFILE, EVERY_KIND]),
)
def test_traces_follow_the_equations(
    gru: Any, lengths: list[int], data: st.DataObject, schema: Any, reset: Any, **options: Any
) -> None:
    torch.manual_seed(0)
    config = DIENConfig(**ODD, gru=gru, gru_reset=reset, auxiliary_score=False, **options)
    dien = DIEN(config, schema).double().eval()
    enlarge(dien)
    history_of = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=5))
    batch = random_batch(lengths, history_of, schema)
    with torch.no_grad():
        found, expected = packed_traces(dien, batch), by_hand(dien, batch, schema)
    pairs = found.pairs
    names = {OF_STATES: "a"} | ({OF_BEHAVIOURS: "b"} if config.behaviour_attention else {})
    assert set(found.attention) == set(names)
    assert found.states is not None
    assert found.gate is not None
    assert found.interests is not None
    for layer, name in names.items():
        torch.testing.assert_close(found.attention[layer], torch.cat([e[name] for e in expected]), **EXACT)
    torch.testing.assert_close(found.states, torch.cat([e["states"] for e in expected]), **EXACT)
    torch.testing.assert_close(found.gate, torch.cat([e["gate"] for e in expected]), **EXACT)
    interests = torch.cat([e["interests"] for e in expected])
    torch.testing.assert_close(found.interests[pairs.step], interests, **EXACT)
    if not config.auxiliary_weight:
        assert found.next_logits is None
        return
    assert found.next_logits is not None
    after = torch.cat([e["next"] for e in expected])
    torch.testing.assert_close(found.next_logits[pairs.step], after, equal_nan=True, **EXACT)


@pytest.mark.parametrize("normalised", [True, False])
def test_attention_of_din_is_traced_and_it_has_no_states(normalised: bool) -> None:
    torch.manual_seed(0)
    config = DINConfig(embedding_size=3, attention_hidden=(5,), attention_softmax=normalised)
    din = DIN(config, NO_PROFILE).double().eval()
    enlarge(din)
    batch = random_batch([3, 0, 1], [0, 2, 1, 0], NO_PROFILE)
    with torch.no_grad():
        found = packed_traces(din, batch)
    weights = weights_of(din)
    inputs = InputsByHand(NO_PROFILE, weights, matches=True, popularity=False)
    expected = []
    for b, r in enumerate(batch.history_of.tolist()):
        target, history = inputs.row(batch.target, b, "item"), inputs.behaviours(batch, r)
        logits = [attention_logit(under(weights, "attention."), target, k, "sigmoid", 1.0) for k in history]
        if logits:
            expected.append(softmax(logits) if normalised else torch.stack(logits))
    torch.testing.assert_close(found.attention[OF_BEHAVIOURS], torch.cat(expected), **EXACT)
    assert found.states is found.gate is found.interests is found.next_logits is None


@settings(max_examples=30)
@given(name=st.sampled_from(READERS), place=st.integers(0, 50), length=st.integers(0, 9))
def test_a_request_has_traces_of_the_newest_it_reads_and_nothing_for_older_ones(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], name: str, place: int, length: int
) -> None:
    scorer = scorer_of(rich_scorer, name, max_history=4)
    request = Request(**request_of(rich_requests, place, length))
    found = traces(scorer, request)
    T = len(scorer.check(request).history)
    newest = np.arange(T) >= T - 4
    assert found.reads.tolist() == [newest.tolist()] * len(request.candidates)
    rows = scorer.encode([scorer.check(request)])
    batch = scorer.read(rows, slice(0, len(request.candidates))).batch
    with torch.inference_mode():
        packed = packed_traces(scorer.model, batch)
    assert set(found.attention) == set(packed.attention)
    B, read = len(batch), min(T, 4)
    for layer, scores in packed.attention.items():
        np.testing.assert_array_equal(found.attention[layer][:, newest], scores.reshape(B, read))
        assert not found.attention[layer][:, ~newest].any()
    if packed.states is None:
        assert found.states is found.gate is found.interests is found.next_logits is None
        return
    H = packed.states.shape[1]
    assert found.states is not None
    assert found.interests is not None
    np.testing.assert_array_equal(found.states[:, newest], packed.states.reshape(B, read, H))
    assert not found.states[:, ~newest].any()
    assert not found.interests[:, ~newest].any()


@pytest.mark.parametrize("by", ["tags", "category"])
def test_of_a_searched_history_a_state_stays_where_nothing_is_read(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], by: str
) -> None:
    scorer = scorer_of(rich_scorer, "dien", filter_by=by, max_history=3)
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    found = traces(scorer, Request(**request_of([longest], 0, 12)))
    assert found.states is not None
    assert found.next_logits is not None
    assert 0 < found.reads.sum(1).max() <= 3
    sums = found.attention[OF_STATES].sum(1)
    np.testing.assert_allclose(sums, found.reads.any(1), atol=1e-6)
    before = np.concatenate([np.zeros_like(found.states[:, :1]), found.states[:, :-1]], 1)
    stays = (found.states == before).all(2)
    np.testing.assert_array_equal(stays, ~found.reads)
    np.testing.assert_array_equal(
        np.isfinite(found.next_logits).sum(1), np.maximum(found.reads.sum(1) - 1, 0)
    )


def test_the_logit_of_what_came_next_is_what_the_auxiliary_network_says_of_that_item(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=9)
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    request = Request(**request_of([longest], 0, 9))
    found, rows = traces(scorer, request), scorer.encode([scorer.check(request)])
    assert found.interests is not None
    assert found.next_logits is not None
    said = item_logits(scorer, found.interests[0, :-1], rows.history[1:])
    np.testing.assert_allclose(np.diagonal(said), found.next_logits[0, :-1], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"found row 1000, expected rows below \d+, the catalogue's items"):
        item_logits(scorer, found.interests[0], np.array([1, 1000]))
    with pytest.raises(ValueError, match="no auxiliary network"):
        item_logits(scorer_of(rich_scorer, "din"), found.interests[0], rows.history)


def test_items_without_a_row_are_the_unknown_one_and_many_are_asked_in_parts(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=9)
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    states = traces(scorer, Request(**request_of([longest], 0, 9))).interests
    assert states is not None
    items = np.array([3, 0, 7, 2, 9])
    expected = item_logits(scorer, states[0], items)
    assert expected.shape == (9, 5)
    monkeypatch.setattr(sys.modules["dien.explain.traces"], "LOGITS_AT_ONCE", 20)
    np.testing.assert_allclose(item_logits(scorer, states[0], items), expected, rtol=1e-5, atol=1e-6)
    unknown = item_logits(scorer, states[0], np.array([-2, -1]))
    np.testing.assert_allclose(unknown, expected[:, [1, 1]], rtol=1e-5, atol=1e-6)


def test_what_other_threads_score_meanwhile_is_not_traced(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, "dien", max_history=9)
    longest = max(rich_requests, key=lambda one: len(one["history"]))
    request, other = request_of([longest], 0, 9), request_of([longest], 0, 4)
    expected, ends = traces(scorer, Request(**request)), threading.Event()

    def score() -> None:
        while not ends.is_set():
            scorer.score(**other)

    thread = threading.Thread(target=score)
    thread.start()
    try:
        for _ in range(30):
            found = traces(scorer, Request(**request))
            np.testing.assert_array_equal(found.attention[OF_STATES], expected.attention[OF_STATES])
            np.testing.assert_array_equal(found.states, expected.states)
    finally:
        ends.set()
        thread.join()
    assert not scorer.model._forward_hooks


def test_no_candidates_have_no_traces(rich_scorer: Scorer) -> None:
    assert traces(rich_scorer, Request(user="u1", history=["i1"], candidates=[])).reads.shape == (0, 1)
