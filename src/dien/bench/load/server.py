"""A server to measure: one that is started for it, or one that runs already, on this machine."""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dien.errors import ConfigError, DienError

END = 60.0
"""Seconds that a server has to end."""


@dataclass(frozen=True)
class Target:
    """A server on this machine.

    Attributes:
        host: address.
        port: likewise.
    """

    host: str
    port: int

    @property
    def address(self) -> tuple[str, int]:
        """As sockets take it."""
        return self.host, self.port

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Ask for something beside the load: the status, and the body.

        Raises:
            DienError: there is no answer.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body or None, named)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DienError(
                f"http://{self.host}:{self.port}: no answer ({error}); is dien serve running there?"
            ) from error
        finally:
            connection.close()

    def usage(self) -> Usage:
        """Read what the server's process takes, as its metrics say it; None where they do not."""
        page = self.ask("GET", "/metrics")[1].decode("utf-8", "replace")
        found = dict(re.findall(r"^(process_\w+) ([0-9.e+-]+)$", page, re.MULTILINE))
        memory, cpu = found.get("process_resident_memory_bytes"), found.get("process_cpu_seconds_total")
        return Usage(memory and float(memory) / 1e6, cpu and float(cpu))


@dataclass(frozen=True)
class Usage:
    """What a process takes.

    Attributes:
        megabytes: of resident memory.
        cpu: seconds of processors so far.
    """

    megabytes: float | None
    cpu: float | None


def running(url: str) -> Target:
    """Name a server that runs on this machine.

    Args:
        url: as ``http://127.0.0.1:8000``.

    Raises:
        ConfigError: it is none, or on another machine: a load is no way to treat those.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        host, port = "", 0
    if parts.scheme != "http" or not host:
        raise ConfigError(f"--url: found {url!r}, expected an address as http://127.0.0.1:8000")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise ConfigError(
            f"--url: found {url!r}, expected an address of this machine alone, as http://127.0.0.1:8000: the "
            "load could be too much for another, and the network would be measured, too"
        )
    return Target(host, port)


@contextmanager
def started(run: Path, threads: int, more: Sequence[str] = ()) -> Iterator[Target]:
    """Run ``dien serve`` in a process of its own, while a block runs.

    Args:
        run: folder of the run.
        threads: that score.
        more: further options of the command.

    Raises:
        DienError: it does not start.
    """
    options = ["--port", "0", "--json", "--threads", str(threads), *more]
    line = [sys.executable, "-m", "dien", "serve", str(run), *options]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            if not said:
                raise DienError(f"dien serve {run}: ended with exit code {process.wait()} before it served")
            yield running(json.loads(said)["url"])
        finally:
            process.terminate()
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                process.kill()
