"""The queue of requests to score: bounded by their work, in order of urgency, scored by a thread a core.

Work is counted in steps: candidates × (1 + behaviours). Requests differ a thousandfold, so that a bound on
their number would bound nothing.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dien.serving.http.refusals import RefusedError, of_scorer
from dien.serving.http.served import Served
from dien.serving.request import CheckedRequest

logger = logging.getLogger(__name__)
Scores = list[NDArray[np.float64]]
"""Of each request of a job, as :meth:`dien.Scorer.score_many` gives it."""


def steps(request: CheckedRequest) -> int:
    """Count what a request costs: a step for each candidate, and for each behaviour it is compared with."""
    return max(1, len(request.candidates)) * (1 + len(request.history))


@dataclass(eq=False)
class Job:
    """Requests that came in one call, and are answered in one.

    Attributes:
        requests: to score, their values checked.
        model: what to score them with.
        conversions: whether to give conversions, too.
        deadline: when nobody waits for them any longer, by ``time.monotonic``.
        urgency: 0 first, 7 last, as RFC 9218 has it.
        work: steps that they cost.
        scores: what they get.
        came, began, ended: when it was put into the queue, was begun, and was scored; 0 for not yet.
        waits: whether it is in the queue.
    """

    requests: Sequence[CheckedRequest]
    model: Served
    conversions: bool
    deadline: float
    urgency: int = 3
    work: int = 0
    scores: Future[Scores] = field(default_factory=Future)
    came: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    waits: bool = False

    def __post_init__(self) -> None:
        self.work = self.work or sum(map(steps, self.requests))

    def late(self) -> bool:
        """Whether nobody waits any longer."""
        return time.monotonic() >= self.deadline


@dataclass(frozen=True)
class Batch:
    """Jobs that were scored together, as who measures is told.

    Attributes:
        jobs: of one model.
        seconds: that they took.
    """

    jobs: Sequence[Job]
    seconds: float


class ScoringQueue:
    """Scores jobs with a thread a core; a free thread takes what waits, up to a bound, and scores it as one.

    A job never waits for company: who comes to a free thread is begun at once.

    Args:
        threads: how many.
        most_waiting: steps that may wait; a job that comes to an empty queue may be larger.
        most_together: steps that are scored together; a larger job is scored alone.
        measured: told of each batch, in the thread that scored it.
    """

    def __init__(
        self,
        threads: int,
        most_waiting: int,
        most_together: int,
        measured: Callable[[Batch], None] = lambda batch: None,
    ) -> None:
        self._most_waiting, self._most_together, self._measured = most_waiting, most_together, measured
        self._heap: list[tuple[int, int, Job]] = []
        self._number = 0
        self._waiting = 0  # steps
        self._gone = 0  # entries of the heap that nobody waits for
        self._closed = False
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"scoring-{k}", daemon=True) for k in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Steps that wait."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether every thread still works."""
        return all(thread.is_alive() for thread in self._threads)

    def put(self, job: Job) -> None:
        """Have a job scored; its future says when.

        Where there is no room, less urgent jobs that wait give way, the newest of the least urgent first.

        Raises:
            RefusedError: 429 where the queue is full, 503 where it is closed.
        """
        job.came = time.monotonic()
        with self._change:
            if self._closed:
                raise RefusedError(503, "the server ends; ask another one", retry=True)
            given_way = self._make_room(job)
            job.waits = True
            heapq.heappush(self._heap, (job.urgency, self._number, job))
            self._number += 1
            self._waiting += job.work
            self._change.notify()
        for other in given_way:
            if other.scores.set_running_or_notify_cancel():
                other.scores.set_exception(_full())

    def withdraw(self, job: Job) -> None:
        """Take a job out that nobody waits for; one that is being scored already is scored to its end."""
        with self._change:
            if not (job.scores.cancel() and job.waits):
                return
            job.waits = False
            self._waiting -= job.work
            self._gone += 1
            if 2 * self._gone > len(self._heap):  # at once would take as long as the heap, for each
                self._keep([entry for entry in self._heap if entry[2].waits])

    def close(self, wait: bool = True) -> None:
        """Take no more jobs, score those that wait, and end the threads."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads if wait else ():
            thread.join()

    def _make_room(self, job: Job) -> list[Job]:
        """Take out what has to give way to a job.

        Raises:
            RefusedError: that is not enough.
        """
        over = self._waiting + job.work - self._most_waiting
        if over <= 0 or not self._waiting:
            return []
        waits = sorted(entry for entry in self._heap if entry[2].waits)
        give_way = []
        while waits and over > 0 and waits[-1][0] > job.urgency:
            other = waits.pop()[2]
            give_way.append(other)
            over -= other.work
        if over > 0 and waits:
            raise _full()
        for other in give_way:
            other.waits = False
            self._waiting -= other.work
        self._keep(waits)
        return give_way

    def _keep(self, entries: list[tuple[int, int, Job]]) -> None:
        heapq.heapify(entries)
        self._heap, self._gone = entries, 0

    def _work(self) -> None:
        for jobs in self._batches():
            began = time.monotonic()
            for job in jobs:
                job.began = began
            try:
                _score(jobs)
                self._measured(Batch(jobs, time.monotonic() - began))
            except BaseException as error:  # a thread that ends scores nothing ever after
                logger.error("scoring failed", exc_info=error)
                _fail(jobs, error)
            del jobs  # a model that was replaced is not kept until the next request

    def _batches(self) -> Iterator[list[Job]]:
        """Give what is to be scored next, until the queue is closed and empty."""
        while True:
            with self._change:
                while not self._heap:
                    if self._closed:
                        return
                    self._change.wait()
                jobs = self._taken()
            if jobs:
                yield jobs
            del jobs

    def _taken(self) -> list[Job]:
        """Take the first job, and those after it that can be scored with it."""
        jobs: list[Job] = []
        work = 0
        while self._heap:
            job = self._heap[0][2]
            if jobs and not (
                job.model is jobs[0].model
                and job.conversions == jobs[0].conversions
                and work + job.work <= self._most_together
            ):
                break
            heapq.heappop(self._heap)
            if not job.waits:
                self._gone -= 1
                continue
            job.waits = False
            self._waiting -= job.work
            if not job.scores.set_running_or_notify_cancel():
                continue
            if job.late():
                job.scores.set_exception(late())
                continue
            jobs.append(job)
            work += job.work
        return jobs


def late() -> RefusedError:
    """Make the refusal of a request past its deadline."""
    return RefusedError(504, "not done before its deadline; give it more time, or ask less", retry=True)


def _full() -> RefusedError:
    return RefusedError(429, "the queue is full; ask again later, or another server", retry=True)


def _fail(jobs: Sequence[Job], error: BaseException) -> None:
    """Tell all who still wait that their jobs have failed."""
    if not isinstance(error, Exception):  # as a panic of Rust, which no handler of requests expects
        error = RuntimeError(f"{type(error).__name__}: {error}")
    for job in jobs:
        if not job.scores.done():
            job.scores.set_exception(error)


def _score(jobs: Sequence[Job]) -> None:
    """Score jobs together; one that is refused or fails does not spoil the others."""
    requests = [request for job in jobs for request in job.requests]
    model, conversions = jobs[0].model, jobs[0].conversions
    try:
        scores = model.scorer.score_many(requests, conversions)
    except Exception as error:
        if len(jobs) > 1:
            for job in jobs:
                _score([job])
            return
        try:
            _fail(jobs, _named(jobs[0], error) if isinstance(error, ValueError) else error)
        except Exception as another:  # found while looking for the request that is refused
            _fail(jobs, another)
        return
    ended = time.monotonic()
    first = 0
    for job in jobs:
        job.ended = ended
        job.scores.set_result(scores[first : first + len(job.requests)])
        first += len(job.requests)


def _named(job: Job, error: ValueError) -> RefusedError:
    """Say which request of a job is refused, and for what."""
    if len(job.requests) == 1:
        return of_scorer(error)
    for place, request in enumerate(job.requests):
        if (its_own := _refusal(job, request)) is not None:
            return of_scorer(its_own, f"[{place}]")
    return of_scorer(error)


def _refusal(job: Job, request: CheckedRequest) -> ValueError | None:
    """Give what is wrong with one request of a job."""
    try:
        job.model.scorer.score_many([request], job.conversions)
    except ValueError as error:
        return error
    return None
