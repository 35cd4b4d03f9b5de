"""Another run takes the place of the one that answers, under load: nobody notices but by the scores."""

import gc
import math
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.damage import rewrite
from tests.serving.http.servers import Running, running

from dien.run import RESULT, WEIGHTS, Run
from dien.serving import Scorer

TOKEN = {"Authorization": "Bearer secret"}


def changed(run: Path, to: Path, factor: float) -> Path:
    """Copy a run with its weights multiplied."""
    shutil.copytree(run, to)
    rewrite(
        to / WEIGHTS, lambda tensors, _: tensors.update({name: w * factor for name, w in tensors.items()})
    )
    return to


@pytest.fixture(scope="module")
def other(rich_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose scores are others."""
    return changed(rich_run.path, tmp_path_factory.mktemp("other") / "run", 2)


def _without_result(run: Path) -> None:
    (run / RESULT).unlink()


def _cut(run: Path) -> None:
    content = (run / WEIGHTS).read_bytes()
    (run / WEIGHTS).write_bytes(content[: len(content) // 2])


def _of_another_shape(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("hidden_size: 6", "hidden_size: 7"))


BROKEN: dict[str, Callable[[Path], None]] = {
    "nothing": shutil.rmtree,
    "not finished": _without_result,
    "weights cut short": _cut,
    "weights of another shape": _of_another_shape,
    "no vocabulary": lambda run: shutil.rmtree(run / "vocabularies"),
    "no item ids": lambda run: (run / "items/ids.parquet").unlink(),
}


@pytest.fixture(scope="module")
def broken(rich_run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that cannot be used, each for another reason."""
    found = {}
    for name, spoil in BROKEN.items():
        found[name] = tmp_path_factory.mktemp("broken") / "run"
        shutil.copytree(rich_run.path, found[name])
        spoil(found[name])
    found["NaN"] = changed(rich_run.path, tmp_path_factory.mktemp("broken") / "run", math.nan)
    # Finite weights that make no finite scores: only scoring shows it.
    found["weights too large"] = changed(rich_run.path, tmp_path_factory.mktemp("broken") / "run", 1e30)
    return found


@pytest.fixture
def server(rich_run: Run, tmp_path: Path) -> Iterator[tuple[Running, Path]]:
    """A server of a link to a run."""
    served = tmp_path / "served"
    served.symlink_to(rich_run.path)
    with running(served, reload_token="secret", deadline_ms=30_000) as found:
        yield found, served


def reload(server: Running, body: Any = None) -> httpx.Response:
    return server.client.post("/reload", headers=TOKEN, json=body or {}, timeout=60)


def link(served: Path, run: Path) -> None:
    """Have a link lead elsewhere, in one step."""
    new = served.with_name("new")
    new.symlink_to(run)
    new.replace(served)


@pytest.mark.parametrize("name", [*BROKEN, "NaN", "weights too large"])
def test_a_broken_run_is_refused_with_the_reason_and_the_old_one_goes_on(
    name: str, server: tuple[Running, Path], broken: dict[str, Path], rich_requests: list[dict[str, Any]]
) -> None:
    found, _ = server
    before = found.score(rich_requests[0]).json()
    answer = reload(found, {"run": str(broken[name])})
    assert (answer.status_code, answer.json()["field"]) == (422, "run")
    assert f"model {before['model']} goes on" in answer.json()["error"]
    assert found.score(rich_requests[0]).json() == before


def test_a_folder_that_is_changed_after_it_was_loaded_changes_no_answer(
    rich_run: Run, tmp_path: Path, rich_requests: list[dict[str, Any]]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(rich_run.path, run)
    with running(run) as found:
        before = found.score(rich_requests[:5]).json()
        shutil.rmtree(run)
        assert found.score(rich_requests[:5]).json() == before


def test_many_reloads_under_load_fail_no_request_and_the_model_named_is_the_one_that_answers(
    server: tuple[Running, Path],
    rich_run: Run,
    other: Path,
    broken: dict[str, Path],
    rich_requests: list[dict[str, Any]],
) -> None:
    found, served = server
    asked = rich_requests[:6]
    expected, versions = {}, []
    for run in (other, rich_run.path):
        link(served, run)
        versions.append(reload(found).json()["version"])
        scorer = Scorer.load(run)
        expected[versions[-1]] = [scorer.score(**request) for request in asked]
    assert versions[0] != versions[1]
    differs = np.abs(expected[versions[0]][0] - expected[versions[1]][0]).max()
    assert differs > 1e-3

    stop, failures, answered = threading.Event(), list[str](), list[str]()

    def load() -> None:
        with httpx.Client(base_url=found.url, timeout=60) as client:
            number = 0
            while not stop.is_set():
                place = number % len(asked)
                number += 1
                answer = client.post("/score", json=asked[place])
                if answer.status_code != 200:
                    failures.append(answer.text)
                    continue
                version = answer.json()["model"]
                answered.append(version)
                wrong = np.abs(np.array(answer.json()["scores"]) - expected[version][place]).max()
                if wrong > 1e-6:
                    failures.append(f"{version}: {wrong}")

    models = [weakref.ref(found.service.model)]
    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    spoilt = list(broken.values())
    for number in range(24):
        if number % 3 == 2:
            link(served, spoilt[number // 3])
            assert reload(found).status_code == 422
        else:
            link(served, [other, rich_run.path][number % 2])
            answer = reload(found)
            assert answer.json()["version"] == versions[number % 2], answer.text
            models.append(weakref.ref(found.service.model))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(answered) == set(versions)
    for _ in range(500):  # the last answer of an old one may be on its way out
        gc.collect()
        if (kept := sum(model() is not None for model in models)) == 1:
            break
        time.sleep(0.02)
    assert kept == 1  # of those that were replaced nothing is kept


def test_of_two_reloads_at_once_the_second_is_refused(
    server: tuple[Running, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = server
    begun, go_on = threading.Event(), threading.Event()
    load = type(found.service.model).load

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return load(*arguments)

    monkeypatch.setattr(type(found.service.model), "load", slow)
    statuses = list[int]()
    first = threading.Thread(
        target=lambda: statuses.append(
            httpx.post(f"{found.url}/reload", headers=TOKEN, timeout=60).status_code
        )
    )
    first.start()
    assert begun.wait(30)
    assert reload(found).status_code == 409
    assert found.client.get("/ready").status_code == 200
    go_on.set()
    first.join()
    assert statuses == [200]
