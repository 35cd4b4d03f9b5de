"""The C++ backend of the operators on the CPU, for float32; the reference serves everything else.

The library is compiled without PyTorch's headers: it gets addresses of tensors through ctypes, and so fits
every version of PyTorch and Python. Results are the same to the bit for any number of threads. Here is what
operators have in common; each has its C++, and a ``cpu.py`` that hands its arguments over, in its own folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dien.ops.cpu.library import INSTRUCTION_SETS, Backend, load

_forced: str | None = os.environ.get("DIEN_CPU_BACKEND") or None


def backends() -> tuple[str, ...]:
    """Name the CPU backends of this machine, fastest first: instruction sets in C++, then ``reference``."""
    compiled = load()
    return (*(reversed(compiled.instruction_sets) if compiled else ()), "reference")


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


def backend_name() -> str:
    """Name the backend that float32 tensors on the CPU get."""
    backend = chosen(torch.empty(0))
    return "reference" if backend is None else INSTRUCTION_SETS[backend.isa]


def _check(name: str) -> None:
    if name not in backends():
        raise ValueError(f"no CPU backend {name!r} here; expected one of {', '.join(backends())}")


def chosen(tensor: Tensor) -> Backend | None:
    """Choose the C++ backend for a tensor's dtype, or None for the reference."""
    if _forced == "reference" or tensor.dtype != torch.float32:
        return None
    if _forced is not None:
        _check(_forced)
    compiled = load()
    if compiled is None:
        return None
    return compiled.backends[-1 if _forced is None else INSTRUCTION_SETS.index(_forced)]
