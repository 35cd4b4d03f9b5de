"""Limits on addresses and threads: commands and the library say at once what they cannot have."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dien import room
from dien.data.dataset import Dataset
from dien.errors import DienError
from dien.ops.cpu import backend_name
from tests.cli.running import dien

limited = pytest.mark.skipif(
    room.address_limit() is not None or sys.platform != "linux", reason="Linux's limits"
)

# What a process is limited to, and then runs.
PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({bytes}, {bytes}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
{then}
"""
COMMAND = "from dien.cli import main; sys.argv[0] = 'dien'; main()"


def under(megabytes: int, then: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with so many addresses."""
    program = PROGRAM.format(bytes=megabytes << 20, then=then)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=100
    )


@limited
@pytest.mark.parametrize("megabytes", [60, 300, 900])
def test_a_command_says_in_one_line_how_much_memory_it_wants(megabytes: int, tmp_path: Path) -> None:
    done = under(megabytes, COMMAND, "train", "data", "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"error: not enough memory (the limit on addresses is {megabytes} MB, and dien wants "
    )
    assert not list(tmp_path.iterdir())


@limited
def test_the_library_raises_memory_error_before_it_loads_torch() -> None:
    program = """
import dien
try: dien.Scorer
except MemoryError as error: print(error, *({'torch', 'polars', 'numpy'} & sys.modules.keys()))
"""
    done = under(300, program)
    assert done.stdout.startswith("the limit on addresses is 300 MB, and dien wants "), done.stderr
    assert done.stdout.endswith("ulimit -v\n")


@limited
def test_what_is_wanted_is_enough_to_inspect_data(small_data: Dataset) -> None:
    refused = under(900, COMMAND, "inspect", str(small_data.path))
    wanted = re.search(r"dien wants ([\d,]+) MB", refused.stderr)
    assert wanted, refused.stderr
    done = under(int(wanted[1].replace(",", "")), COMMAND, "inspect", str(small_data.path))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("can", [0, 3])
def test_too_few_threads_are_said_before_anything_is_loaded(
    can: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = room.threading.Thread.start, []

    def refuses(thread: room.threading.Thread) -> None:
        if len(started) == can:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(room.threading.Thread, "start", refuses)
    with pytest.raises(DienError, match=rf"^not enough threads: {can} can be started, .* OMP_NUM_THREADS=1"):
        room._expect_threads()
    assert not any(thread.is_alive() for thread in started)


def test_threads_are_counted_by_what_the_libraries_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    every = room.threads_wanted()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    assert room.threads_wanted() == room._OWN + room._OF_A_CORE + 2 * room._OF_POLARS < every


@pytest.mark.parametrize(
    ("error", "lacking"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), "memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError("Failed to launch worker thread: Resource temporarily unavailable"), "threads"),
        (RuntimeError("the model has no such head"), None),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (KeyError("spawn_x"), None),
        (ValueError("column 'failed to spawn thread' holds text"), None),
        (RuntimeError("no column spawn_time"), None),
        (KeyboardInterrupt(), None),
    ],
    ids=str,
)
def test_what_libraries_raise_is_told_apart(error: BaseException, lacking: str | None) -> None:
    assert room.shortage(error) == lacking


def test_a_command_names_the_shortage_of_what_the_system_refuses_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuses(*_: object) -> None:
        raise OSError("Failed to launch worker thread: Resource temporarily unavailable")

    monkeypatch.setattr("dien.data.dataset.Dataset.open", refuses)
    done = dien("inspect", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: not enough threads (Failed to launch worker thread" in done.stderr


OPERATOR = """
import torch, dien.ops
from dien.room import _addresses, shortage
torch.set_num_threads(2)
def sums(n):
    row, values = torch.arange(n) % 1000, torch.ones(n, 1)
    return lambda: torch.ops.dien.sum_by_row([values, values], [row, row], [0, 1], [1000, 1000])
sums(200_000)()
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
call, used = sums(1_000_000), _addresses()
for more in range(0, 200, 8):
    resource.setrlimit(resource.RLIMIT_AS, (used + (more << 20), hard))
    try: call()
    except Exception as error: print(type(error).__name__, shortage(error))
    else: print("done"); break
"""


@limited
@pytest.mark.skipif(backend_name() == "reference", reason="PyTorch's own operators")
def test_an_operator_that_finds_no_memory_in_its_threads_raises_memory_error() -> None:
    done = under(1 << 24, OPERATOR)
    assert done.returncode == 0, done.stderr
    *failed, last = done.stdout.splitlines()
    assert last == "done"
    assert {line.split()[1] for line in failed} == {"memory"}
    assert "MemoryError memory" in failed
