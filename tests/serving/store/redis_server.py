"""A real server of Redis or Valkey, for a test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest

BINARY = shutil.which("valkey-server") or shutil.which("redis-server")


class EndedError(Exception):
    """The server has ended by itself."""


class RedisServer:
    """A server on this machine alone, ended when its block ends.

    Args:
        folder: for its files.
        options: of the server.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        if BINARY is None:
            pytest.skip("neither valkey-server nor redis-server is installed (apt-get install redis-server)")
        self._folder, self._options = folder, options

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> RedisServer:
        for _ in range(10):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            try:
                self.start()
            except EndedError:  # another process has taken the port meanwhile
                continue
            return self
        raise AssertionError("the server does not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on the port it had; returns when it answers.

        Raises:
            EndedError: it has ended.
        """
        import valkey

        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        assert BINARY is not None
        self._process = subprocess.Popen([BINARY, *where, *self._options], stdout=subprocess.DEVNULL)
        for _ in range(500):
            if self._process.poll() is not None:
                raise EndedError
            try:
                valkey.Valkey(port=self.port).ping()
                return
            except valkey.exceptions.ConnectionError:
                time.sleep(0.02)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def clear(self) -> None:
        """Remove all that it has."""
        import valkey

        valkey.Valkey(port=self.port).flushall()
