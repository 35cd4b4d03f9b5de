"""What was acknowledged is there, whatever is killed or full meanwhile."""

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.serving.http.servers import process, running
from tests.serving.store.redis_server import RedisServer

from dien.run import Run
from dien.serving.store import open_store

MOST = 100_000
"""Behaviours that are kept of a user: none is trimmed."""
USERS = ["user 0", "user 1", "user 2"]


class Clients:
    """Clients that observe and score all the time, and what they were answered; 0 is no answer."""

    def __init__(self, url: str) -> None:
        self.observed: list[tuple[str, int]] = []
        self.scored: list[int] = []
        self._url, self._stop = url, threading.Event()
        self._threads = [threading.Thread(target=self._observe, args=(number,)) for number in range(3)]
        self._threads.append(threading.Thread(target=self._score))
        for thread in self._threads:
            thread.start()

    @property
    def acknowledged(self) -> set[str]:
        return {event for event, status in self.observed if status == 200}

    @property
    def refused(self) -> int:
        return sum(status == 503 for _, status in self.observed)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _observe(self, client: int) -> None:
        for number in range(MOST):
            if self._stop.is_set():
                break
            event = f"{client}-{number}"
            behaviour = {"item": f"i{number % 20}", "time": number, "event": event}
            body = {"user": USERS[number % 3], "behaviours": [behaviour]}
            self.observed.append((event, self._ask("/observe", body)))

    def _score(self) -> None:
        while not self._stop.is_set():
            self.scored.append(self._ask("/score", {"candidates": ["i1", "i2"], "history": ["i3"]}))

    def _ask(self, path: str, body: object) -> int:
        try:
            return httpx.post(self._url + path, json=body, timeout=30).status_code
        except httpx.TransportError:
            time.sleep(0.01)
            return 0


@contextmanager
def asking(url: str) -> Iterator[Clients]:
    found = Clients(url)
    try:
        yield found
    finally:
        found.stop()


def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


def events_in(store: str) -> list[str | None]:
    with closing(open_store(store, most=MOST)) as opened:
        return [one.event for kept in opened.read(USERS, MOST) for one in kept]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed otherwise there")
def test_a_server_that_is_killed_has_kept_what_it_acknowledged_and_starts_again(
    rich_run: Run, tmp_path: Path
) -> None:
    store = f"lmdb:{tmp_path / 'store'}?durability=process"
    options = ("--store", store, "--store-most", str(MOST))
    with process(rich_run.path, *options) as (found, url), asking(url) as clients:
        until(lambda: len(clients.acknowledged) >= 100 and len(clients.scored) >= 20)
        found.kill()
        found.wait()
    assert set(clients.scored) <= {200, 0}
    kept = events_in(store)
    assert clients.acknowledged <= set(kept)
    assert len(kept) == len(set(kept))
    with process(rich_run.path, *options) as (_, url):
        answer = httpx.post(f"{url}/score", json={"user": USERS[0], "candidates": ["i1"]}, timeout=60)
        assert answer.status_code == 200
        again = {"item": "i1", "time": 9, "event": next(iter(clients.acknowledged))}
        bodies = [{"user": user, "behaviours": [again]} for user in USERS]
        answer = httpx.post(f"{url}/observe", json=bodies, timeout=60)
        assert answer.json()["duplicates"] == 1


def test_a_valkey_that_is_killed_has_kept_what_was_acknowledged_and_the_server_goes_on(
    rich_run: Run, tmp_path: Path
) -> None:
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as store:
        with (
            running(rich_run.path, store=store.url, store_most=MOST) as server,
            asking(server.url) as clients,
        ):
            until(lambda: len(clients.acknowledged) >= 100)
            store.kill()
            until(lambda: clients.refused >= 3)
            without = len(clients.scored)
            until(lambda: len(clients.scored) >= without + 5)
            store.start()
            before = len(clients.acknowledged)
            until(lambda: len(clients.acknowledged) >= before + 20)
        kept = events_in(store.url)
    assert set(clients.scored) == {200}
    assert {status for _, status in clients.observed} == {200, 503}
    assert clients.acknowledged <= set(kept)
    assert len(kept) == len(set(kept))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_full_disk_under_the_store_fails_what_is_observed_and_nothing_else(
    rich_run: Run, tmp_path: Path
) -> None:
    store = f"lmdb:{tmp_path / 'store'}"
    huge = [{"item": "x" * 500, "event": f"huge {number}"} for number in range(3000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with running(rich_run.path, store=store, store_most=MOST) as server, asking(server.url) as clients:

        def observe() -> httpx.Response:
            return server.client.post("/observe", json={"user": "huge", "behaviours": huge})

        until(lambda: len(clients.acknowledged) >= 20)
        size = (tmp_path / "store/data.mdb").stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, hard))  # no file may grow beyond
            answer = observe()
            assert answer.status_code == 503
            assert "the server's log says why" in answer.json()["error"]
            before = len(clients.scored)
            until(lambda: len(clients.scored) >= before + 5)
            for user in (USERS[0], "huge"):
                assert server.score({"user": user, "candidates": ["i1"]}).status_code == 200
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert observe().json() == {"added": 3000, "duplicates": 0, "trimmed": 0}
    assert set(clients.scored) == {200}
    assert {status for _, status in clients.observed} <= {200, 503}
    kept = events_in(store)
    assert clients.acknowledged <= set(kept)
    assert len(kept) == len(set(kept))
