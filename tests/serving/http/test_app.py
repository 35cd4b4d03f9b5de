"""The routes: the scorer's own answers, and refusals that name the field."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.serving.http.servers import Running, running

from dien.run import Run
from dien.serving import Scorer


@pytest.fixture(scope="module")
def server(rich_run: Run) -> Iterator[Running]:
    with running(rich_run.path, largest=2000, largest_body=20_000, reload_token="secret") as found:
        yield found


@pytest.fixture(scope="module")
def version(server: Running) -> str:
    found: str = server.client.get("/model").json()["version"]
    return found


def problem(answer: Any) -> tuple[int, str, str | None]:
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert set(found) == {"error", "field"}
    return answer.status_code, found["error"], found["field"]


def test_the_answer_is_what_the_scorer_gives_to_the_last_digit(
    server: Running, version: str, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    for request in rich_requests[:20]:
        answer = server.score(request)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"scores": rich_scorer.score(**request).tolist(), "model": version}


def test_a_list_is_answered_in_its_order(
    server: Running, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    some = rich_requests[:7]
    answers = server.score(some).json()
    assert len(answers) == len(some)
    for answer, request in zip(answers, some, strict=True):
        assert answer["scores"] == pytest.approx(rich_scorer.score(**request).tolist(), abs=1e-6)
    assert server.score([]).json() == []
    assert server.score({"candidates": [], "history": []}).json()["scores"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"history": []}, "candidates"),
        ({"candidates": 3, "history": []}, "candidates"),
        ({"candidates": ["1", 1.5], "history": []}, "candidates[1]"),
        ({"candidates": [1 << 70], "history": []}, "candidates"),
        ({"candidates": ["1"], "history": [], "behaviors": {}}, "behaviors"),
        ({"candidates": ["1"], "history": [], "context": {"hours": 3}}, "context"),
        ({"candidates": ["1"], "history": [], "context": {"hour": [3]}}, "hour"),
        ({"candidates": ["1"], "history": ["1"], "times": [1, 2]}, "times"),
        ({"candidates": ["1"], "history": [], "time": "yesterday"}, "time"),
        ({"candidates": ["1"]}, "history"),
        ([{"candidates": ["1"], "history": []}, {"candidates": ["1"]}], "[1].history"),
        ([{"candidates": ["1"], "history": []}, {"candidates": ["1"], "history": [None]}], "[1].history[0]"),
        (
            [{"candidates": ["1"], "history": []}, {"candidates": ["1"], "history": [], "time": "x"}],
            "[1].time",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_the_name_of_its_field(server: Running, body: Any, field: str) -> None:
    status, error, named = problem(server.score(body))
    assert (status, named) == (422, field)
    assert error


def test_conversions_are_refused_of_a_run_that_has_none_without_naming_its_folder(
    server: Running, rich_run: Run
) -> None:
    asked = {"candidates": ["1"], "history": [], "conversions": True}
    status, error, _ = problem(server.score(asked))
    assert status == 422
    assert "does not predict conversions" in error
    assert str(rich_run.path) not in error


@pytest.mark.parametrize(
    ("name", "value"), [("X-Deadline-Ms", "0"), ("X-Deadline-Ms", "soon"), ("X-Deadline-Ms", "")]
)
def test_a_header_that_is_none_is_refused_by_name(server: Running, name: str, value: str) -> None:
    body = {"candidates": ["1"], "history": []}
    assert problem(server.score(body, **{name: value}))[::2] == (422, name)


@pytest.mark.parametrize("priority", ["u=0", "i, u=7", "u=9", "fast", "u=1, i"])
def test_any_priority_is_taken_as_the_standard_has_it(server: Running, priority: str) -> None:
    body = {"candidates": ["1"], "history": []}
    assert server.score(body, Priority=priority).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"candidates": ["\xff"]}', b"[" * 10_000])
def test_what_is_no_json_is_refused(server: Running, body: bytes) -> None:
    assert problem(server.client.post("/score", content=body))[0] in (400, 422)


def test_a_call_of_too_much_work_and_a_body_of_too_many_bytes_are_too_large(server: Running) -> None:
    many = {"candidates": ["1"] * 1001, "history": ["1", "2"]}
    status, error, field = problem(server.score(many))
    assert (status, field) == (413, "candidates")
    assert "3003" in error
    large = {"candidates": ["x" * 20_000], "history": []}
    assert problem(server.score(large))[0] == 413

    def chunks() -> Iterator[bytes]:  # of unknown length
        yield b'{"candidates": ["'
        yield from (b"x" * 1000 for _ in range(30))

    assert problem(server.client.post("/score", content=chunks()))[0] == 413


def test_a_call_of_too_many_requests_is_too_large(server: Running) -> None:
    small = {"candidates": [], "history": []}
    assert len(server.score([small] * 500).json()) == 500
    with running(server.service.run) as found:
        status, error, _ = problem(found.score([small] * 1001))
    assert status == 413
    assert "found 1001 requests, expected 1000" in error


def test_a_server_whose_scoring_threads_have_ended_is_neither_alive_nor_ready(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ("/health", "/ready", "/v2/health/live", "/v2/health/ready", "/v2/models/dien/ready")
    assert [server.client.get(path).status_code for path in paths] == [200] * 5
    monkeypatch.setattr(type(server.service.queue), "alive", False)
    assert [server.client.get(path).status_code for path in paths] == [503] * 5


def test_what_is_not_there_is_not_found(server: Running) -> None:
    assert problem(server.client.get("/scores"))[0] == 404
    assert problem(server.client.get("/score"))[0] == 405


def test_a_token_is_needed_to_reload(server: Running, version: str) -> None:
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
        answer = server.client.post("/reload", headers=headers)
        assert problem(answer)[0] == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = server.client.post("/reload", headers={"Authorization": "Bearer secret"})
    assert answer.json()["version"] == version


def test_the_page_of_the_model_says_what_a_request_may_have(server: Running, rich_scorer: Scorer) -> None:
    found = server.client.get("/model").json()
    assert found["context"] == [field.name for field in rich_scorer.fields.context]
    assert found["behaviours"] == ["action", "dwell", "labels"]
    assert found["model"] == "dien"
    assert found["run"] == server.service.run.name  # not where it is on the machine
    assert server.client.get("/health").json() == {"status": "ok"}
    assert server.client.get("/ready").json() == {"status": "ok"}


def test_the_openapi_page_is_of_the_structures_that_are_read(server: Running) -> None:
    found = server.client.get("/docs/openapi.json").json()
    assert {"/score", "/reload", "/health", "/ready", "/model", "/metrics"} <= set(found["paths"])
    schema = found["components"]["schemas"]["ScoreRequest"]
    assert schema["required"] == ["candidates"]
    assert "behaviours" in schema["properties"]
    assert set(found["paths"]["/score"]["post"]["responses"]) >= {"200", "413", "422", "429", "503", "504"}


def test_the_page_for_people_has_every_route_and_structure_and_loads_nothing(server: Running) -> None:
    answer, plain = server.client.get("/docs"), server.client.get("/docs/openapi.json").json()
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(", answer.text)
    for path, routes in plain["paths"].items():
        for method in routes:
            assert f"<h2>{method.upper()} {path}</h2>" in answer.text
    schemas = plain["components"]["schemas"]
    assert set(re.findall("<h2 id='(.*?)'>", answer.text)) == set(schemas)
    linked = re.findall("<a href='(.*?)'>", answer.text)
    assert {link[1:] for link in linked if link[0] == "#"} <= set(schemas)
    assert server.client.get(linked[0]).json() == plain
    asked = answer.text.partition("<h2 id='ScoreRequest'>")[2].partition("</table>")[0]
    names = re.findall("<td><code>(.*?)</code></td>", asked)
    assert names == list(schemas["ScoreRequest"]["properties"])
    assert "<td><code>candidates</code></td><td>list of " in asked


def test_the_counters_count_every_answer_by_route_and_unknown_paths_as_one(server: Running) -> None:
    def counted(line: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(line))

    refused, other = 'dien_answers_total{route="/score",status="422"}', 'route="other"'
    before = counted(refused)
    server.score({"candidates": 3})
    assert counted(refused) == before + 1
    server.client.get("/a")
    server.client.get("/b")
    assert counted('dien_answers_total{route="other",status="404"}') >= 2
    text = server.client.get("/metrics").text
    assert other in text
    assert 'route="/a"' not in text
    assert counted("dien_scored_steps_total") > 0


def test_an_answer_says_how_long_it_waited_and_was_scored(
    server: Running, rich_requests: list[dict[str, Any]]
) -> None:
    began = time.monotonic()
    answer = server.score(rich_requests[0])
    took = 1000 * (time.monotonic() - began)
    said = re.fullmatch(r"queue;dur=([0-9.]+), score;dur=([0-9.]+)", answer.headers["server-timing"])
    assert said is not None
    assert 0 < float(said[1]) + float(said[2]) <= took + 0.01


def test_numbers_of_an_answer_read_back_as_they_were(server: Running) -> None:
    raw = server.score({"candidates": ["i1", "i2"], "history": ["i3"]}).content
    assert msgspec.json.decode(raw)["scores"] == json.loads(raw)["scores"]
