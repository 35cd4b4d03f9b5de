"""A server that answers as a test says, in threads: one for each connection."""

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = Callable[[bytes], bytes | None]
"""Gives the answer to a request, whole; None closes the connection."""


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def answering(how: Answer) -> Iterator[tuple[str, int]]:
    """Run the server while a block runs; its address."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := _request(self.rfile):
                found = how(request)
                if found is None:
                    return
                self.wfile.write(found)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address
        finally:
            server.shutdown()
            thread.join()


def _request(file: Any) -> bytes:
    """Read a request; empty where the client has gone."""
    head = b""
    while (line := file.readline()) not in (b"\r\n", b""):
        head += line
    length = re.search(rb"Content-Length: (\d+)", head)
    return head + b"\r\n" + file.read(int(length[1]) if length else 0) if head else b""
