"""The generator: an open loop, each request noted with what became of it."""

import itertools
import socket
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.bench.load import UNANSWERED, Load, http
from tests.bench.load.answering import answer, answering

ASKED = [http("POST", "/score", b'{"n": %d}' % n, X_Number=str(n)) for n in range(3)]


def test_requests_are_sent_when_due_though_none_of_those_before_has_an_answer() -> None:
    all_there = threading.Barrier(40)  # nobody is answered until 40 have asked

    def how(request: bytes) -> bytes:
        all_there.wait(30)
        return answer()

    with answering(how) as address:
        found = Load(address, ASKED, np.linspace(0, 0.1, 40), timeout=60).run()
    assert (found.status == 200).all()
    assert found.connections == 40
    assert (found.sent >= found.due).all()
    assert (found.done >= found.sent).all()


def test_latency_counts_from_when_a_request_was_due_and_not_from_when_it_was_sent() -> None:
    with answering(lambda request: answer()) as address:
        found = Load(address, ASKED, np.zeros(20), connections=1).run()
    assert found.connections == 1
    assert (found.sent[1:] >= found.done[:-1]).all()  # each waits for the one connection
    assert np.array_equal(found.latency, found.done)
    assert (found.late[1:] > 0).all()


@settings(max_examples=10)
@given(st.lists(st.sampled_from([200, 429, 503]), min_size=1, max_size=30), st.integers(1, 5))
def test_every_request_has_the_status_and_the_stages_of_its_own_answer(
    statuses: list[int], connections: int
) -> None:
    asked = [http("POST", "/score", b"%d" % n) for n in range(len(statuses))]

    def how(request: bytes) -> bytes:
        number = int(request.rpartition(b"\n")[2])
        timing = f"queue;dur={number}.5, score;dur={2 * number}"
        return answer(statuses[number], b"%d" % number, Server_Timing=timing)

    with answering(how) as address:
        due = np.linspace(0, 0.02, len(asked))
        found = Load(address, asked, due, keep=2, connections=connections).run()
    assert found.status.tolist() == statuses
    numbers = np.arange(len(statuses))
    assert found.queue == pytest.approx((numbers + 0.5) / 1000)
    assert found.score == pytest.approx(2 * numbers / 1000)
    kept = sorted((one.request, one.status, one.body) for one in found.answers)
    assert kept == [(n, statuses[n], b"%d" % n) for n in range(0, len(statuses), 2)]


def test_a_connection_that_breaks_or_an_answer_too_late_is_noted_and_the_rest_goes_on() -> None:
    numbers = itertools.count()
    never = threading.Event()

    def how(request: bytes) -> bytes | None:
        number = next(numbers)
        if number == 1:
            return None
        if number == 2:
            never.wait(30)
        return answer(Connection="close") if number == 3 else answer()

    with answering(how) as address:
        found = Load(address, ASKED, np.linspace(0, 0.2, 6), timeout=2).run()
        never.set()
    assert sorted(found.status.tolist()) == [UNANSWERED] * 2 + [200] * 4
    assert sum(found.reasons.values()) == 2
    assert found.reasons["no answer in time"] == 1
    assert np.isnan(found.done[found.status == UNANSWERED]).all()


def test_where_nobody_listens_every_request_is_noted_as_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        address = one.getsockname()
    found = Load(address, ASKED, np.zeros(5), timeout=5).run()
    assert (found.status == UNANSWERED).all()
    assert sum(found.reasons.values()) == 5


def test_large_requests_and_answers_come_through_whole() -> None:
    body = bytes(range(256)) * 40_000  # more than a socket takes at once
    with answering(lambda request: answer(body=request.partition(b"\r\n\r\n")[2])) as address:
        found = Load(address, [http("POST", "/", body)], np.zeros(2), keep=1, timeout=60).run()
    assert [one.body == body for one in found.answers] == [True, True]
