"""What a call went through and when, for the line about one that took long."""

from __future__ import annotations

import time

from dien.serving.http.queue import Job


class Stages:
    """The stages of a scoring call; it is in the first from now on, and always in one.

    Attributes:
        size: what was asked, for people; empty as long as it is not known.
    """

    def __init__(self) -> None:
        self.size = ""
        self._began = [("checking", time.monotonic())]

    def begin(self, stage: str) -> None:
        """Enter the next stage."""
        self._began.append((stage, time.monotonic()))

    def was_put(self, job: Job) -> None:
        """Note what became of a call that came to the queue."""
        requests = job.requests
        candidates = sum(len(request.candidates) for request in requests)
        self.size = f"{len(requests)} requests, {candidates} candidates, {job.work} steps"
        self._began += [(stage, at) for stage, at in (("queue", job.came), ("scoring", job.began)) if at]

    def slower_than(self, milliseconds: int, status: int) -> str | None:
        """Say how long each stage took, where all of them took longer; the last is where the call ended.

        Args:
            milliseconds: that are not told of.
            status: of the answer.
        """
        moments = [at for _, at in self._began] + [time.monotonic()]
        took = 1000 * (moments[-1] - moments[0])
        if took <= milliseconds:
            return None
        stages = ", ".join(
            f"{stage} {1000 * (end - began):.0f}"
            for (stage, began), end in zip(self._began, moments[1:], strict=True)
        )
        return f"slow: {status} after {took:.0f} ms: {stages}" + (self.size and f"; {self.size}")
