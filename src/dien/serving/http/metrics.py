"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from dien.serving.http.queue import Batch
from dien.serving.http.served import Served

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServerMetrics:
    """Counters of one server, apart from those of any other in the process.

    Args:
        waiting: gives the steps that wait in the queue.
    """

    def __init__(self, waiting: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory and processor time, where the system tells them
        self._answers = Counter(
            "dien_answers",
            "Answers by route and status.",
            ("route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "dien_answer_seconds",
            "From the head of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stage = Histogram(
            "dien_stage_seconds",
            "Time that scoring calls wait in the queue, and that their batch is scored.",
            ("stage",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._together = Histogram(
            "dien_batch_requests", "Requests scored together.", buckets=_REQUESTS, registry=self._registry
        )
        self._work = Counter(
            "dien_scored_steps", "Candidates * (1 + behaviours) scored.", registry=self._registry
        )
        self._reloads = Counter(
            "dien_reloads", "Runs loaded, and refused.", ("result",), registry=self._registry
        )
        self._warm_ups = Counter(
            "dien_warm_up_requests",
            "Recorded requests that a run was warmed up with: scored, and refused by it.",
            ("result",),
            registry=self._registry,
        )
        self._writings = Counter(
            "dien_record_writings",
            "Times that the file of recorded requests was written, and could not be.",
            ("result",),
            registry=self._registry,
        )
        self._model = Gauge(
            "dien_model", "1 for the model that answers.", ("version",), registry=self._registry
        )
        queue = Gauge("dien_queue_steps", "Candidates * (1 + behaviours) that wait.", registry=self._registry)
        queue.set_function(waiting)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._answers.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def scored(self, batch: Batch) -> None:
        """Count jobs that were scored together."""
        self._together.observe(sum(len(job.requests) for job in batch.jobs))
        self._work.inc(sum(job.work for job in batch.jobs))
        for job in batch.jobs:
            self._stage.labels("queue").observe(job.began - job.came)
            self._stage.labels("score").observe(batch.seconds)

    def reloaded(self, model: Served | None) -> None:
        """Count a run that was loaded; None for one that was refused."""
        self._reloads.labels("refused" if model is None else "loaded").inc()
        if model is not None:
            self._model.clear()
            self._model.labels(model.version).set(1)
            self._warm_ups.labels("scored").inc(model.warmed.recorded - model.warmed.refused)
            self._warm_ups.labels("refused").inc(model.warmed.refused)

    def wrote_recorded(self, well: bool) -> None:
        """Count a writing of the file of recorded requests."""
        self._writings.labels("written" if well else "failed").inc()

    def page(self) -> bytes:
        """Write all of it in the text format of Prometheus."""
        return generate_latest(self._registry)
