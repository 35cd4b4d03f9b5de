"""The compiled library: where it is, how it is called, and what to say where it is missing."""

from __future__ import annotations

import ctypes
import warnings
from functools import cache
from pathlib import Path

import torch

FILE = Path(__file__).with_name("_attention_gru.so")
PATHS = ("plain", "avx2", "avx512")
"""Sets of instructions, in the order the library counts them."""
INTERFACE = 1
"""Of attention_gru.cpp: the functions and structures described here."""

Floats = Integers = ctypes.c_void_p


class Problem(ctypes.Structure):
    """``dien::Problem`` of problem.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("starts", Integers),
        ("lengths", Integers),
        ("gates", Floats),
        ("gates_stride", ctypes.c_int64),
        ("weight", Floats),
        ("bias", Floats),
        ("scores", Floats),
        ("state", Floats),
    )


class Gradients(ctypes.Structure):
    """``dien::Gradients`` of problem.h."""

    _fields_ = (
        ("of_last", Floats),
        ("of_states", Floats),
        ("states", Floats),
        ("gates", Floats),
        ("scores", Floats),
        ("state", Floats),
    )


class Library:
    """The functions of attention_gru.cpp.

    Attributes:
        paths: the instructions this processor has, plainest first.
    """

    def __init__(self, file: Path) -> None:
        functions = ctypes.CDLL(str(file))
        if functions.dien_interface() != INTERFACE:
            raise OSError(f"{file} was built from other sources")
        self._forward, self._backward = functions.dien_forward, functions.dien_backward
        self._forward.argtypes = (
            ctypes.POINTER(Problem),
            ctypes.c_int32,  # path
            ctypes.c_int32,  # threads
            ctypes.c_void_p,  # team
            Floats,  # last
            Floats,  # states
        )
        self._backward.argtypes = (
            ctypes.POINTER(Problem),
            ctypes.c_int32,
            ctypes.c_int32,
            ctypes.c_void_p,
            ctypes.POINTER(Gradients),
            Floats,  # gradient of weight_hh
            Floats,  # of bias_hh
        )
        self.paths = PATHS[: functions.dien_paths()]
        self._team = _torch_team()

    def forward(self, problem: Problem, path: int, last: int, states: int | None) -> None:
        """Call ``dien_forward``.

        Raises:
            ValueError: a row reads steps that are not there, or scores are not one for each pair.
            MemoryError: no memory for scratch.
        """
        _raise(self._forward(problem, path, torch.get_num_threads(), self._team, last, states))

    def backward(
        self, problem: Problem, path: int, gradients: Gradients, weight: int, bias: int | None
    ) -> None:
        """Call ``dien_backward``; raises as :meth:`forward`."""
        threads = torch.get_num_threads()
        _raise(self._backward(problem, path, threads, self._team, gradients, weight, bias))


def _raise(status: int) -> None:
    if status == 1:
        raise ValueError(
            "attention_gru: starts, lengths and scores do not fit gates; expected starts >= 0, lengths >= 0, "
            "starts + lengths <= N and lengths.sum() scores"
        )
    if status == 2:
        raise MemoryError("attention_gru: no memory for the scratch space of its tiles")


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
            "dien computes attention_gru with plain PyTorch, many times slower than its C++ backend: "
            f"{error}. To build it, install a C++ compiler (g++ or clang++) and then dien again: "
            "pip install --force-reinstall --no-deps --no-cache-dir dien "
            "(in a clone: pip install --editable .)",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
