"""What the routes share: the model that answers now, the queue before it, and how a model takes its place."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dien.serving.http.bounded import BoundedThreads, LateError
from dien.serving.http.metrics import ServerMetrics
from dien.serving.http.options import ServerOptions
from dien.serving.http.queue import Job, ScoringQueue, late
from dien.serving.http.recording import Recorder, read_sample
from dien.serving.http.refusals import RefusedError
from dien.serving.http.served import Served
from dien.serving.http.stages import Stages
from dien.serving.http.telling import FewLines
from dien.serving.http.users import Users
from dien.serving.request import CheckedRequest
from dien.serving.store import open_store

Found = TypeVar("Found")
QUICK = 1 << 16
"""Bytes of a call that are checked at once; for more, which take milliseconds, all others would wait."""
WARM_UPS = 64
"""Recorded requests that a model is warmed up with."""
MOST_CHECKED = 256
"""Calls that may wait to be checked in a thread: each keeps its body in memory."""


class Service:
    """A model that answers, and the threads that score with it.

    Args:
        run: folder of the run; a link is followed at every reload.
        options: of the server.
        told: told of slow calls, and of what is amiss with recorded requests, in a sentence each.

    Attributes:
        model: that answers now.
        draining: whether the server is to end, and takes no more requests.
        metrics: what is counted.
        checking: thread that checks large calls.
        users: their behaviours; None where there is no store.
        recorder: of a sample of the requests that were scored; None for none.

    Raises:
        RunError: the folder is no finished run.
        ConfigError: the store's URL is none, or the file to record to holds something else.
        StoreError: the store cannot be opened.
    """

    def __init__(
        self, run: Path, options: ServerOptions, told: Callable[[str], None] = lambda text: None
    ) -> None:
        self.run, self.options, self._told = run, options, told
        self._slow = FewLines(lambda text: self._told(text))
        self.draining = False
        sample = None if options.record is None else read_sample(options.record)
        recorded = [] if sample is None else sample.spread(WARM_UPS)
        self.model = Served.load(run, options.name, options.device, recorded)
        store = None if options.store is None else open_store(options.store, most=options.store_most)
        self.users = None if store is None else Users(store)
        self.metrics = ServerMetrics(lambda: self.queue.waiting)
        self.queue = ScoringQueue(options.threads, options.queue, options.together, self.metrics.scored)
        self._begin(self.model)
        self.recorder: Recorder | None = None
        if options.record is not None and sample is not None:
            self.recorder = Recorder(options.record, sample, told, self.metrics.wrote_recorded)
        self.checking = BoundedThreads(
            1, "checking", MOST_CHECKED, "too many large calls wait to be checked; ask again later"
        )
        self._loading = ThreadPoolExecutor(1, "loading")
        self._reload = asyncio.Lock()

    def expect_alive(self) -> None:
        """Say so where a thread that scores has ended by itself, which is a defect.

        Raises:
            RefusedError: 503.
        """
        if not (self.queue.alive or self.draining):
            raise RefusedError(503, "a scoring thread has ended; start the server again")

    def expect_open(self) -> None:
        """Refuse a request once the server is to end.

        Raises:
            RefusedError: 503.
        """
        if self.draining:
            raise RefusedError(503, "the server ends; ask another one", retry=True)

    async def aside(self, call: Callable[[], Found], *, large: bool, deadline: float) -> Found:
        """Check a call: at once where it is small, else in a thread, so that others go on.

        Args:
            call: what checks it.
            large: whether that may take milliseconds.
            deadline: when nobody waits any longer, by ``time.monotonic``.

        Raises:
            RefusedError: 429 or 504, or as the call.
        """
        if not large:
            return call()
        try:
            return await self.checking.run(call, deadline)
        except LateError:
            raise late() from None

    async def score(
        self,
        requests: Sequence[CheckedRequest],
        *,
        model: Served,
        conversions: bool = False,
        deadline: float,
        urgency: int = 3,
        stages: Stages,
    ) -> Job:
        """Score requests together, as one call.

        Args:
            requests: of the call, checked by the model.
            model: to score with.
            conversions: whether to give conversions, too.
            deadline: when nobody waits any longer, by ``time.monotonic``.
            urgency: 0 first, 7 last.
            stages: of the call, which note those to come.

        Returns:
            The job, which has its scores.

        Raises:
            RefusedError: 413, 422, 429, 503 or 504, as the case may be.
        """
        job = Job(requests, model, conversions, deadline, urgency)
        if job.work > self.options.largest:
            raise RefusedError(
                413,
                f"found {job.work} steps (candidates * (1 + behaviours)), expected {self.options.largest} "
                "at most; ask for fewer candidates in one call",
                "candidates",
            )
        if job.late():
            raise late()
        try:
            self.queue.put(job)
            await asyncio.wait_for(asyncio.wrap_future(job.scores), deadline - time.monotonic())
        except asyncio.TimeoutError:
            raise late() from None
        finally:
            self.queue.withdraw(job)
            stages.was_put(job)
        return job

    @contextmanager
    def timed(self) -> Iterator[Stages]:
        """Time a call, and tell of it where it took long, whatever it was answered with."""
        stages = Stages()
        try:
            yield stages
        except RefusedError as error:
            self._tell_if_slow(stages, error.status)
            raise
        self._tell_if_slow(stages, 200)

    def _tell_if_slow(self, stages: Stages, status: int) -> None:
        """Tell of a call that took long; of ten a second at most."""
        slow = self.options.slow_ms
        if slow is not None and (text := stages.slower_than(slow, status)) is not None:
            self._slow.tell(text)

    async def reload(self, run: Path | None = None) -> Served:
        """Load a run and have it answer; what was taken before is scored by the one before.

        Args:
            run: its folder; None for the one that is served, which may be a link to another by now.

        Raises:
            RefusedError: 409 where another reload is under way, 422 where the run cannot be used, which
                changes nothing.
        """
        if self._reload.locked():
            raise RefusedError(409, "another run is being loaded; wait for its end", retry=True)
        async with self._reload:
            loop, options = asyncio.get_running_loop(), self.options
            recorded = [] if self.recorder is None else self.recorder.spread(WARM_UPS)
            try:
                model = await loop.run_in_executor(
                    self._loading, _loaded, run or self.run, options.name, options.device, recorded
                )
            except Exception as error:  # whatever a broken folder raises, the model before goes on
                self.metrics.reloaded(None)
                said = str(error) or type(error).__name__
                raise RefusedError(422, f"{said}; model {self.model.version} goes on", "run") from error
            self.run = run or self.run
            self._begin(model)
            return model

    def _begin(self, model: Served) -> None:
        """Have a model answer from now on."""
        self.model = model
        self.metrics.reloaded(model)
        if model.warmed.refused:
            self._told(str(model.warmed))

    def close(self) -> None:
        """Score what waits, and end the threads."""
        self.queue.close()
        if self.users is not None:
            self.users.close()
        if self.recorder is not None:
            self.recorder.close()
        self.checking.close()
        self._loading.shutdown()
        self._slow.close()


def _loaded(run: Path, name: str, device: str, recorded: Sequence[bytes]) -> Served:
    """Load a run, and free at once what that leaves in circles: later there would be gaps in the memory."""
    try:
        return Served.load(run, name, device, recorded)
    finally:
        gc.collect()
