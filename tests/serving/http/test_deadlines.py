"""Requests that cannot be answered in time, or at all: refused at once, not computed."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.serving.http.servers import Running, running

from dien.run import Run

ASKED = {"candidates": ["i1", "i2"], "history": ["i3"], "times": [1], "time": 2}


@pytest.fixture
def held(
    rich_run: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Running, threading.Event, list[int]]]:
    """Run a server of one thread that scores nothing until the event is set; and sizes of what it scored."""
    with running(rich_run.path, threads=1, queue=20, together=1, deadline_ms=20_000) as found:
        scorer = found.service.model.scorer
        gate, sizes, score_many = threading.Event(), list[int](), scorer.score_many

        def held_back(requests: list[Any], conversions: bool = False) -> Any:
            sizes.append(len(requests[0].candidates))
            assert gate.wait(30)
            return score_many(requests, conversions)

        monkeypatch.setattr(scorer, "score_many", held_back)
        try:
            yield found, gate, sizes
        finally:
            gate.set()


def in_thread(server: Running, body: Any, answers: list[int]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(server.score(body).status_code))
    thread.start()
    return thread


def until_scored(sizes: list[int], number: int) -> None:
    for _ in range(3000):
        if len(sizes) >= number:
            return
        threading.Event().wait(0.01)
    raise AssertionError(sizes)


def test_past_its_deadline_a_request_is_answered_with_504_and_never_scored(
    held: tuple[Running, threading.Event, list[int]],
) -> None:
    server, gate, sizes = held
    answers = list[int]()
    first = in_thread(server, ASKED, answers)
    until_scored(sizes, 1)
    answer = server.score({**ASKED, "candidates": ["i1"] * 5}, **{"X-Deadline-Ms": "50"})
    assert answer.status_code == 504
    assert answer.headers["retry-after"] == "1"
    gate.set()
    first.join()
    assert answers == [200]
    assert server.score(ASKED).status_code == 200
    assert sizes == [2, 2]


def test_a_slow_call_is_told_of_with_its_stage_times(
    held: tuple[Running, threading.Event, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, gate, sizes = held
    told, answers = list[str](), list[int]()
    monkeypatch.setattr(server.service, "_told", told.append)
    monkeypatch.setattr(server.service, "options", replace(server.service.options, slow_ms=50))
    threads = [in_thread(server, ASKED, answers)]
    until_scored(sizes, 1)
    threads.append(in_thread(server, ASKED, answers))
    threading.Event().wait(0.1)
    gate.set()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    stages = [re.findall(r"(\d+) (?:ms|in the queue|scored)", text) for text in told]
    for total, waited, scored in stages:
        assert int(total) > 50
        assert int(total) + 2 >= int(waited) + int(scored)
    assert "1 requests, 2 candidates, 4 steps" in told[0]
    assert int(stages[0][2]) > 50  # the first was held back while it was scored


def test_a_full_queue_answers_429_and_the_others_are_scored(
    held: tuple[Running, threading.Event, list[int]],
) -> None:
    server, gate, sizes = held
    answers = list[int]()
    threads = [in_thread(server, ASKED, answers)]
    until_scored(sizes, 1)
    statuses = []
    for _ in range(40):
        answer = server.score({**ASKED, "candidates": ["i1"] * 4}, **{"X-Deadline-Ms": "1"})
        statuses.append(answer.status_code)
    assert set(statuses) == {504}  # each leaves the queue again
    threads += [in_thread(server, {**ASKED, "candidates": ["i1"] * 5}, answers) for _ in range(6)]
    while len(answers) < 4:  # 20 steps wait, of two calls
        threading.Event().wait(0.01)
    assert answers == [429] * 4
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 3 + [429] * 4


def test_a_server_that_ends_answers_what_it_has_taken_and_refuses_the_rest(
    held: tuple[Running, threading.Event, list[int]],
) -> None:
    server, gate, sizes = held
    answers = list[int]()
    taken = in_thread(server, ASKED, answers)
    until_scored(sizes, 1)
    server.service.draining = True
    assert server.score(ASKED).status_code == 503
    assert server.client.get("/ready").status_code == 503
    assert server.client.get("/health").status_code == 200
    server.server.stop()
    gate.set()
    taken.join()
    assert answers == [200]
