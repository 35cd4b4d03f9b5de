"""Sends requests when they are due, whatever has become of those before: an open loop over HTTP/1.1.

It shares the cores with the server that it measures, so it does as little as can be: one thread, requests
made beforehand, and of an answer no more is read than its status, its length and its ``Server-Timing``.
"""

from __future__ import annotations

import errno
import gc
import re
import select
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from dien.bench.load.records import UNANSWERED, Answer, Records

READ = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TIMING = re.compile(rb"\r\nserver-timing:([^\r]*)", re.IGNORECASE)
_STAGE = re.compile(rb"(queue|score);dur=([0-9.]+)")
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


def http(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Write a request.

    Args:
        method: of HTTP.
        path: what is asked.
        body: JSON.
        headers: further ones; a low line in a name is a hyphen.
    """
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    if body:
        lines.append("Content-Type: application/json")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Load:
    """Sends requests to a server, each when it is due.

    A connection has one request at a time. Where none is free another is opened, up to ``connections``; what
    is due then waits for one, and that counts as its latency.

    Args:
        address: host and port of the server.
        requests: as :func:`http` writes them; they are sent in turn.
        due: ``[N]`` seconds from the begin, rising.
        timeout: seconds after which an answer is no longer waited for.
        keep: of so many answers one is kept whole; 0 for none.
        connections: that may be open at once; fewer where the process may not have as many open files.
    """

    def __init__(
        self,
        address: tuple[str, int],
        requests: Sequence[bytes],
        due: NDArray[np.float64],
        *,
        timeout: float = 10.0,
        keep: int = 0,
        connections: int = 4000,
    ) -> None:
        self._address, self._requests, self._due = address, requests, due.tolist()
        self._timeout, self._keep, self._most = timeout, keep, min(connections, _open_files())
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self._in_flight: dict[int, _Connection] = {}  # by the number of its request, the oldest first
        self._waits: deque[int] = deque()
        self._open = self._opened = 0
        n = len(due)
        self._sent, self._done = [np.nan] * n, [np.nan] * n
        self._status, self._timing = [UNANSWERED] * n, [b""] * n
        self._answers: list[Answer] = []
        self._reasons: dict[str, int] = {}
        self._begin = 0.0

    def run(self) -> Records:
        """Send everything, and wait for the answers."""
        with _no_garbage_collection():
            cpu, self._begin = time.thread_time(), time.perf_counter()
            try:
                self._loop()
            finally:
                for one in [*self._in_flight.values(), *self._idle]:
                    one.socket.close()
                self._selector.close()
            cpu, wall = time.thread_time() - cpu, self._now()
        stages = {name: np.full(len(self._due), np.nan) for name in (b"queue", b"score")}
        for number, timing in enumerate(self._timing):
            for name, milliseconds in _STAGE.findall(timing):
                stages[name][number] = float(milliseconds) / 1000
        return Records(
            due=np.array(self._due),
            sent=np.array(self._sent),
            done=np.array(self._done),
            status=np.array(self._status, np.int64),
            queue=stages[b"queue"],
            score=stages[b"score"],
            answers=self._answers,
            reasons=self._reasons,
            connections=self._opened,
            cpu=cpu,
            wall=wall,
        )

    def _now(self) -> float:
        return time.perf_counter() - self._begin

    def _loop(self) -> None:
        due, n, number = self._due, len(self._due), 0
        while number < n or self._in_flight or self._waits:
            now = self._now()
            while number < n and due[number] <= now:
                self._waits.append(number)
                number += 1
            while self._waits and (self._idle or self._open < self._most):
                self._send(self._waits.popleft())
            now = self._now()
            self._give_up(now)
            ends = [due[number] - now] if number < n else []
            if self._in_flight:
                ends.append(self._due[next(iter(self._in_flight))] + self._timeout - now)
            for key, events in self._ready(max(0.0, min(ends, default=0.0))):
                one: _Connection = key.data
                if events & selectors.EVENT_WRITE:
                    self._write(one)
                elif events & selectors.EVENT_READ:
                    self._read(one)

    def _ready(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for a connection, or for the next request."""
        if isinstance(self._selector, selectors.EpollSelector):
            # epoll waits whole milliseconds, select microseconds: it is told of epoll's own descriptor.
            select.select([self._selector], (), (), seconds)
            seconds = 0.0
        return self._selector.select(seconds)

    def _give_up(self, now: float) -> None:
        """Wait no longer for what was due too long ago."""
        while self._in_flight and self._due[number := next(iter(self._in_flight))] + self._timeout <= now:
            self._lose(self._in_flight[number], "no answer in time")
        while self._waits and self._due[self._waits[0]] + self._timeout <= now:
            self._waits.popleft()
            self._because("no connection in time")

    def _send(self, number: int) -> None:
        try:
            one = self._idle.pop() if self._idle else self._connected()
        except OSError as error:
            self._because(f"no connection: {error.strerror or error}")
            return
        one.number, one.to_send = number, memoryview(self._requests[number % len(self._requests)])
        self._in_flight[number] = one
        self._sent[number] = self._now()
        self._write(one)

    def _connected(self) -> _Connection:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        one = _Connection(socket.socket(family, socket.SOCK_STREAM))
        one.socket.setblocking(False)
        one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = one.socket.connect_ex(self._address)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            one.socket.close()
            raise OSError(code, errno.errorcode.get(code, "cannot connect"))
        self._selector.register(one.socket, selectors.EVENT_READ, one)
        self._open += 1
        self._opened += 1
        return one

    def _write(self, one: _Connection) -> None:
        try:
            one.to_send = one.to_send[one.socket.send(one.to_send) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:  # while it is connected, "not connected" alone is no error
            if error.errno != errno.ENOTCONN:
                self._lose(one, f"could not be sent: {error.strerror}")
                return
        wanted = selectors.EVENT_WRITE if one.to_send else selectors.EVENT_READ
        if wanted != one.wanted:
            one.wanted = wanted
            self._selector.modify(one.socket, wanted, one)

    def _read(self, one: _Connection) -> None:
        try:
            block = one.socket.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(one, f"connection broken: {error.strerror}")
            return
        if not block:
            self._lose(one, "connection closed before the answer")
            return
        one.answer += block
        if not one.length:
            end = one.answer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(one.answer, 0, end)
            if length is None:
                self._lose(one, "an answer without Content-Length")
                return
            one.head, one.length = end, end + 4 + int(length[1])
        if len(one.answer) >= one.length:
            self._take(one)

    def _take(self, one: _Connection) -> None:
        """Note an answer that is whole."""
        number, answer, head = one.number, one.answer, one.head
        if number is None:
            self._lose(one, "an answer to nothing")
            return
        self._done[number] = self._now()
        status = self._status[number] = int(answer[9:12])
        if timing := _TIMING.search(answer, 0, head):
            self._timing[number] = bytes(timing[1])
        if self._keep and number % self._keep == 0:
            self._answers.append(Answer(number, status, bytes(answer[head + 4 : one.length])))
        del self._in_flight[number]
        if _CLOSE.search(answer, 0, head):
            self._close(one)
            return
        one.number, one.length, one.answer = None, 0, bytearray()
        self._idle.append(one)

    def _lose(self, one: _Connection, reason: str) -> None:
        """Close a connection, and note that its request has no answer."""
        if one.number is None:  # the server closes what is idle
            self._idle.remove(one)
        else:
            del self._in_flight[one.number]
            self._because(reason)
        self._close(one)

    def _close(self, one: _Connection) -> None:
        self._selector.unregister(one.socket)
        one.socket.close()
        self._open -= 1

    def _because(self, reason: str) -> None:
        self._reasons[reason] = self._reasons.get(reason, 0) + 1


class _Connection:
    """A connection, and the request that it has."""

    __slots__ = ("answer", "head", "length", "number", "socket", "to_send", "wanted")

    def __init__(self, of: socket.socket) -> None:
        self.socket, self.wanted = of, selectors.EVENT_READ
        self.number: int | None = None
        self.to_send = memoryview(b"")
        self.answer = bytearray()
        self.head = self.length = 0


def _open_files() -> int:
    """Count the connections that the process may open, with some files left for everything else."""
    if sys.platform == "win32":
        return 500
    import resource

    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector from stopping the generator: with torch loaded, a full collection takes 100 ms."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
