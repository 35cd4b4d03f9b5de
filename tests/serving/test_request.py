"""Requests as structs: scored many at once as one by one, checked beforehand, decoded from JSON."""

import inspect
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.errors import RunError
from dien.run import Run
from dien.serving import Request, Scorer
from dien.serving.once import Once

ids = st.sampled_from([f"i{k}" for k in range(25)] + ["new", "newer", "7"])
words = st.lists(st.sampled_from(["tag0", "tag1", "label2", "no such"]), max_size=3)
numbers = st.floats(-1e6, 1e6)
times = st.integers(0, 200_000)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw arguments of ``score``, of which any that may be missing may be missing."""
    history, candidates = draw(st.lists(ids, max_size=9)), draw(st.lists(ids, max_size=5))

    def some(features: dict[str, st.SearchStrategy[Any]]) -> Any:
        return draw(maybe(st.fixed_dictionaries({}, optional=features)))

    def each(values: st.SearchStrategy[Any], entries: list[str]) -> st.SearchStrategy[Any]:
        return maybe(st.lists(maybe(values), min_size=len(entries), max_size=len(entries)))

    return {
        "user": draw(maybe(st.sampled_from(["u1", "u7", "nobody"]))),
        "history": history,
        "candidates": candidates,
        "context": some({"hour": maybe(st.just("3")), "position": maybe(numbers), "wanted": maybe(words)}),
        "behaviours": some({"dwell": each(st.floats(0, 1e3), history), "labels": each(words, history)}),
        "times": draw(each(times, history)),
        "time": draw(maybe(times)),
        "candidate_features": some({"price": each(numbers, candidates), "tags": each(words, candidates)}),
        "user_features": some({"age": maybe(numbers)}),
    }


@settings(deadline=None)
@given(st.lists(requests(), max_size=6))
def test_many_requests_at_once_score_as_one_by_one(rich_scorer: Scorer, drawn: list[dict[str, Any]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = rich_scorer.score_many([Request(**request) for request in drawn])
        alone = [rich_scorer.score(**request) for request in drawn]
    assert len(found) == len(drawn)
    for one, expected, request in zip(found, alone, drawn, strict=True):
        assert one.shape == expected.shape == (len(request["candidates"]),)
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_a_request_checked_beforehand_scores_the_same(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    raw = [Request(**request) for request in rich_requests[:4]]
    mixed = [raw[0], *map(rich_scorer.check, raw[1:])]
    for one, expected in zip(rich_scorer.score_many(mixed), rich_scorer.score_many(raw), strict=True):
        np.testing.assert_array_equal(one, expected)


def test_a_checked_request_keeps_no_more_of_a_history_than_the_model_reads(rich_scorer: Scorer) -> None:
    most = rich_scorer.run.config.model.longest_history
    long = ["i1"] * (most + 5)
    request = Request(
        user=None, history=long, candidates=[], times=range(len(long)), behaviours={"dwell": long}
    )
    with pytest.raises(ValueError, match="dwell: 'i1', expected"):
        rich_scorer.check(request)
    found = rich_scorer.check(msgspec.structs.replace(request, behaviours={"dwell": [1.0] * len(long)}))
    assert len(found.history) == most
    assert len(found.behaviours["dwell"]) == most
    assert found.times == list(range(5, most + 5))


def test_the_fields_of_a_request_are_the_arguments_of_score() -> None:
    arguments = dict(inspect.signature(Scorer.score).parameters)
    del arguments["self"], arguments["conversions"]
    fields = {field.name: field.default for field in msgspec.structs.fields(Request)}
    absent = {inspect.Parameter.empty: msgspec.NODEFAULT}
    assert fields == {name: absent.get(one.default, one.default) for name, one in arguments.items()}


def test_a_request_is_decoded_from_json(rich_scorer: Scorer) -> None:
    body = b'{"user": "u1", "history": ["i1", 2], "candidates": ["i3"], "time": "2024-01-31T10:00:00Z"}'
    request = msgspec.json.decode(body, type=Request)
    assert request == Request(user="u1", history=["i1", 2], candidates=["i3"], time="2024-01-31T10:00:00Z")
    assert rich_scorer.check(request).history == ["i1", "2"]
    with pytest.raises(msgspec.ValidationError, match=r"history\[1\]"):
        msgspec.json.decode(body.replace(b"2]", b"[]]"), type=Request)


def test_an_error_in_one_of_many_names_its_place_and_the_field(rich_scorer: Scorer) -> None:
    good = Request(user="u1", history=["i1"], candidates=["i2"])
    bad = Request(user="u1", history=["i1"], candidates=["i2"], context={"position": "far"})
    with pytest.raises(ValueError, match=r"^request 2: position: 'far', expected"):
        rich_scorer.score_many([good, bad])


def test_conversions_of_a_run_without_them_are_refused_for_many(rich_scorer: Scorer) -> None:
    with pytest.raises(RunError, match="does not predict conversions"):
        rich_scorer.score_many([Request(user="u1", history=["i1"], candidates=["i2"])], conversions=True)


def test_what_is_said_once_is_said_by_one_of_many_threads(small_run: Run) -> None:
    scorer, together = Scorer(small_run), Barrier(8)
    request = Request(user="u1", history=["1", "2"], candidates=["2"])

    def work(_: int) -> None:
        together.wait()
        for _ in range(5):
            scorer.score_many([request, request])

    with warnings.catch_warnings(record=True) as said, ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("always")
        list(pool.map(work, range(8)))
    assert [str(one.message).count("a scorer says so once") for one in said] == [1]
    assert said[0].filename == __file__


def test_of_threads_that_ask_at_once_one_is_first() -> None:
    for _ in range(50):
        once, together = Once(), Barrier(8)

        def ask(_: int, once: Once = once, together: Barrier = together) -> bool:
            together.wait()
            return once.is_first("a")

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(ask, range(8))) == [False] * 7 + [True]
    assert once.is_first("b")
    assert not once.is_first("b")
