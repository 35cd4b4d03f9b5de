"""Memory that a step frees stays with the process, for the next step to use."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's malloc.h, with the values a process starts with.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 64 << 20}
_GIVE_BACK = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 0}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory within a ``with`` block, and hand it back to the system after it.

    A step of training allocates the same tensors as the step before. glibc returns large ones to the kernel
    as soon as they are freed, and the kernel clears and maps their pages anew. The process holds what it held
    at its largest meanwhile. Elsewhere (musl, macOS, Windows) nothing changes. The settings are the
    process's: of two blocks in two threads, the first to end ends both.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    for option, value in _KEEP.items():
        libc.mallopt(option, value)
    try:
        yield
    finally:
        for option, value in _GIVE_BACK.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Load the C library of this process, where it is glibc."""
    if platform.system() != "Linux":
        return None
    libc = ctypes.CDLL(None)
    known = all(hasattr(libc, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim"))
    return libc if known else None
