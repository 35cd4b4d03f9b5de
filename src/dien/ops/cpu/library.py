"""The compiled library: where it is, how it is called, and what to say where it is missing."""

from __future__ import annotations

import ctypes
import warnings
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

FILE = Path(__file__).with_name("_kernels.so")
PATHS = ("plain", "avx2", "avx512")
"""Sets of instructions, in the order the library counts them."""
INTERFACE = 5
"""Of library.cpp: the functions and structures the files beside this one describe."""

Address = ctypes.c_void_p


class Held:
    """Addresses of tensors, which stay as long as this does."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []

    def address(self, tensor: Tensor | None) -> int | None:
        """Give where the values of a tensor lie one after the other; None for None."""
        return None if tensor is None else self.rows(tensor.contiguous())

    def rows(self, tensor: Tensor) -> int:
        """Give where a tensor begins, as it lies."""
        self._tensors.append(tensor)
        return tensor.data_ptr()


class Library:
    """The functions of the library.

    Attributes:
        paths: the instructions this processor has, plainest first.
    """

    def __init__(self, file: Path) -> None:
        self._functions = ctypes.CDLL(str(file))
        if self._functions.dien_interface() != INTERFACE:
            raise OSError(f"{file} was built from other sources")
        self.paths = PATHS[: self._functions.dien_paths()]
        self._team = _torch_team()

    def run(
        self,
        function: str,
        misfit: str,
        problem: ctypes.Structure,
        path: int,
        *others: int | ctypes.Structure | None,
    ) -> None:
        """Call a function on as many threads as torch has.

        Args:
            function: its name; it takes the problem, the path, the number of threads and the team, then
                addresses.
            misfit: what to say where the problem's tensors do not fit each other.
            problem: its arguments.
            path: which of ``paths``.
            others: addresses and structures it takes beyond.

        Raises:
            ValueError: tensors do not fit each other.
            MemoryError: no memory for scratch.
        """
        call = getattr(self._functions, function)
        if call.argtypes is None:
            call.argtypes = (
                Address,
                ctypes.c_int32,
                ctypes.c_int32,
                *(Address for _ in range(len(others) + 1)),
            )
        addresses = (
            ctypes.byref(other) if isinstance(other, ctypes.Structure) else other for other in others
        )
        status = call(ctypes.byref(problem), path, torch.get_num_threads(), self._team, *addresses)
        if status == 1:
            raise ValueError(misfit)
        if status == 2:
            raise MemoryError(f"{function}: no memory for scratch space")


def _torch_team() -> int | None:
    """Address of ``GOMP_parallel`` in the OpenMP library that torch runs on, if that has it."""
    try:
        function = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (AttributeError, OSError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value


@cache
def load() -> Library | None:
    """Load the library, once; None, with one warning, where it is missing or does not load."""
    try:
        return Library(FILE)
    except (AttributeError, OSError) as error:
        warnings.warn(
            "dien computes with plain PyTorch, many times slower than with its C++ backend: "
            f"{error}. To build it, install a C++ compiler (g++ or clang++) and then dien again: "
            "pip install --force-reinstall --no-deps --no-cache-dir dien "
            "(in a clone: pip install --editable .)",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
