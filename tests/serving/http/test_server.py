"""``dien serve`` as a process: it says where it is, reloads on SIGHUP, drains on SIGTERM."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.running import command, dien
from tests.serving.http.servers import process, running

from dien.run import Run

ASKED = {"candidates": ["i1", "i2"], "history": ["i3"], "times": [1], "time": 2}


def ended(found: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = found.communicate(timeout=60)
    return found.returncode, errors


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_it_reloads_on_sighup_and_ends_with_0_on_sigterm_when_all_are_answered(
    rich_run: Run, small_run: Run, tmp_path: Path
) -> None:
    served = tmp_path / "run"
    served.symlink_to(rich_run.path)
    patient = ["--deadline-ms", "100000", "--largest", "10000000", "--queue", "100000000", "--drain", "100"]
    patient += ["--record", str(tmp_path / "recorded.jsonl")]
    with process(served, *patient) as (found, url), httpx.Client(base_url=url, timeout=30) as client:
        assert found.stderr is not None
        assert client.post("/score", json=ASKED).status_code == 200
        first = client.get("/model").json()

        served.unlink()
        served.symlink_to(tmp_path / "nothing")
        found.send_signal(signal.SIGHUP)
        said = found.stderr.readline()
        assert said.startswith("not reloaded: ")
        assert first["version"] in said
        assert client.get("/model").json() == first

        served.unlink()
        served.symlink_to(small_run.path)
        found.send_signal(signal.SIGHUP)
        assert found.stderr.readline().startswith(f"reloaded: {small_run.path.resolve()}, model ")
        assert client.get("/model").json()["run"] == small_run.path.resolve().name
        assert client.post("/score", json=ASKED).status_code == 200

        answers = list[httpx.Response]()
        # Each takes so long that none is answered before all have come.
        large = [ASKED | {"candidates": ["1"] * 1600, "history": ["2"] * 12, "times": [1] * 12}] * 60
        threads = [threading.Thread(target=lambda: answers.append(ask(url, large))) for _ in range(3)]
        for thread in threads:
            thread.start()
        until_waiting(client, 2 * 60 * 1600 * 13)
        found.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3
        assert ended(found) == (0, "")
    recorded = (tmp_path / "recorded.jsonl").read_text().splitlines()
    assert json.loads(recorded[0]) == {"user": None, **ASKED}


LOADING = """
import os, signal, sys
from dien.cli import main
from dien.serving.http.served import Served
load = Served.load
def hung_up(*arguments):
    Served.load = load
    os.kill(os.getpid(), signal.SIGHUP)
    return load(*arguments)
Served.load = hung_up
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_sighup_while_the_first_model_is_loaded_is_done_afterwards(small_run: Run) -> None:
    line = [sys.executable, "-c", LOADING, *command("serve", small_run.path, "--port", "0", "--json")[3:]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            url = json.loads(server.stdout.readline())["url"]
            assert server.stderr.readline().startswith(f"reloaded: {small_run.path.resolve()}, model ")
            assert ask(url, ASKED).status_code == 200
            server.send_signal(signal.SIGTERM)
            assert ended(server) == (0, "")
        finally:
            server.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_it_goes_on_where_nobody_reads_standard_error_any_more(small_run: Run) -> None:
    with process(small_run.path, "--slow", "0") as (found, url):
        assert found.stderr is not None
        found.stderr.close()
        for _ in range(3):
            assert ask(url, ASKED).status_code == 200
            found.send_signal(signal.SIGHUP)
        assert ask(url, ASKED).status_code == 200
        found.send_signal(signal.SIGTERM)
        assert found.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_it_answers_and_ends_where_standard_error_is_full_and_hangs(small_run: Run) -> None:
    line = command("serve", small_run.path, "--port", "0", "--threads", "1", "--json", "--slow", "0")
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 1024)
    os.set_blocking(write, True)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=write, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            assert [ask(url, ASKED).status_code for _ in range(3)] == [200] * 3
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        finally:
            server.kill()
            os.close(read)
            os.close(write)


def ask(url: str, body: Any) -> httpx.Response:
    return httpx.post(f"{url}/score", json=body, timeout=100)


def until_waiting(client: httpx.Client, steps: int) -> None:
    """Wait until so many steps are in the queue; one thread scores what came before."""
    for _ in range(3000):
        time.sleep(0.01)
        found = re.search(r"^dien_queue_steps (.*)$", client.get("/metrics").text, re.MULTILINE)
        assert found is not None
        if float(found[1]) >= steps:
            return
    raise AssertionError(found)


def test_without_a_reload_token_there_is_no_reload_by_http(small_run: Run, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("\n")
    done = dien("serve", small_run.path, "--reload-token-file", token)
    assert done.returncode == 1
    assert "found no token" in done.stderr
    token.write_text("open sesame\n")
    with process(small_run.path, "--reload-token-file", str(token)) as (_, url):
        headers = {"Authorization": "Bearer open sesame"}
        assert httpx.post(f"{url}/reload", headers=headers).status_code == 200
    with running(small_run.path) as server:
        assert server.client.post("/reload", headers=headers).status_code == 404


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_more_connections_than_files_are_open_by_default_are_all_answered(small_run: Run) -> None:
    line = command("serve", small_run.path, "--port", "0", "--threads", "1", "--json")
    limited = ["bash", "-c", 'ulimit -S -n 100 && exec "$@"', "bash", *line]
    with subprocess.Popen(limited, stdout=subprocess.PIPE, text=True) as server, ExitStack() as stack:
        stack.callback(server.kill)
        assert server.stdout is not None
        port = int(json.loads(server.stdout.readline())["url"].rpartition(":")[2])
        for _ in range(200):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            one.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"


def test_an_address_that_is_taken_is_refused(small_run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = dien("serve", small_run.path, "--port", taken.getsockname()[1])
    assert done.returncode == 1
    assert "cannot be listened on" in done.stderr
    assert dien("serve", small_run.path, "--host", "nowhere.invalid").returncode == 1


def test_a_certificate_needs_its_key_and_both_have_to_be_there(small_run: Run, tmp_path: Path) -> None:
    assert dien("serve", small_run.path, "--certificate", tmp_path / "c.pem").returncode == 2
    done = dien(
        "serve", small_run.path, "--port", 0, "--certificate", tmp_path / "c.pem", "--key", tmp_path / "k.pem"
    )
    assert done.returncode == 1
    assert "c.pem" in done.stderr


WITHOUT = """
import sys
from dien.cli import main
for library in ("prometheus_client", "uvicorn", "litestar"):
    for name in [name for name in sys.modules if name.startswith(("dien.serving.http", library))]:
        del sys.modules[name]
    sys.modules[library] = None  # its import fails as if it were not there
    sys.argv = ["dien", "serve", "run"]
    try:
        main()
    except SystemExit as end:
        assert end.code == 1, end.code
    del sys.modules[library]
"""


def test_without_a_library_of_the_extra_the_command_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    said = done.stderr.splitlines()
    for library, line in zip(("prometheus_client", "uvicorn", "litestar"), said, strict=True):
        assert line == f"error: dien serve needs {library}: pip install 'dien[serve]'"
