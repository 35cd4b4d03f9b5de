"""A server in a thread of this process, or as a process, and requests to it."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
from tests.cli.running import command

from dien.serving.http.options import ServerOptions
from dien.serving.http.server import DienServer, run_loop
from dien.serving.http.service import Service


@contextmanager
def process(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; its address."""
    line = command("serve", run, "--port", "0", "--threads", "1", "--json", *options)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as found:
        assert found.stdout is not None
        try:
            yield found, json.loads(found.stdout.readline())["url"]
        finally:
            found.kill()


class Running:
    """A server that runs, and a client of it."""

    def __init__(self, server: DienServer, url: str) -> None:
        self.server, self.url = server, url
        self.client = httpx.Client(base_url=url, timeout=30)

    def score(self, body: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/score", json=body, headers=named)

    @property
    def service(self) -> Service:
        assert self.server.service is not None
        return self.server.service

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


class Asking:
    """Clients that ask a server the same all the time.

    Attributes:
        answered: the scores of each model that has answered.
        failures: the bodies of other answers than 200.
    """

    def __init__(self, url: str, asked: Any, clients: int = 1, pause: float = 0.0) -> None:
        self.answered, self.failures = dict[str, list[float]](), list[str]()
        self._url, self._asked, self._pause = url, asked, pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stop.is_set():
                answer = client.post("/score", json=self._asked)
                if answer.status_code == 200:
                    self.answered[answer.json()["model"]] = answer.json()["scores"]
                else:
                    self.failures.append(answer.text)
                time.sleep(self._pause)


@contextmanager
def running(run: Path, **options: Any) -> Iterator[Running]:
    """Run a server while a block runs, on a port that is free; on a slow machine, too, nothing is late."""
    told: Queue[Any] = Queue()
    server = DienServer(
        run, ServerOptions(**{"port": 0, "threads": 2, "deadline_ms": 30_000, **options}), told.put
    )

    def serve() -> None:
        try:
            run_loop(server.run())
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=serve)
    thread.start()
    url = told.get(timeout=60)
    if not isinstance(url, str):
        raise url
    found = Running(server, url)
    try:
        yield found
    finally:
        found.client.close()
        server.stop()
        thread.join(60)
        assert not thread.is_alive()
