"""A server under load beside the scorer alone, in turns, so that what slows the machine slows both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from dien.bench.load.alone import rate_alone, seconds_alone
from dien.bench.load.arrivals import poisson
from dien.bench.load.client import Load
from dien.bench.load.drawn import as_http, draw
from dien.bench.load.records import UNANSWERED, Records
from dien.bench.load.search import highest
from dien.bench.load.server import Target
from dien.bench.load.summary import holds, summary
from dien.bench.measure import quartiles
from dien.errors import DienError
from dien.progress import Progress
from dien.serving import Scorer

CHECKED = 50
"""Answers of a run whose scores are compared with the scorer's."""
DIFFERENCE = 1e-5
"""Of a score, from the same in another batch: sums are in float32."""
BOUND = 10
"""Times one request takes alone, within which the 99th percentile is to be where no bound is given."""
WARM_UP = 1.0
"""Seconds of load before anything is measured."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send.

    Attributes:
        candidates: of each request.
        history: behaviours of each.
        seconds: of each run.
        rounds: in each the scorer alone and then the server.
        threads: of the scorer alone, and of the server.
        rate: requests a second; None for another way to choose it.
        load: rate as a multiple of the scorer's alone in the same round; likewise.
        bound: seconds; the highest rate at which the 99th percentile is within it. It is what is searched
            where all three are None: then it is ten times what one request takes alone.
        deadline: seconds, the server's.
        seed: of the arrivals.
    """

    candidates: int = 200
    history: int = 100
    seconds: float = 10.0
    rounds: int = 3
    threads: int = 1
    rate: float | None = None
    load: float | None = None
    bound: float | None = None
    deadline: float = 1.0
    seed: int = 0


class Sender:
    """Sends loads to a server, each with other arrivals, and checks the scores of some answers.

    Args:
        target: the server.
        requests: arguments of :meth:`dien.Scorer.score`.
        scorer: gives what their scores are.
        seed: of the arrivals.
        timeout: seconds after which an answer is no longer waited for.
    """

    def __init__(
        self,
        target: Target,
        requests: list[dict[str, Any]],
        scorer: Scorer,
        seed: int = 0,
        timeout: float = 10.0,
    ) -> None:
        self._target, self._bodies, self._timeout = target, as_http(requests), timeout
        self._expected = [scorer.score(**request) for request in requests]
        self._seed = seed
        self.checked = 0

    def send(self, rate: float, seconds: float) -> Records:
        """Send a load.

        Args:
            rate: requests a second in the mean.
            seconds: how long.

        Raises:
            DienError: a score is another than the scorer's.
        """
        self._seed += 1
        due = poisson(rate, seconds, self._seed)
        found = Load(
            self._target.address,
            self._bodies,
            due,
            timeout=self._timeout,
            keep=max(1, len(due) // CHECKED),
        ).run()
        for answer in found.answers:
            if answer.status == 200:
                self._check(answer.request, answer.body)
        return found

    def _check(self, request: int, body: bytes) -> None:
        expected = self._expected[request % len(self._expected)]
        scores = np.array(msgspec.json.decode(body)["scores"])
        if scores.shape != expected.shape or np.abs(scores - expected).max() > DIFFERENCE:
            raise DienError(
                "the server's scores are not those of this run; give the run that it serves, and do not let "
                "it be replaced meanwhile"
            )
        self.checked += 1


def measure_serving(
    scorer: Scorer, target: Target, plan: Plan, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure a server under load, in turns with the scorer alone.

    Args:
        scorer: of the run that is served.
        target: the server.
        plan: what to send.
        progress: called with 1 after each run.

    Returns:
        Plain data for JSON: quartiles over rounds of the scorer's rate alone, of the server's rate and of
        their ratio, what :func:`~dien.bench.load.summary.summary` gives of all rounds together, and what the
        server's process takes.

    Raises:
        DienError: the server does not answer, scores no request, or its scores are not the run's.
    """
    requests = draw(scorer, plan.candidates, plan.history)
    sender = Sender(target, requests, scorer, 1000 * plan.seed)
    one = seconds_alone(scorer, requests)
    bound = BOUND * one if plan.bound is None else plan.bound
    _expect_scores(sender.send(1 / one, WARM_UP))
    before, wall, cpu = target.usage(), 0.0, 0.0
    alone, rates, loads = list[float](), list[float](), list[Records]()

    def send(rate: float) -> Records:
        nonlocal wall, cpu
        begin = target.usage().cpu
        found = sender.send(rate, plan.seconds)
        end = target.usage().cpu
        if begin is not None and end is not None:
            wall, cpu = wall + found.wall, cpu + end - begin
        if progress:
            progress(1)
        return found

    for _ in range(plan.rounds):
        alone.append(rate_alone(scorer, requests, plan.threads, plan.seconds))
        if progress:
            progress(1)
        if plan.rate is not None or plan.load is not None:
            rate = plan.rate if plan.rate is not None else (plan.load or 0.0) * alone[-1]
            found = send(rate)
            loads.append(found)
            rates.append(float((found.status == 200).sum()) / found.wall)
        else:
            best = _Best(send, bound)
            rates.append(highest(best, alone[-1]))
            loads += best.loads
    after = target.usage()
    searched = plan.rate is None and plan.load is None
    return {
        "candidates": plan.candidates,
        "history": plan.history,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "threads": plan.threads,
        "one_request_ms": 1000 * one,
        "bound_ms": 1000 * bound if searched else None,
        "scorer_per_second": quartiles(alone),
        "server_per_second": quartiles(rates),
        "ratio": quartiles([of / beside for of, beside in zip(rates, alone, strict=True)]),
        "server_cores": cpu / wall if wall else None,
        "server_megabytes": {"begin": before.megabytes, "end": after.megabytes},
        "answers_checked": sender.checked,
        "load": summary(loads, plan.deadline) if loads else None,
    }


def _expect_scores(found: Records) -> None:
    """Say why a server scores nothing: all that is measured would be of refusals.

    Raises:
        DienError: it has scored none of several requests.
    """
    if not len(found.status) or (found.status == 200).any():
        return
    said = {answer.status: answer.body for answer in found.answers}
    refused = [status for status in np.unique(found.status).tolist() if status != UNANSWERED]
    became = [
        f"{int((found.status == status).sum()):,} with {status}"
        + (f" ({said[status][:300].decode(errors='replace')})" if status in said else "")
        for status in refused
    ]
    became += [f"{count:,} without an answer ({reason})" for reason, count in found.reasons.items()]
    raise DienError(
        f"the server scored none of {len(found.status):,} requests: {', '.join(became)}; ask for fewer "
        "candidates or behaviours, or start the server with other limits"
    )


class _Best:
    """Tries rates, and keeps the load of the highest that is held."""

    def __init__(self, send: Callable[[float], Records], bound: float) -> None:
        self._send, self._bound = send, bound
        self._rate = 0.0
        self.loads: list[Records] = []

    def __call__(self, rate: float) -> bool:
        found = self._send(rate)
        held = holds(found, self._bound)
        if held and rate > self._rate:
            self._rate, self.loads = rate, [found]
        return held
