"""The compiled library: where it is, how it is called, and what to say where it is missing."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

FILE = Path(__file__).with_name("_kernels.so")
INSTRUCTION_SETS = ("plain", "avx2", "avx512")
"""In the order the library counts them."""
INTERFACE = 11
"""Of library.cpp: the functions and structures that the operators' ``cpu.py`` describe."""

Address = ctypes.c_void_p


class Pointers:
    """Addresses of tensors, valid as long as this lives."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []

    def contiguous(self, tensor: Tensor | None) -> int | None:
        """Give where the values of a tensor lie one after the other; None for None."""
        return None if tensor is None else self.strided(tensor.contiguous())

    def indices(self, tensor: Tensor) -> int:
        """Give where the values of a tensor of integers lie as int64, one after the other."""
        return self.strided((tensor if tensor.dtype is torch.int64 else tensor.to(torch.int64)).contiguous())

    def strided(self, tensor: Tensor) -> int:
        """Give where a tensor begins, as it lies."""
        self._tensors.append(tensor)
        return tensor.data_ptr()


def contiguous_rows(tensor: Tensor) -> Tensor:
    """Have the values of each row of a matrix one after the other; rows may be any distance apart."""
    return tensor if tensor.stride(1) == 1 else tensor.contiguous()


class Library:
    """The functions of the library.

    Attributes:
        functions: by name.
        instruction_sets: those this processor has, plainest first.
        backends: of each of these.
        pool: the thread pool that torch runs on, None where it can't be found.
    """

    def __init__(self, file: Path) -> None:
        self.functions = ctypes.CDLL(str(file))
        if self.functions.dien_interface() != INTERFACE:
            raise OSError(f"{file} was built from other sources")
        self.instruction_sets = INSTRUCTION_SETS[: self.functions.dien_instruction_sets()]
        self.pool = _torch_pool()
        self.backends = [Backend(self, isa) for isa in range(len(self.instruction_sets))]


class Backend(NamedTuple):
    """The library's functions for one instruction set.

    Attributes:
        library: the library.
        isa: which of :data:`INSTRUCTION_SETS`.
    """

    library: Library
    isa: int

    def run(
        self,
        function: str,
        problem: ctypes.Structure,
        *others: int | ctypes.Structure | None,
        say_why: Callable[[], None] | None = None,
    ) -> None:
        """Call a function on as many threads as torch has.

        Args:
            function: its name; it takes the problem, the instruction set, the number of threads and the
                thread pool, then addresses.
            problem: its arguments.
            others: addresses and structures it takes beyond.
            say_why: refuses values that the function does not take, in words; called where it did not take
                some. None for a function that takes all values.

        Raises:
            Exception: what ``say_why`` raises.
            MemoryError: no memory for scratch.
            RuntimeError: the function failed, or refused what ``say_why`` lets pass.
        """
        call = getattr(self.library.functions, function)
        if call.argtypes is None:
            call.argtypes = (
                Address,
                ctypes.c_int32,
                ctypes.c_int32,
                *(Address for _ in range(len(others) + 1)),
            )
        addresses = [
            ctypes.byref(other) if isinstance(other, ctypes.Structure) else other for other in others
        ]
        status: int = call(
            ctypes.byref(problem), self.isa, torch.get_num_threads(), self.library.pool, *addresses
        )
        if status == 2:
            raise MemoryError(f"{function}: no memory for scratch space")
        if status == 1:
            _refused(function, say_why)
        if status:
            raise RuntimeError(f"{function}: failed")

    def pairs(self, starts: Tensor | None, lengths: Tensor, steps: int, say_why: Callable[[], None]) -> int:
        """Count the pairs of rows.

        Args:
            starts: ``[B]`` int32 or int64; None where every row starts at the first step.
            lengths: ``[B]`` int32 or int64.
            steps: how many there are.
            say_why: refuses rows that read steps that are not there, in words.

        Returns:
            The sum of lengths.

        Raises:
            Exception: what ``say_why`` raises.
            RuntimeError: a row reads steps that are not there, and ``say_why`` lets it pass.
        """
        pointers = Pointers()
        first = None if starts is None else pointers.indices(starts)
        count = self.library.functions.dien_pairs
        if count.argtypes is None:
            count.argtypes, count.restype = (Address, Address, ctypes.c_int64, ctypes.c_int64), ctypes.c_int64
        pairs: int = count(first, pointers.indices(lengths), lengths.shape[0], steps)
        if pairs < 0:
            _refused("dien_pairs", say_why)
        return pairs


def _refused(function: str, say_why: Callable[[], None] | None) -> NoReturn:
    if say_why is not None:
        say_why()
    raise RuntimeError(
        f"{function}: refused, while the check in Python finds nothing wrong; expected arguments that no "
        "other thread changes during the call. If none does, this is a fault of dien: please report it"
    )


def _torch_pool() -> int | None:
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
            f"{error}. To build it, install a C++ compiler (g++ or clang++) and then, in a clone of dien, "
            "run: pip install --force-reinstall --no-deps . (or: pip install --editable .)",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
