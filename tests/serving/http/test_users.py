"""Histories from the store: what was observed is scored as if the request had brought it along."""

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.http.servers import Running, running

from dien.errors import StoreError
from dien.run import Run
from dien.serving import Scorer
from dien.serving.http.options import ServerOptions
from dien.serving.http.service import Service
from dien.serving.http.users import UNKNOWN

FEATURES = ("action", "dwell", "labels")


@pytest.fixture(scope="module")
def server(rich_run: Run) -> Iterator[Running]:
    with running(rich_run.path, store="memory:", store_most=50, observe_token="seen") as found:
        yield found


def observe(server: Running, body: Any, token: str = "seen") -> httpx.Response:
    return server.client.post("/observe", json=body, headers={"Authorization": f"Bearer {token}"})


def behaviours_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Write the history of a request as what was observed."""
    columns = request["behaviours"]
    return [
        {
            "item": item,
            "time": request["times"][k],
            "event": f"{request['user']}-{request['times'][k]}",
            "features": {name: columns[name][k] for name in FEATURES},
        }
        for k, item in enumerate(request["history"])
    ]


def test_what_was_observed_is_scored_as_if_the_request_had_it(
    server: Running, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    last = {request["user"]: request for request in rich_requests}  # each user's longest history
    some = [request for request in last.values() if len(request["history"]) <= 50][:8]
    for request in some:
        behaviours = behaviours_of(request)
        answer = observe(server, {"user": request["user"], "behaviours": behaviours[::-1]})
        assert answer.json() == {"added": len(behaviours), "duplicates": 0, "trimmed": 0}
        again = observe(server, {"user": request["user"], "behaviours": behaviours[:3]})
        assert again.json()["duplicates"] == min(3, len(behaviours))
    names = ("user", "candidates", "context", "time")
    asked = [{name: request[name] for name in names} for request in some]
    for request, answer in zip(some, server.score(asked).json(), strict=True):
        expected = rich_scorer.score(**request).tolist()
        assert answer["scores"] == pytest.approx(expected, abs=1e-6)
        one = server.score({name: request[name] for name in names}).json()
        assert one["scores"] == pytest.approx(expected, abs=1e-9)


def test_of_a_list_some_bring_their_history_and_some_have_it_from_the_store(
    server: Running, rich_scorer: Scorer
) -> None:
    observe(server, [{"user": "here", "behaviours": [{"item": "i3", "time": 5}]}])
    own = {"candidates": ["i1"], "history": ["i2"], "times": [5], "time": 9}
    answers = server.score([own, {"user": "here", "candidates": ["i1"], "time": 9}, own]).json()
    assert answers[0]["scores"] == pytest.approx(answers[2]["scores"], abs=1e-6)
    expected = rich_scorer.score("here", ["i3"], ["i1"], times=[5], time=9)
    assert answers[1]["scores"] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_user_that_the_store_does_not_know_has_an_empty_history(
    server: Running, rich_scorer: Scorer
) -> None:
    found = server.score({"user": "u1000", "candidates": ["i1", "i2"], "time": 9}).json()
    assert found["scores"] == pytest.approx(rich_scorer.score("u1000", [], ["i1", "i2"], time=9).tolist())


def test_what_happens_without_a_time_happens_now(server: Running) -> None:
    before = int(time.time())
    assert observe(server, {"user": "now", "behaviours": [{"item": "i1"}]}).status_code == 200
    users = server.service.users
    assert users is not None
    (found,) = users._store.read(["now"], 5)
    assert found[0].time is not None
    assert before <= found[0].time <= int(time.time())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user": "u1"}, "behaviours"),
        ({"user": None, "behaviours": []}, "user"),
        ({"user": "u1", "behaviours": [{"time": 3}]}, "behaviours[0].item"),
        ({"user": "u1", "behaviours": [{"item": "i1", "when": 3}]}, "behaviours[0].when"),
        ({"user": "u1", "behaviours": [{"item": "i1", "features": {"dwel": 3}}]}, "behaviours"),
        ({"user": "u1", "behaviours": [{"item": "i1", "features": {"dwell": "x"}}]}, "dwell"),
        ({"user": "u1", "behaviours": [{"item": "i1", "time": -1}]}, "behaviours[0].time"),
        ({"user": "u1", "behaviours": [{"item": "i1", "event": ""}]}, "behaviours[0].event"),
        ([{"user": "u1", "behaviours": [{"item": "i1", "features": {"dwell": "x"}}]}], "[0].dwell"),
    ],
)
def test_what_could_not_be_scored_is_not_stored(server: Running, body: Any, field: str) -> None:
    answer = observe(server, body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert server.score({"user": "u1", "candidates": ["i1"], "time": 9}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"candidates": ["i1"]}, "user"),
        ({"user": "u1", "candidates": ["i1"], "times": []}, "times"),
        ([{"user": "u1", "candidates": ["i1"], "behaviours": {}}], "[0].behaviours"),
    ],
)
def test_what_belongs_to_a_history_of_its_own_is_refused_without_one(
    server: Running, body: Any, field: str
) -> None:
    answer = server.score(body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_token_is_needed_to_observe(server: Running) -> None:
    body = {"user": "nobody", "behaviours": [{"item": "i1"}]}
    assert observe(server, body, "other").status_code == 401
    assert server.client.post("/observe", json=body).status_code == 401
    users = server.service.users
    assert users is not None
    assert users._store.read(["nobody"], 5) == [[]]


def test_a_store_that_fails_is_said_with_503_and_the_log_has_the_reason(
    server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    users = server.service.users
    assert users is not None

    def fails(*arguments: Any) -> Any:
        raise StoreError("memory: gone")

    for name in ("read", "append", "append_many"):
        monkeypatch.setattr(users._store, name, fails)
    answers = (
        server.score({"user": "u1", "candidates": ["i1"]}),
        observe(server, {"user": "u1", "behaviours": []}),
        observe(server, []),
    )
    for answer in answers:
        assert answer.status_code == 503
        assert "the server's log says why" in answer.json()["error"]
        assert "gone" not in answer.text
    assert caplog.text.count("memory: gone") >= 3
    assert [UNKNOWN in answer.text for answer in answers] == [False, True, True]
    assert server.score({"candidates": ["i1"], "history": []}).status_code == 200


def test_a_store_that_hangs_is_waited_for_until_the_deadline(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = server.service.users
    assert users is not None
    monkeypatch.setattr(users._store, "read", lambda *arguments: time.sleep(1))
    told = list[str]()
    monkeypatch.setattr(server.service, "_told", told.append)
    monkeypatch.setattr(server.service, "options", replace(server.service.options, slow_ms=10))
    asked = {"user": "u1", "candidates": ["i1"]}
    assert server.score(asked, **{"X-Deadline-Ms": "20"}).status_code == 504
    assert re.fullmatch(r"slow: 504 after \d+ ms: checking \d+, histories \d+", told.pop())
    monkeypatch.setattr(users.reads, "_most", 0)
    assert server.score(asked).status_code == 429
    assert observe(server, {"user": "u1", "behaviours": []}).status_code == 200  # writes wait by themselves


def test_a_write_that_hangs_is_waited_for_until_the_deadline_and_may_have_been_made(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = server.service.users
    assert users is not None
    gate, append = threading.Event(), users._store.append

    def held(*arguments: Any) -> Any:
        assert gate.wait(30)
        return append(*arguments)

    monkeypatch.setattr(users._store, "append", held)
    body = {"user": "late", "behaviours": [{"item": "i1", "event": "e"}]}
    headers = {"Authorization": "Bearer seen", "X-Deadline-Ms": "500"}
    answer = server.client.post("/observe", json=body, headers=headers)
    gate.set()
    assert answer.status_code == 503
    assert UNKNOWN in answer.json()["error"]
    assert observe(server, body).status_code == 200  # the same again is safe: it has the id of an event
    assert len(users._store.read(["late"], 5)[0]) == 1


def test_a_user_whom_a_list_names_many_times_is_read_once(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = server.service.users
    assert users is not None
    observe(server, {"user": "often", "behaviours": [{"item": "i3", "time": 5}]})
    read, asked_for = users._store.read, list[Any]()

    def noted(of: Any, most: int) -> Any:
        asked_for.append(list(of))
        return read(of, most)

    monkeypatch.setattr(users._store, "read", noted)
    asked = {"user": "often", "candidates": ["i1"], "time": 9}
    answers = server.score([asked, {**asked, "user": "other"}, asked]).json()
    assert asked_for == [["often", "other"]]
    first, other, last = (answer["scores"] for answer in answers)
    assert first == pytest.approx(last, abs=1e-6)
    assert first != pytest.approx(other, abs=1e-6)


def test_more_histories_than_a_call_may_have_are_refused_before_any_is_read(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = server.service.users
    assert users is not None
    longest = server.service.model.scorer.run.config.model.longest_history
    options = replace(server.service.options, largest=3 * longest)
    monkeypatch.setattr(server.service, "options", options)
    asked = {"user": "u", "candidates": ["i1"]}
    assert server.score([asked] * 3).status_code == 200
    monkeypatch.setattr(users._store, "read", None)
    answer = server.score([asked] * 4)
    assert (answer.status_code, answer.json()["field"]) == (413, "history")
    assert f"{3 * longest} behaviours" in answer.json()["error"]


def test_without_a_store_nothing_is_observed(rich_run: Run) -> None:
    with running(rich_run.path) as found:
        assert observe(found, {"user": "u1", "behaviours": []}).status_code == 404


def test_behaviours_on_disk_are_there_for_the_next_server(rich_run: Run, tmp_path: Path) -> None:
    store = f"lmdb:{tmp_path / 'store'}?size=16MiB"
    asked = {"user": "u1", "candidates": ["i1"], "time": 9}
    with running(rich_run.path, store=store) as found:
        body = {"user": "u1", "behaviours": [{"item": "i1", "time": 3}]}
        assert found.client.post("/observe", json=body).status_code == 200
        before = found.score(asked).json()
    with running(rich_run.path, store=store) as found:
        assert found.score(asked).json() == before


def test_what_is_no_store_is_refused_before_anything_is_served(rich_run: Run) -> None:
    with pytest.raises(ValueError, match="nothing:"):
        Service(rich_run.path, ServerOptions(store="nothing:"))
