"""C++ backend of the operators on the CPU, for float32; the reference backend serves everything else.

The library is compiled without PyTorch's headers: it gets addresses of tensors through ctypes, and so fits
every version of PyTorch and Python. Results are the same to the bit for any number of threads. Each operator
has a file here that hands its arguments over, and a folder of C++ beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dien.ops.cpu.library import PATHS, Library, load

_forced: str | None = os.environ.get("DIEN_CPU_BACKEND") or None


def backends() -> tuple[str, ...]:
    """Name the CPU backends of this machine, fastest first: instruction sets in C++, then ``reference``."""
    compiled = load()
    return (*(reversed(compiled.paths) if compiled else ()), "reference")


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Have the operators run on a named CPU backend, in all threads, within a ``with`` block.

    The environment variable ``DIEN_CPU_BACKEND`` does the same for a whole process.

    Args:
        name: one of :func:`backends`.

    Raises:
        ValueError: this machine has no such backend.
    """
    global _forced
    _check(name)
    before, _forced = _forced, name
    try:
        yield
    finally:
        _forced = before


def _check(name: str) -> None:
    if name not in backends():
        raise ValueError(f"no CPU backend {name!r} here; expected one of {', '.join(backends())}")


def chosen(tensor: Tensor) -> tuple[Library, int] | None:
    """Choose the library and the path in it for a tensor's type, or None for the reference backend."""
    if _forced == "reference" or tensor.dtype != torch.float32:
        return None
    if _forced is not None:
        _check(_forced)
    compiled = load()
    if compiled is None:
        return None
    return compiled, len(compiled.paths) - 1 if _forced is None else PATHS.index(_forced)
