"""A server under load beside the scorer alone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dien.bench.load import Plan, Target, measure_serving, running, search
from dien.errors import DienError
from dien.run import WEIGHTS, Run
from dien.serving import Scorer
from tests.damage import rewrite
from tests.serving.http.servers import Running
from tests.serving.http.servers import running as serving

PLAN: dict[str, Any] = {"candidates": 5, "history": 3, "seconds": 0.3, "rounds": 2}


@pytest.fixture(scope="module")
def server(small_run: Run) -> Iterator[Running]:
    with serving(small_run.path) as found:
        yield found


@pytest.fixture(scope="module")
def target(server: Running) -> Target:
    return running(server.url)


@pytest.fixture(scope="module")
def scorer(small_run: Run) -> Scorer:
    return Scorer(small_run)


def test_a_rate_is_sent_and_every_request_is_accounted_for(scorer: Scorer, target: Target) -> None:
    steps = list[int]()
    found = measure_serving(scorer, target, Plan(**PLAN, rate=30), steps.append)
    assert steps == [1] * 4
    assert found == json.loads(json.dumps(found))
    load = found["load"]
    assert load["requests"] == load["scored"] + sum(load["refused"].values()) + load["unanswered"]
    assert load["refused"] == {}
    assert found["answers_checked"] > 0
    assert found["bound_ms"] is None
    assert all(stage is not None for stage in load["stages"].values())
    assert found["ratio"]["median"] > 0


def test_a_multiple_of_the_scorers_rate_and_the_highest_rate_within_a_bound(
    scorer: Scorer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measure_serving(scorer, target, Plan(**PLAN, load=0.1))
    assert found["ratio"]["median"] < 0.3
    monkeypatch.setattr(search, "FARTHEST", 1)
    one = PLAN | {"seconds": 0.1, "rounds": 1}
    found = measure_serving(scorer, target, Plan(**one, bound=10))
    assert found["bound_ms"] == 10_000
    assert found["server_per_second"]["median"] > 0
    found = measure_serving(scorer, target, Plan(**one, bound=1e-9))
    assert found["load"] is None
    assert found["server_per_second"]["median"] == 0


def test_a_server_that_refuses_every_request_is_an_error_with_its_reason(
    small_run: Run, scorer: Scorer
) -> None:
    with (
        serving(small_run.path, largest=3) as strict,
        pytest.raises(DienError, match=r"scored none of .* with 413 \(.*expected 3 at most.*fewer"),
    ):
        measure_serving(scorer, running(strict.url), Plan(**PLAN, bound=1))


def test_scores_of_another_run_are_an_error(small_run: Run, target: Target, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(small_run.path, other)
    rewrite(other / WEIGHTS, lambda tensors, _: tensors.update({name: 2 * w for name, w in tensors.items()}))
    with pytest.raises(DienError, match="are not those of this run"):
        measure_serving(Scorer.load(other), target, Plan(**PLAN, rate=30))
