import subprocess
import sys

import pytest

from dien import memory

PROGRAM = """
import ctypes, resource
from dien.memory import kept_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)

def faults(times, size=64 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        block = libc.malloc(size)
        ctypes.memset(block, 1, size)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

once = faults(1)
with kept_memory():
    faults(1)
    kept = faults(5)
after = faults(5)
print(once, kept, after)
"""


@pytest.mark.skipif(memory._glibc() is None, reason="glibc alone has these settings")
def test_within_the_block_freed_memory_is_used_again_and_after_it_no_more() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    once, kept, after = map(int, done.stdout.split())
    assert once >= (64 << 20) // (2 << 20)  # a fault for each page, huge ones at most
    assert kept < once / 4
    assert after >= 4 * once


def test_elsewhere_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # calling it would fail
    with memory.kept_memory():
        pass
