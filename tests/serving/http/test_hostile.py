"""Clients that send what nobody expects: each gets an answer that says so, and the server is as before."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.serving.http.servers import Running, running

from dien.run import Run
from dien.serving.http.users import UNKNOWN

ASKED = {
    "user": "u1",
    "history": ["i1", "i2"],
    "candidates": ["i3", "i4"],
    "context": {"hour": 3, "zone": "zone1", "position": 0.5, "wanted": ["tag1"]},
    "behaviours": {"action": ["action1", None], "dwell": [1.5, 2], "labels": [["label1"], []]},
    "times": [100, 200],
    "time": 300,
    "candidate_features": {"price": [1.5, None]},
    "user_features": {"age": 40},
    "conversions": False,
}
OBSERVED = {
    "user": "u1",
    "behaviours": [{"item": "i1", "time": 5, "features": {"dwell": 2.5}, "event": "e1"}],
}
TENSORS = {
    "id": "r1",
    "parameters": {"priority": 1, "timeout": 20_000_000},
    "inputs": [
        {"name": "candidates", "shape": [2], "datatype": "BYTES", "data": ["i1", "i2"]},
        {"name": "behaviours.dwell", "shape": [1], "datatype": "FP64", "data": [0.5]},
        {"name": "history", "shape": [1], "datatype": "BYTES", "data": ["i3"]},
        {"name": "times", "shape": [1], "datatype": "INT64", "data": [5]},
        {"name": "time", "shape": [1], "datatype": "INT64", "data": [9]},
    ],
    "outputs": [{"name": "scores", "parameters": {"binary_data": True}}],
}
BODIES = {"/score": ASKED, "/observe": OBSERVED, "/v2/models/dien/infer": TENSORS}
REFUSED = {400, 413, 422}
LATE = 504
"""Of a body that has a short timeout, or a header that has a short deadline."""
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, 2**63, 2**64, -(2**63) - 1, 10**400, "", "i1", "\0", "\ud800", "é",
    "9" * 400,
    [], [None], [[]], [["i1"]], {}, {"": 0}, {"a": {"a": {}}}, "2024-01-31T10:00:00Z", "NaN", "x" * 5000,
]  # fmt: skip


@pytest.fixture(scope="module")
def server(rich_run: Run) -> Iterator[Running]:
    with running(rich_run.path, store="memory:", reload_token="secret") as found:
        yield found


@pytest.fixture(autouse=True)
def _as_before(
    server: Running, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """See that nothing is left of a test in the server, and that nothing failed."""
    before = server.score(ASKED)
    assert before.status_code == 200, before.text
    yield
    assert server.score(ASKED).json() == before.json()
    assert server.service.queue.waiting == 0
    assert server.service.users is not None
    users = server.service.users
    for _ in range(1000):  # a thread has answered before its turn is over
        if not users.reads.in_hand + users.writes.in_hand:
            break
        time.sleep(0.01)
    assert users.reads.in_hand + users.writes.in_hand == 0
    assert server.client.get("/health").status_code == 200
    assert len(server.server.server_state.tasks) <= 1
    assert "Traceback" not in capfd.readouterr().err
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_route_answers_as_its_page_says(mode: GenerationMode, server: Running) -> None:
    page = schemathesis.openapi.from_url(f"{server.url}/docs/openapi.json")
    routes = [found.ok() for found in page.get_all_operations()]
    assert len(routes) == 16

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(routes).flatmap(lambda route: route.as_strategy(generation_mode=mode)))
    def call(case: schemathesis.Case) -> None:
        response = case.call(timeout=30)
        late = response.status_code == LATE or (response.status_code == 503 and UNKNOWN in response.text)
        assert response.status_code < 500 or late, response.text
        # What a run takes, as the names of its features, is in no schema.
        case.validate_response(response, excluded_checks=[positive_data_acceptance, not_a_server_error])

    call()


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path to every value of a body."""
    yield path
    if isinstance(body, dict):
        for key in body:
            yield from places(body[key], (*path, key))
    if isinstance(body, list):
        for key in range(len(body)):
            yield from places(body[key], (*path, key))


def replaced(body: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = body.copy()
    copied[path[0]] = replaced(body[path[0]], path[1:], new)
    return copied


@settings(max_examples=100)
@given(st.sampled_from(list(BODIES)), st.data())
def test_a_body_with_another_value_in_any_place_is_answered_or_refused(
    server: Running, path: str, data: st.DataObject
) -> None:
    body: Any = BODIES[path]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(body))))
        body = replaced(body, place, data.draw(st.sampled_from(ODD)))
    if data.draw(st.booleans()):
        body = [ASKED, body]
    answer = server.client.post(path, content=json.dumps(body))
    assert answer.status_code in {200, LATE, *REFUSED}, (answer.status_code, body)
    if answer.status_code != 200:
        assert answer.json()["error"]


@settings(max_examples=100)
@given(st.sampled_from(list(BODIES)), st.data())
def test_a_body_with_other_bytes_is_answered_or_refused(
    server: Running, path: str, data: st.DataObject
) -> None:
    body = bytearray(json.dumps(BODIES[path]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        length = data.draw(st.integers(0, 9))
        body[place : place + length] = data.draw(st.binary(max_size=4))
    headers = {}
    if data.draw(st.booleans()):
        headers["Inference-Header-Content-Length"] = str(data.draw(st.integers(0, len(body) + 2)))
    answer = server.client.post(path, content=bytes(body), headers=headers)
    assert answer.status_code in {200, LATE, *REFUSED}, (answer.status_code, body)


def test_five_thousand_mutated_bodies_are_answered_or_refused(server: Running) -> None:
    draw, statuses = random.Random(0), Counter[int]()
    for _ in range(5000):
        path = draw.choice(list(BODIES))
        body: Any = BODIES[path]
        for _ in range(draw.randrange(3)):
            body = replaced(body, draw.choice(list(places(body))), draw.choice(ODD))
        content = bytearray(json.dumps([ASKED, body] if draw.random() < 0.1 else body).encode())
        for _ in range(draw.choice([0, 0, 1, 4])):
            place = draw.randrange(len(content) + 1)
            content[place : place + draw.randrange(9)] = draw.randbytes(draw.randrange(5))
        answer = server.client.post(path, content=bytes(content))
        assert answer.status_code in {200, LATE, *REFUSED}, (answer.status_code, content)
        assert answer.status_code == 200 or answer.json()["error"]
        statuses[answer.status_code] += 1
    assert min(statuses[status] for status in (200, 400, 422)) > 100


@settings(max_examples=60)
@given(
    st.sampled_from(["X-Deadline-Ms", "Priority", "Authorization", "Content-Type", "Content-Encoding"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
)
def test_any_value_of_a_header_is_answered_or_refused(server: Running, name: str, value: str) -> None:
    headers = {name: value.encode("latin-1")}
    for path, body in BODIES.items():
        answer = server.client.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code in {200, LATE, *REFUSED} or UNKNOWN in answer.text, answer.text
    assert server.client.post("/reload", headers=headers).status_code == 401


def test_a_deep_or_a_wide_body_is_refused(server: Running) -> None:
    deep = b"[" * 20_000 + b"]" * 20_000
    asked = json.dumps(ASKED).encode()
    for path in BODIES:
        for body in (deep, asked.replace(b"40", deep), b'{"a":' * 9000, b"[" + b"[]," * 9000 + b"[]]"):
            assert server.client.post(path, content=body).status_code in REFUSED
