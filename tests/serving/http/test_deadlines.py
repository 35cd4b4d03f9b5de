"""Requests that cannot be answered in time, or at all: refused at once, not computed."""

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.serving.http.servers import Running, running

from dien.run import Run
from dien.serving.http.queue import late

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
    stages = r"slow: 200 after (\d+) ms: checking (\d+), queue (\d+), scoring (\d+)"
    times = [
        list(map(int, found.groups()))
        for text in told
        if (found := re.fullmatch(f"{stages}; 1 requests, 2 candidates, 4 steps", text))
    ]
    assert len(times) == len(told) == 2
    for total, *parts in times:
        assert total > 50
        assert sum(parts) == pytest.approx(total, abs=2)
    assert times[0][3] > 50  # the first was held back while it was scored


def test_a_slow_call_that_is_refused_is_told_of_with_its_status_and_the_stage_it_ended_in(
    held: tuple[Running, threading.Event, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, sizes = held
    told, answers = list[str](), list[int]()
    monkeypatch.setattr(server.service, "_told", told.append)
    monkeypatch.setattr(server.service, "options", replace(server.service.options, slow_ms=20))
    late = {"X-Deadline-Ms": "1000"}
    assert server.score(ASKED, **late).status_code == 504
    assert re.fullmatch(r"slow: 504 after \d+ ms: checking \d+, queue \d+, scoring \d+; 1 req.*", told.pop())
    until_scored(sizes, 1)
    assert server.score(ASKED, **late).status_code == 504
    assert re.fullmatch(r"slow: 504 after \d+ ms: checking \d+, queue \d+; 1 requests.*", told.pop())

    # One that waits gives way to one that is more urgent.
    gives_way = in_thread(server, ASKED | {"candidates": ["i1"] * 9}, answers)
    while not server.service.queue.waiting:
        threading.Event().wait(0.01)
    threading.Event().wait(0.05)
    assert server.score(ASKED, priority="u=0", **late).status_code == 504
    gives_way.join()
    assert answers == [429]
    assert sorted(text.partition(" after")[0] for text in told) == ["slow: 429", "slow: 504"]

    told.clear()
    monkeypatch.setattr(server.service, "aside", _held_back)
    assert server.score(ASKED).status_code == 504
    assert re.fullmatch(r"slow: 504 after \d+ ms: checking \d+", told.pop())
    assert server.score({"candidates": 3}).status_code == 422
    assert told == []


async def _held_back(*arguments: object, **options: object) -> None:
    await asyncio.sleep(0.05)
    raise late()


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
