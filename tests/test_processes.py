"""Processes that work for another: what is said of their end, and that they end with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dien.processes import fresh_processes, how_it_ended, start


@pytest.mark.parametrize(
    ("end", "argument", "said"),
    [
        (os._exit, 3, "its process ended with exit code 3"),
        (signal.raise_signal, signal.SIGTERM, "its process ended by signal 15"),
        (signal.raise_signal, signal.SIGKILL, "its process ended by signal 9 (killed, often for want of"),
    ],
)
def test_how_a_process_ended_is_said(end: object, argument: int, said: str) -> None:
    process = fresh_processes(["dien.serving"]).Process(target=end, args=(argument,))
    start(process)
    assert how_it_ended(process, "--jobs").startswith(said)


PROGRAM = """
import os, time
from dien.processes import fresh_processes, start

work = "import os, time, polars, dien.processes as p; p.end_with_parent();"
work += "send.send((os.getpid(), polars.thread_pool_size())); time.sleep(600)"
context = fresh_processes(["dien.processes"])
receive, send = context.Pipe(duplex=False)
start(context.Process(target=exec, args=(work, {"send": send})))
print(*receive.recv(), os.environ.get("POLARS_MAX_THREADS"), flush=True)
time.sleep(600)
"""


@contextmanager
def program(threads: str | None) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start the program; gives it, and what it prints: its process, threads of Polars there, and here."""
    environment = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    environment |= {} if threads is None else {"POLARS_MAX_THREADS": threads}
    started = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=-1, text=True, env=environment)
    with started:
        assert started.stdout is not None
        yield started, started.stdout.readline().split()
        started.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_has_one_thread_of_polars_and_ends_with_one_that_was_killed() -> None:
    with program(None) as (first, (child, threads, here)):
        assert (threads, here) == ("1", "None")
        os.kill(int(child), 0)  # it is there
        first.kill()
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            os.kill(int(child), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} goes on")


def test_threads_of_polars_that_were_asked_for_stay() -> None:
    with program("3") as (_, (_, threads, here)):
        assert (threads, here) == ("3", "3")
