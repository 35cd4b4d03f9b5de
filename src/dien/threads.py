"""One thread for work that is too small for more, whatever the rest of the process computes with.

The threads of OpenMP wait for each other by spinning. Beside another busy process one of them has no
processor, and all others spin for as long as that lasts, which a request of milliseconds cannot afford.
``torch.set_num_threads`` would change what other threads get that begin meanwhile; what is set here is of the
calling thread alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

Setter = Callable[[int], int]


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch and the operators compute with one thread in the calling thread, within a ``with`` block.

    Where torch runs on no OpenMP library that can be found, nothing changes.
    """
    threads = torch.get_num_threads()  # asked first: the first call in a thread sets what is set below
    libraries = _libraries()
    if threads == 1 or libraries is None:
        yield
        return
    openmp, mkl = libraries
    openmp(1)
    before = mkl(1)
    try:
        yield
    finally:
        openmp(threads)
        mkl(before)


@cache
def _libraries() -> tuple[Setter, Setter] | None:
    """Find what sets the threads of the calling thread: OpenMP's, and MKL's, which returns what was set."""
    try:
        library = ctypes.PyDLL(torch._C.__file__)  # keeps the interpreter's lock: these calls take no time
        openmp = library.omp_set_num_threads
    except (AttributeError, OSError):
        return None
    openmp.restype = None
    mkl = getattr(library, "MKL_Set_Num_Threads_Local", None)  # torch has no MKL on most processors but x86
    return openmp, (lambda _: 0) if mkl is None else mkl
