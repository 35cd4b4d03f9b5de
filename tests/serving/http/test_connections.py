"""Clients that are slow, go away, or only sit there: each is let go, and nobody else notices."""

import gc
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.serving.http.servers import Running, running

from dien.run import Run
from dien.serving.http.connections import ClientTimeouts

ASKED = {"candidates": ["i1", "i2"], "history": ["i3"], "times": [1], "time": 2}
HEAD = b"POST /score HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(rich_run: Run) -> Iterator[Running]:
    with running(rich_run.path, client_timeout=1.0) as found:
        yield found


def connected(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def scored(server: Running) -> bool:
    """Ask on a connection of its own: one that is kept may be closed by the server just when it is used."""
    return httpx.post(f"{server.url}/score", json=ASKED, timeout=30).status_code == 200


def until_closed(one: socket.socket) -> bytes:
    """Read what comes until the server closes."""
    found = b""
    try:
        while block := one.recv(4096):
            found += block
    except ConnectionError:
        pass
    one.close()
    return found


def until_no_more_than(server: Running, most: int) -> None:
    for _ in range(2000):
        if len(server.server.server_state.connections) <= most:
            return
        time.sleep(0.01)
    raise AssertionError(server.server.server_state.connections)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /sc",
        HEAD,
        HEAD + b"Content-Length: 100\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_a_client_that_stops_in_the_middle_is_let_go(server: Running, sent: bytes) -> None:
    one = connected(server)
    one.sendall(sent)
    until_closed(one)
    assert scored(server)


def test_a_client_that_sends_a_byte_now_and_then_is_let_go_all_the_same(server: Running) -> None:
    one = connected(server)
    one.settimeout(0.1)
    body = iter(HEAD + b"X: " + b"y" * 10_000)
    closed = False
    for _ in range(200):
        try:
            one.sendall(bytes([next(body)]))
            closed = one.recv(1) == b""
        except TimeoutError:
            continue
        except ConnectionError:
            closed = True
        if closed:
            break
    assert closed


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"GARBAGE\r\n\r\n", b"GET /health HTTP/x\r\n\r\n"]
)
def test_what_is_no_http_is_answered_with_400_and_closed(server: Running, sent: bytes) -> None:
    one = connected(server)
    one.sendall(sent)
    answer = until_closed(one)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert scored(server)


HOLDING = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
address = ("127.0.0.1", int(sys.argv[1]))
held = [socket.create_connection(address, timeout=60) for _ in range(int(sys.argv[2]))]
print(len(held), flush=True)
sys.stdin.read()
"""
_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
IDLE = 10_000 if _FILES == resource.RLIM_INFINITY else min(10_000, _FILES - 1000)
"""Connections that this system lets a process have."""


def left(server: Running) -> tuple[int, int]:
    """Count the files of this process, and the objects in its memory."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), len(gc.get_objects())


@pytest.mark.skipif(sys.platform != "linux", reason="the files of a process are counted in /proc")
@pytest.mark.parametrize("number", [IDLE])
def test_idle_connections_keep_nobody_waiting_and_nothing_of_them_is_left(rich_run: Run, number: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        with running(rich_run.path, client_timeout=600.0) as found:
            assert scored(found)
            files, objects = left(found)
            holding = [sys.executable, "-c", HOLDING, str(found.port), str(number)]
            pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            with subprocess.Popen(holding, **pipes) as holder:
                assert holder.stdout is not None
                assert holder.stdout.readline() == f"{number}\n"
                for _ in range(5):
                    assert scored(found)
                assert len(found.server.server_state.connections) >= number
                holder.kill()
            until_no_more_than(found, 1)
            for _ in range(100):  # the look at slow clients, once a second, lets go of what it has seen
                files_left, objects_left = left(found)
                if files_left <= files + 2 and objects_left <= objects + number // 10:
                    break
                time.sleep(0.1)
            assert files_left <= files + 2
            assert objects_left <= objects + number // 10  # far less than one for each connection
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_clients_that_leave_in_the_middle_leave_nothing_behind(
    server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    body = b'{"candidates": ["i1"], "history": ["i2"]}'
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for end in range(0, len(whole) + 1, 3):
        one = connected(server)
        one.sendall(whole[:end])
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
        one.close()
    assert scored(server)
    until_no_more_than(server, 1)
    assert server.service.queue.waiting == 0
    assert "Traceback" not in capfd.readouterr().err


def test_a_client_that_reads_no_answer_is_let_go(server: Running) -> None:
    until_no_more_than(server, 1)
    body = json.dumps([{"candidates": ["i1"] * 2000, "history": []}] * 60).encode()
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", server.port))
        one.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert scored(server)
        until_no_more_than(server, 1)


@dataclass(eq=False)
class _Connection:
    cycle: object
    transport: "_Transport"


class _Transport:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_another_exchange_begins_to_wait_anew_wherever_it_is_in_memory() -> None:
    class Equal:
        """An exchange that is equal to every other, as one with the ``id`` of one before."""

        response_complete = True

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    connection = _Connection(Equal(), _Transport())
    state: Any = SimpleNamespace(connections=[connection])
    timeouts = ClientTimeouts(10)
    assert timeouts.look(state, 0) == 0
    connection.cycle = Equal()
    assert timeouts.look(state, 10) == 0
    assert timeouts.look(state, 19) == 0
    assert timeouts.look(state, 20) == 1
    assert connection.transport.aborted
