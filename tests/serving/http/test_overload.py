"""Far more requests than a server can score: those it takes are scored, all others are refused at once."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.serving.http.servers import Running, running

from dien.bench.load import Load, http
from dien.run import Run
from dien.serving import Scorer
from dien.serving.http.queue import Job, ScoringQueue
from dien.serving.http.refusals import RefusedError

ASKED = [
    {"candidates": [f"i{(k + n) % 25}" for n in range(20)], "history": ["i3"], "times": [1], "time": 2}
    for k in range(10)
]
BODIES = [http("POST", "/score", json.dumps(asked).encode()) for asked in ASKED]
STEPS = 40
"""Of each request."""


@pytest.fixture
def full(rich_run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Run a server of one thread that scores nothing until it has refused a request."""
    refused, put = threading.Event(), ScoringQueue.put

    def watched(queue: ScoringQueue, job: Job) -> None:
        try:
            put(queue, job)
        except RefusedError:
            refused.set()
            raise

    with running(rich_run.path, threads=1, queue=5 * STEPS, together=2 * STEPS) as found:
        scorer = found.service.model.scorer
        score_many = scorer.score_many

        def held_back(requests: list[Any], conversions: bool = False) -> Any:
            assert refused.wait(30)
            return score_many(requests, conversions)

        monkeypatch.setattr(ScoringQueue, "put", watched)
        monkeypatch.setattr(scorer, "score_many", held_back)
        try:
            yield found
        finally:
            refused.set()


def test_what_is_taken_has_the_scorers_scores_and_the_rest_is_refused_with_429(
    full: Running, rich_scorer: Scorer
) -> None:
    expected = [rich_scorer.score(user=None, **asked) for asked in ASKED]
    found = Load(("127.0.0.1", full.port), BODIES, np.linspace(0, 0.5, 300), keep=1, timeout=60).run()
    assert found.reasons == {}
    assert set(found.status.tolist()) == {200, 429}
    for answer in found.answers:
        body = json.loads(answer.body)
        if answer.status == 200:
            assert body["scores"] == pytest.approx(expected[answer.request % len(ASKED)].tolist(), abs=1e-6)
        else:
            assert body["error"].startswith("the queue is full")
    assert not np.isnan(found.score[found.status == 200]).any()
    assert full.service.queue.waiting == 0
    assert full.score(ASKED[0]).status_code == 200
