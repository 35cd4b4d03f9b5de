"""A power cut: what a process wrote is replayed up to a moment, and what was not synced is lost in part.

The system may write what is not synced in any order, or not at all: each page is drawn by itself.
"""

import random
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.store.appending import appending

from dien.serving.store import open_store

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
PAGE = 4096
STEPS = 20
USERS = ["user 0", "user 1", "user 2"]
TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


READING = """
import sys
from dien.serving.store import open_store
store = open_store(sys.argv[1])
print(sum(one.event is not None for kept in store.read(sys.argv[3:], int(sys.argv[2])) for one in kept))
"""


class Call(NamedTuple):
    """What the process did: ``write`` (where, what), ``root`` (that, and synced), ``sync`` or ``told``."""

    kind: str
    place: int = 0
    data: bytes = b""


def calls_of(trace: bytes) -> list[Call]:
    """Read the calls on the file of LMDB, and on standard output."""
    found: list[Call] = []
    file, root, place = b"", b"", 0
    for line in trace.splitlines():
        call = line.split(None, 1)[1]
        name, _, arguments = call.partition(b"(")
        handle = re.split(b"[,)]", arguments)[0]
        assert handle not in (file, root) or b"unfinished" not in call, "two threads write"
        data = b"".join(bytes.fromhex(text.decode().replace("\\x", "")) for text in TEXT.findall(call))
        if name == b"openat" and data.endswith(b"/data.mdb"):
            number = call.rpartition(b"= ")[2]
            file, root = (file, number) if b"SYNC" in call else (number, root)
        elif name == b"write" and handle == b"1":
            found.append(Call("told", data=data))
        elif handle == file and name == b"lseek":
            place = int(call.rpartition(b"= ")[2])
        elif handle == file and name == b"writev":
            found.append(Call("write", place, data))
        elif handle in (file, root) and name == b"pwrite64":
            found.append(
                Call("root" if handle == root else "write", int(re.split(b"[,)]", arguments)[-2]), data)
            )
        elif handle == file and name == b"fdatasync":
            found.append(Call("sync"))
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    folder = tmp_path_factory.mktemp("traced")
    names = "openat,lseek,writev,pwrite64,fdatasync,write"
    trace = ["strace", "-f", "-xx", "-s", "10000000", "-o", str(folder / "trace"), "-e", f"trace={names}"]
    done = subprocess.run(
        [*trace, *appending(f"lmdb:{folder / 'store'}", 1, STEPS, 900)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "PTRACE" in done.stderr:
        pytest.skip("processes may not be traced here")
    assert done.returncode == 0, done.stderr
    found = calls_of((folder / "trace").read_bytes())
    assert sum(call.kind == "told" for call in found) == STEPS
    # All was found: what is read of it is what the process has left.
    content = left(found, draw=None)
    assert content == (folder / "store/data.mdb").read_bytes()[: len(content)]
    return found


def left(calls: list[Call], draw: random.Random | None) -> bytes:
    """Give what is on the disk after some calls: each page that was not synced or not; all of it for None."""
    disk, waiting = bytearray(), list[tuple[int, bytes]]()

    def put(place: int, data: bytes) -> None:
        disk.extend(bytes(max(0, place + len(data) - len(disk))))
        disk[place : place + len(data)] = data

    for call in calls:
        if call.kind == "write":
            pages = range(0, len(call.data), PAGE)
            waiting += [(call.place + first, call.data[first : first + PAGE]) for first in pages]
        elif call.kind == "root":
            put(call.place, call.data)
        elif call.kind == "sync":
            for place, data in waiting:
                put(place, data)
            waiting = []
    for place, data in waiting:
        if draw is None or draw.random() < 0.5:
            put(place, data)
    return bytes(disk)


def kept_after(content: bytes, folder: Path) -> list[str | None]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "data.mdb").write_bytes(content)
    with closing(open_store(f"lmdb:{folder}")) as store:
        return [one.event for kept in store.read(USERS, STEPS) for one in kept]


def test_the_disk_is_synced_before_each_acknowledgement(calls: list[Call]) -> None:
    told = " ".join(call.kind for call in calls).split("told")[:-1]
    assert all(re.fullmatch(r" ?(write )+sync root ", before) for before in told), told


@settings(max_examples=150)
@given(moment=st.floats(0, 1), begun=st.booleans(), draw=st.randoms(use_true_random=False))
def test_after_a_power_cut_all_that_was_acknowledged_is_there(
    calls: list[Call],
    moment: float,
    begun: bool,
    draw: random.Random,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    first = next(number for number, call in enumerate(calls) if call.kind == "told")
    cut = first + 1 + round(moment * (len(calls) - first - 1))
    told = sum(call.kind == "told" for call in calls[:cut])
    content = left(calls[: cut + begun], draw)  # a call that was begun may have reached the disk
    kept = kept_after(content, tmp_path_factory.getbasetemp() / "cut")
    assert set(kept) in ({f"0-{step}" for step in range(n)} for n in (told, told + 1))
    assert len(kept) == len(set(kept))


def test_without_the_syncs_a_power_cut_would_lose_what_was_acknowledged(
    calls: list[Call], tmp_path: Path
) -> None:
    class Nothing(random.Random):
        def random(self) -> float:
            return 1.0

    first = next(number for number, call in enumerate(calls) if call.kind == "told")
    unsynced = calls[: first + 1] + [call for call in calls[first + 1 :] if call.kind != "sync"]
    (tmp_path / "cut").mkdir()
    whole = len(left(calls, None))  # the length of a file may be on the disk before its pages
    (tmp_path / "cut/data.mdb").write_bytes(left(unsynced, Nothing()).ljust(whole, b"\0"))
    # Roots without their pages may crash LMDB, so that a process of its own reads them.
    reading = [sys.executable, "-c", READING, f"lmdb:{tmp_path / 'cut'}", str(STEPS), *USERS]
    done = subprocess.run(reading, capture_output=True, text=True, check=False)
    assert done.returncode != 0 or int(done.stdout) < STEPS
    # With the syncs, they are all there.
    (tmp_path / "cut/data.mdb").write_bytes(left(calls, Nothing()))
    done = subprocess.run(reading, capture_output=True, text=True, check=True)
    assert int(done.stdout) == STEPS
