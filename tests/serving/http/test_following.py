"""A server of a folder of published models answers with the one that is current, and fails nobody."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.http.servers import Asking, Running, running
from tests.serving.publish.putting import changed, put

from dien.errors import RunError
from dien.published import CURRENT, MODELS, model_folder
from dien.run import WEIGHTS, Run
from dien.serving import Scorer
from dien.serving.http import server
from dien.serving.http.following import Following
from dien.serving.publish import rollback

TOKEN = {"Authorization": "Bearer secret"}
ASKED = {"candidates": ["1", "2"], "history": ["3"], "times": [1], "time": 2}


@pytest.fixture(scope="module")
def runs(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("followed")
    return [changed(small_run.path, folder / f"run-{number}", 1 - number / 10) for number in range(3)]


def until(met: Callable[[], bool]) -> None:
    for _ in range(1500):
        if met():
            return
        time.sleep(0.02)
    raise AssertionError("it has not come about")


def version(found: Running) -> str:
    return str(found.client.get("/model").json()["version"])


def test_it_answers_with_the_published_model_then_with_the_next_and_fails_no_request(
    runs: list[Path], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    versions = [put(shop, runs[0])]
    with running(shop) as found:
        assert version(found) == versions[0]
        assert found.client.get("/model").json()["run"] == versions[0]
        with Asking(found.url, ASKED, clients=2) as asking:
            for run in runs[1:]:
                versions.append(put(shop, run, keep=1))
                until(lambda: versions[-1] in asking.answered)
            assert not model_folder(shop, versions[0]).exists()  # it was removed while the server had it
            asking.answered.clear()
            rollback(shop)
            until(lambda: versions[1] in asking.answered)
    assert asking.failures == []
    expected = Scorer.load(runs[1]).score(
        None,
        ASKED["history"],
        ASKED["candidates"],
        times=[1],
        time=2,  # type: ignore[arg-type]
    )
    assert np.allclose(asking.answered[versions[1]], expected, atol=1e-6)


def test_a_loaded_model_needs_its_folder_no_more(runs: list[Path], tmp_path: Path) -> None:
    put(tmp_path, runs[0])
    with running(tmp_path) as found:
        before = found.score(ASKED).json()
        shutil.rmtree(tmp_path / MODELS)
        assert found.score(ASKED).json() == before
        (tmp_path / CURRENT).unlink()
        time.sleep(1.2)  # it has looked
        assert found.score(ASKED).json() == before


def test_a_published_model_that_cannot_be_loaded_is_told_of_once_and_the_old_one_goes_on(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Queue[str]()
    first = put(tmp_path, runs[0])
    with running(tmp_path) as found:
        monkeypatch.setattr(found.server, "_told", told.put)
        broken = Path(shutil.copytree(runs[1], tmp_path.with_name("broken")))
        (broken / WEIGHTS).write_bytes(b"")
        second = put(tmp_path, broken)
        said = told.get(timeout=30)
        assert said.startswith("not reloaded: ")
        assert second in said
        assert f"model {first} goes on" in said
        with pytest.raises(Empty):
            told.get(timeout=2.5)
        assert version(found) == first
        third = put(tmp_path, runs[2])
        assert told.get(timeout=30).startswith(f"reloaded: {model_folder(tmp_path.resolve(), third)}")
        assert version(found) == third


def test_a_published_model_that_could_not_be_loaded_is_tried_again_and_the_same_reason_told_once(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TRY_AGAIN", 0.01)
    told, tries = Queue[str](), list[int]()
    put(tmp_path, runs[0])
    with running(tmp_path) as found:
        load = type(found.service.model).load

        def busy(*arguments: Any) -> Any:
            tries.append(1)
            if len(tries) < 3:
                raise RunError("the disk is busy")
            return load(*arguments)

        monkeypatch.setattr(found.server, "_told", told.put)
        monkeypatch.setattr(type(found.service.model), "load", busy)
        second = put(tmp_path, runs[1])
        assert told.get(timeout=30).startswith("not reloaded: the disk is busy; ")
        assert told.get(timeout=30).startswith("reloaded: ")
        assert len(tries) == 3
        assert version(found) == second


def test_a_model_that_was_named_meanwhile_is_not_replaced_by_trying_again(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, runs[0])
    with running(tmp_path, reload_token="secret") as found:
        asked = list[int]()
        monkeypatch.setattr(found.server._following, "ask_again", lambda: asked.append(1))
        before = found.service.model
        found.server._unless_replaced(before)
        assert asked == [1]
        answer = found.client.post("/reload", headers=TOKEN, json={"run": str(runs[2])})
        assert answer.status_code == 200
        found.server._unless_replaced(before)
        assert asked == [1]


def test_a_folder_that_hangs_holds_up_no_request(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, runs[0])
    begun, go_on, looks = threading.Event(), threading.Event(), list[int]()
    with running(tmp_path) as found:

        def hangs() -> bool:
            looks.append(1)
            begun.set()
            assert go_on.wait(30)
            return False

        monkeypatch.setattr(found.server._following, "changed", hangs)
        assert begun.wait(30)
        time.sleep(1.2)  # it would have looked again
        assert found.score(ASKED).status_code == 200
        assert looks == [1]
        go_on.set()


def test_a_publish_during_another_reload_is_looked_into_afterwards(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, runs[0])
    with running(tmp_path, reload_token="secret") as found:
        begun, go_on = threading.Event(), threading.Event()
        load = type(found.service.model).load

        def slow(*arguments: Any) -> Any:
            model = load(*arguments)
            begun.set()
            assert go_on.wait(30)
            return model

        monkeypatch.setattr(type(found.service.model), "load", slow)
        statuses = list[int]()
        thread = threading.Thread(
            target=lambda: statuses.append(
                httpx.post(f"{found.url}/reload", headers=TOKEN, timeout=60).status_code
            )
        )
        thread.start()
        assert begun.wait(30)
        second = put(tmp_path, runs[1])
        time.sleep(1.2)  # it has looked
        go_on.set()
        thread.join()
        assert statuses == [200]
        until(lambda: version(found) == second)


def test_a_reload_by_http_reads_the_folder_again_and_a_publish_wins_over_another_run(
    runs: list[Path], tmp_path: Path
) -> None:
    first = put(tmp_path, runs[0])
    with running(tmp_path, reload_token="secret") as found:

        def reload(body: Any) -> str:
            return str(found.client.post("/reload", headers=TOKEN, json=body).json()["version"])

        assert reload({}) == first
        assert reload({"run": str(runs[1])}) != first
        third = put(tmp_path, runs[2])
        until(lambda: version(found) == third)
        assert reload({}) == third


def test_a_change_is_told_once_and_a_folder_without_current_json_never_changes(tmp_path: Path) -> None:
    following = Following(tmp_path)
    assert not following.changed()
    (tmp_path / CURRENT).write_text("{}")
    assert following.changed()
    assert not following.changed()
    following.ask_again()
    assert following.changed()
    (tmp_path / CURRENT).unlink()
    assert not following.changed()
