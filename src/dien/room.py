"""Room for what dien runs on: addresses under a limit on them (``ulimit -v``), and threads.

NumPy, PyTorch, Polars and Arrow do not ask: where they can have no thread or no memory they end the process,
hang, or raise what nobody understands. So it is looked at once, before they are loaded.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from functools import cache
from pathlib import Path

from dien.errors import DienError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_MB = 1 << 20
_LOADED = {"numpy": 140, "torch": 500, "polars": 250, "pyarrow": 200}
"""Addresses in MB that each takes when it is loaded, with the settings of :func:`_spare_addresses`."""
_WORK = 50  # MB, for the least there is to do
_OWN, _OF_A_CORE, _OF_POLARS = 8, 3, 4  # threads at most, of all commands, as counted on 1 and 2 cores
_ARENA_MAX = -8  # of glibc's malloc.h

_MEMORY = ("allocate memory", "failed to map segment", "memory allocation", "out of memory", "bad_alloc")
_THREADS = ("start new thread", "launch worker thread", "failed to spawn thread", "hread creation failed")


@cache
def expect_room() -> None:
    """Refuse to load libraries that there are not enough addresses or threads for; looked at once.

    Raises:
        MemoryError: the limit on addresses (``ulimit -v``) leaves too few.
        DienError: too few threads can be started (``ulimit -u``, or the pids of a container).
    """
    limit = address_limit()
    if limit is not None:
        _spare_addresses()
        want = (
            _addresses() // _MB + _WORK + sum(mb for name, mb in _LOADED.items() if name not in sys.modules)
        )
        if limit // _MB < want:
            raise MemoryError(
                f"the limit on addresses is {limit // _MB:,} MB, and dien wants {want:,} MB before it "
                "holds any data; raise it: ulimit -v"
            )
    if "torch" not in sys.modules:
        _expect_threads()


def address_limit() -> int | None:
    """Read the limit on this process's addresses in bytes (``ulimit -v``); None where there is none."""
    if resource is None or not hasattr(resource, "RLIMIT_AS"):
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def threads_wanted() -> int:
    """Count the threads that a command has at a time, at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _OWN + _OF_A_CORE * _set("OMP_NUM_THREADS", cores) + _OF_POLARS * _set("POLARS_MAX_THREADS", cores)


def shortage(error: BaseException) -> str | None:
    """Say what could not be had, where that is why something failed; None where the cause is another.

    The libraries tell it by no type of their own, but none by that of a wrong key or value.

    Returns:
        ``memory`` or ``threads``.
    """
    text = str(error)
    if isinstance(error, MemoryError):
        return "memory"
    panic = not isinstance(error, Exception)  # of Polars
    if not panic and not isinstance(error, RuntimeError | OSError | ImportError):
        return None
    if any(part in text for part in _MEMORY):
        return "memory"
    return "threads" if any(part in text for part in _THREADS) else None


def _spare_addresses() -> None:
    """Have what is loaded from here on reserve few addresses that it does not use.

    Each of these reserves hundreds of MB: Arrow's own allocator, the threads that tidy up for it and for
    Polars, and a heap for every thread.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    os.environ.setdefault("_RJEM_MALLOC_CONF", "background_thread:false")
    if platform.system() == "Linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_ARENA_MAX, 1)


def _addresses() -> int:
    """Bytes of addresses that this process has."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _expect_threads() -> None:
    """Start as many threads as are wanted, all at once, and end them."""
    want, end = threads_wanted(), threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(want):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError):
        raise DienError(
            f"not enough threads: {len(started)} can be started, and the libraries that dien runs on want "
            f"{want}; raise the limit (ulimit -u, or the pids of a container), or have them want fewer: "
            "OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1"
        ) from None
    finally:
        end.set()
        for thread in started:
            thread.join()


def _set(name: str, cores: int) -> int:
    """Threads of a library's pool: as many as an environment variable asks for, or there are cores."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() and int(value) else cores
