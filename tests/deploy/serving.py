"""Starts what a file of deploy/ starts, with the paths and the port of this machine in place of its own."""

import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def here(line: Sequence[str], names: dict[str, str], port: int) -> list[str]:
    """Put in place of each name what it stands for here, and of port 8000 another."""
    found = list(line)
    for name, value in names.items():
        found = [part.replace(name, value) for part in found]
    found = [re.sub(r"\b8000\b", str(port), part) for part in found]
    program = Path(found[0]).name
    assert program in ("dien", "python")
    return [sys.executable, *(["-m", "dien"] if program == "dien" else []), *found[1:]]


@contextmanager
def process(line: Sequence[str], port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a server until a block ends; the block begins when it takes requests."""
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as found:
        try:
            for _ in range(6000):
                assert found.poll() is None, found.communicate()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10):
                        break
                except OSError:
                    time.sleep(0.02)
            else:
                raise AssertionError("it does not take requests")
            yield found
        finally:
            found.kill()
