"""A request as a line: a file of them is scored as the requests themselves were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.serving import Request, Scorer, score_file
from dien.serving.recorded import from_line, to_line

CONTEXT = {"context": {"position": 3}}
IDS = st.one_of(st.integers(-(2**63), 2**64 - 1), st.text(st.characters(exclude_categories=("Cs",))))


def or_none(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def requests(draw: Callable[..., Any]) -> Request:
    """Draw a request that a run of the rich log takes."""
    history, candidates = draw(st.lists(IDS, max_size=8)), draw(st.lists(IDS, max_size=4))
    time = or_none(st.integers(0, 4_000_000_000) | st.just("2024-01-31T10:00:00Z"))

    def each(values: st.SearchStrategy[Any], entries: list[Any]) -> Any:
        return draw(st.lists(or_none(values), min_size=len(entries), max_size=len(entries)))

    def some(**features: Callable[[], Any]) -> Any:
        names = draw(or_none(st.sets(st.sampled_from(sorted(features)))))
        return None if names is None else {name: features[name]() for name in sorted(names)}

    numbers = st.floats(-1e6, 1e6) | st.integers(-9, 9)
    return Request(
        user=draw(or_none(IDS)),
        history=history,
        candidates=candidates,
        context=some(
            hour=lambda: draw(or_none(IDS | st.booleans())),
            position=lambda: draw(or_none(numbers)),
            wanted=lambda: draw(or_none(st.lists(IDS, max_size=3))),
        ),
        behaviours=some(
            action=lambda: each(IDS | st.booleans(), history),
            dwell=lambda: each(numbers, history),
            labels=lambda: each(st.lists(IDS, max_size=2), history),
        ),
        times=draw(st.just(None) | st.just(each(time, history))),
        time=draw(time),
        candidate_features=some(
            category=lambda: each(IDS, candidates),
            price=lambda: each(numbers, candidates),
            tags=lambda: each(st.lists(IDS, max_size=2), candidates),
        ),
        user_features=some(age=lambda: draw(or_none(numbers))),
    )


@settings(max_examples=30)
@given(requests())
def test_a_request_comes_back_from_its_line_as_it_was_scored(rich_scorer: Scorer, request: Request) -> None:
    line = to_line(request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert rich_scorer.check(from_line(line, rich_scorer.fields)) == rich_scorer.check(request)


@pytest.mark.filterwarnings("ignore:.*how long ago")
@settings(max_examples=10)
@given(st.lists(requests(), min_size=1, max_size=3))
def test_a_file_of_lines_is_scored_as_the_requests_were(
    rich_scorer: Scorer, tmp_path_factory: pytest.TempPathFactory, some: list[Request]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file, out = folder / "recorded.jsonl", folder / "scores.parquet"
    file.write_bytes(b"".join(map(to_line, some)))
    score_file(rich_scorer, file, out)
    expected = [scores.tolist() for scores in rich_scorer.score_many(some)]
    for found, wanted in zip(pl.read_parquet(out)["scores"].to_list(), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)


def test_a_feature_that_the_run_has_not_is_refused_by_name(rich_scorer: Scorer, small_run: Any) -> None:
    line = to_line(Request(user="u1", history=[], candidates=["i1"], context={"position": 3}))
    assert from_line(line, rich_scorer.fields).context == {"position": 3}
    with pytest.raises(ValueError, match="position: no such feature in this run"):
        from_line(line, Scorer(small_run).fields)
    with pytest.raises(ValueError, match="did you mean position"):
        from_line(line.replace(b"position", b"positions"), rich_scorer.fields)


def test_a_feature_that_only_the_store_gave_is_left_out_where_the_run_has_not_it(
    rich_scorer: Scorer, small_run: Any
) -> None:
    behaviours = {"dwell": [2.5], "labels": [["label1"]]}
    request = Request(user="u1", history=["i1"], candidates=["i2"], behaviours=behaviours)
    assert from_line(to_line(request, stored=True), rich_scorer.fields) == request
    other = Scorer(small_run)
    assert other.check(from_line(to_line(request, stored=True), other.fields)).behaviours == {}
    with pytest.raises(ValueError, match="dwell: no such feature"):
        from_line(to_line(request), other.fields)
    of_client = Request(**{name: getattr(request, name) for name in request.__struct_fields__} | CONTEXT)
    with pytest.raises(ValueError, match="position: no such feature"):
        from_line(to_line(of_client, stored=True), other.fields)


@pytest.mark.parametrize(
    "line", [b"", b"3", b"[]", b'{"user": 1', b'{"history": [], "candidates": 3}', b"{}"]
)
def test_a_line_that_is_no_request_is_refused(rich_scorer: Scorer, line: bytes) -> None:
    with pytest.raises(ValueError):
        rich_scorer.check(from_line(line, rich_scorer.fields))


def test_a_file_of_recorded_requests_is_read_back_where_it_was_written(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_bytes(b"".join(to_line(Request(**request)) for request in rich_requests[:20]))
    result = score_file(rich_scorer, file, tmp_path / "scores.jsonl")
    assert (result.requests, result.missing_context, result.missing_behaviours) == (20, (), ())
    assert result.untimed_behaviours == 0
