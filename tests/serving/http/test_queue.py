"""The queue: bounded by work, in order of urgency, scored together, and never after its deadline."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.serving.http.queue import Batch, Job, ScoringQueue
from dien.serving.http.refusals import RefusedError
from dien.serving.http.served import Served
from dien.serving.request import CheckedRequest

WAIT = 30


class Model:
    """Scores each candidate by the user's number, once its gate is open."""

    def __init__(self) -> None:
        self.scorer, self.calls = self, list[list[str | None]]()
        self.gate, self.begun = threading.Event(), threading.Semaphore(0)

    def score_many(self, requests: list[CheckedRequest], conversions: bool) -> list[Any]:
        self.calls.append([request.user for request in requests])
        self.begun.release()
        assert self.gate.wait(WAIT)
        if any(request.user == "-1" for request in requests):
            raise ValueError("time: found nothing")
        if any(request.user == "-2" for request in requests):
            raise RuntimeError("a defect")
        if any(request.user == "-3" for request in requests):
            raise _PanicError("a defect of a library")
        return [np.full(len(request.candidates), float(request.user or 0)) for request in requests]


def job(model: Model, user: int, candidates: int = 1, urgency: int = 3, seconds: float = WAIT) -> Job:
    request = CheckedRequest(
        user=str(user),
        history=[],
        candidates=["a"] * candidates,
        context={},
        behaviours={},
        times=None,
        time=None,
        candidate_features={},
        user_features={},
    )
    return Job([request], cast(Served, model), False, time.monotonic() + seconds, urgency)


@contextmanager
def queue(most: int = 100, together: int = 10, threads: int = 1) -> Iterator[tuple[ScoringQueue, Model, Job]]:
    """Make a queue whose threads are all busy until the gate opens; one of the jobs they score."""
    found, model = ScoringQueue(threads, most, together), Model()
    first = [job(model, 0) for _ in range(threads)]
    for one in first:
        found.put(one)
        assert model.begun.acquire(timeout=WAIT)
    try:
        yield found, model, first[0]
    finally:
        model.gate.set()
        found.close()


def status(one: Job) -> int:
    error = one.scores.exception(WAIT)
    assert isinstance(error, RefusedError)
    return error.status


def test_jobs_that_wait_are_scored_together_up_to_the_bound_and_each_gets_its_own_scores() -> None:
    with queue(together=3) as (found, model, first):
        jobs = [job(model, k, candidates=1 + k % 2) for k in range(1, 6)]
        for one in jobs:
            found.put(one)
        model.gate.set()
        assert [one.scores.result(WAIT)[0].tolist() for one in (first, *jobs)] == [
            [0.0], [1.0, 1.0], [2.0], [3.0, 3.0], [4.0], [5.0, 5.0],
        ]  # fmt: skip
    assert model.calls == [["0"], ["1", "2"], ["3", "4"], ["5"]]


def test_a_full_queue_refuses_by_work_and_takes_again_what_there_is_room_for() -> None:
    with queue(most=10) as (found, model, _):
        found.put(job(model, 1, candidates=9))
        with pytest.raises(RefusedError) as refused:
            found.put(job(model, 2, candidates=2))
        assert refused.value.status == 429
        found.put(job(model, 3, candidates=1))
        assert found.waiting == 10


def test_a_job_larger_than_the_queue_is_scored_when_nothing_waits_before_it() -> None:
    with queue(most=10) as (found, model, _):
        large = job(model, 7, candidates=50)
        found.put(large)
        model.gate.set()
        assert len(large.scores.result(WAIT)[0]) == 50


def test_urgent_jobs_go_first_and_the_newest_of_the_least_urgent_give_way_to_them() -> None:
    with queue(most=3, together=1) as (found, model, _):
        idle, later, usual = job(model, 1, urgency=7), job(model, 2, urgency=7), job(model, 3)
        for one in (idle, later, usual):
            found.put(one)
        urgent = job(model, 4, urgency=0)
        found.put(urgent)
        assert status(later) == 429
        with pytest.raises(RefusedError):
            found.put(job(model, 5, urgency=7))
        model.gate.set()
        for one in (idle, usual, urgent):
            one.scores.result(WAIT)
    assert model.calls == [["0"], ["4"], ["3"], ["1"]]


def test_a_job_past_its_deadline_is_not_scored() -> None:
    with queue(together=1) as (found, model, _):
        past, other = job(model, 1, seconds=-1), job(model, 2)
        found.put(past)
        found.put(other)
        model.gate.set()
        assert status(past) == 504
        other.scores.result(WAIT)
    assert model.calls == [["0"], ["2"]]


def test_a_job_that_is_withdrawn_is_not_scored_and_makes_room() -> None:
    with queue(most=5, together=1) as (found, model, _):
        gone = [job(model, k) for k in range(1, 6)]
        for one in gone:
            found.put(one)
        for one in gone:
            found.withdraw(one)
            found.withdraw(one)
        assert found.waiting == 0
        last = job(model, 9, candidates=5)
        found.put(last)
        model.gate.set()
        last.scores.result(WAIT)
        with pytest.raises(CancelledError):
            gone[0].scores.result(WAIT)
        found.withdraw(last)
        assert found.waiting == 0
    assert model.calls == [["0"], ["9"]]


def test_a_job_that_is_refused_spoils_no_other_of_its_batch() -> None:
    with queue() as (found, model, _):
        good, bad, defect = job(model, 1), job(model, -1), job(model, -2)
        for one in (good, bad, defect):
            found.put(one)
        model.gate.set()
        assert good.scores.result(WAIT)[0].tolist() == [1.0]
        assert status(bad) == 422
        assert isinstance(defect.scores.exception(WAIT), RuntimeError)
        assert found.alive


def test_of_several_requests_of_one_job_the_refusal_says_which() -> None:
    with queue() as (found, model, _):
        parts = [job(model, user).requests[0] for user in (1, -1)]
        both = Job(parts, cast(Served, model), False, time.monotonic() + WAIT)
        found.put(both)
        model.gate.set()
        error = both.scores.exception(WAIT)
        assert isinstance(error, RefusedError)
        assert error.field == "[1].time"


def test_jobs_of_two_models_are_not_scored_together() -> None:
    with queue() as (found, model, _):
        other = Model()
        other.gate.set()
        jobs = [job(model, 1), job(other, 2), job(model, 3)]
        for one in jobs:
            found.put(one)
        model.gate.set()
        assert [one.scores.result(WAIT)[0][0] for one in jobs] == [1, 2, 3]
    assert model.calls == [["0"], ["1"], ["3"]]
    assert other.calls == [["2"]]


def test_a_closed_queue_scores_what_waits_and_refuses_what_comes() -> None:
    with queue() as (found, model, _):
        waits = job(model, 1)
        found.put(waits)
        found.close(wait=False)
        with pytest.raises(RefusedError) as refused:
            found.put(job(model, 2))
        assert refused.value.status == 503
        model.gate.set()
        assert waits.scores.result(WAIT)[0].tolist() == [1.0]


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 7), st.booleans(), st.booleans()), min_size=1, max_size=30
    )
)
def test_every_job_ends_and_no_steps_are_left_over(drawn: list[tuple[int, int, bool, bool]]) -> None:
    seen: list[Batch] = []
    model = Model()
    found = ScoringQueue(2, 20, 10, seen.append)
    jobs, taken = [], 0
    for number, (candidates, urgency, withdrawn, past) in enumerate(drawn):
        one = job(model, number, candidates, urgency, -1 if past else WAIT)
        try:
            found.put(one)
        except RefusedError:
            continue
        jobs.append(one)
        if withdrawn:
            found.withdraw(one)
    model.gate.set()
    found.close()
    assert found.waiting == 0
    for one in jobs:
        assert one.scores.done()
        taken += not one.scores.cancelled() and one.scores.exception() is None
    assert sum(len(batch.jobs) for batch in seen) == taken
    for batch in seen:
        assert len(batch.jobs) == 1 or sum(one.work for one in batch.jobs) <= 10


def test_what_fails_while_the_refused_request_is_looked_for_ends_no_thread_and_leaves_no_job() -> None:
    with queue() as (found, model, _):
        parts = [job(model, user).requests[0] for user in (-2, -1)]
        both, other = Job(parts, cast(Served, model), False, time.monotonic() + WAIT), job(model, 1)
        found.put(both)
        found.put(other)
        model.gate.set()
        # Together they are refused as -1 is; the first, alone, shows the defect.
        assert isinstance(both.scores.exception(WAIT), RuntimeError)
        assert other.scores.result(WAIT)[0].tolist() == [1.0]
        assert found.alive


class _PanicError(BaseException):
    """What a library in Rust raises."""


@pytest.mark.parametrize("error", [ZeroDivisionError("of the counters"), _PanicError("of a library")])
def test_a_thread_outlives_whatever_is_raised(error: BaseException) -> None:
    raised = list[bool]()

    def fails_once(batch: Batch) -> None:
        if not raised:
            raised.append(True)
            raise error

    model = Model()
    model.gate.set()
    found = ScoringQueue(1, 100, 10, fails_once)
    for user in (1, 2):
        one = job(model, user)
        found.put(one)
        assert one.scores.result(WAIT)[0].tolist() == [user]
    assert (raised, found.alive) == ([True], True)
    found.close()


def test_a_panic_while_scoring_is_told_to_each_job() -> None:
    with queue() as (found, model, _):
        jobs = [job(model, 1), job(model, -3)]
        for one in jobs:
            found.put(one)
        model.gate.set()
        assert all(isinstance(one.scores.exception(WAIT), RuntimeError) for one in jobs)
        after = job(model, 4)
        found.put(after)
        assert after.scores.result(WAIT)[0].tolist() == [4.0]
