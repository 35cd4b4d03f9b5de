"""C++ backend of ``attention_gru`` on the CPU, for float32; the reference backend serves everything else.

The library is compiled without PyTorch's headers: it gets addresses of tensors through ctypes, and so fits
every version of PyTorch and Python. Results are the same to the bit for any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dien.ops import reference
from dien.ops.cpu.library import PATHS, Gradients, Library, Problem, load

_forced: str | None = os.environ.get("DIEN_CPU_BACKEND") or None


def backends() -> tuple[str, ...]:
    """Name the CPU backends of this machine, fastest first: instruction sets in C++, then ``reference``."""
    compiled = load()
    return (*(reversed(compiled.paths) if compiled else ()), "reference")


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Have ``attention_gru`` run on a named CPU backend, in all threads, within a ``with`` block.

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


def forward(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """Run the recurrence; arguments and returns of :func:`dien.ops.reference.forward`."""
    chosen = _chosen(gates)
    if chosen is None:
        return reference.forward(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind, keep_states)
    compiled, path = chosen
    problem, _held = _problem(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind)
    last = gates.new_empty((problem.rows, problem.hidden))
    states = gates.new_empty((problem.pairs if keep_states else 0, problem.hidden))
    compiled.forward(problem, path, last.data_ptr(), states.data_ptr() if keep_states else None)
    return last, states


def backward(
    grad_last: Tensor,
    grad_states: Tensor,
    states: Tensor,
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Differentiate :func:`forward`; arguments and returns of :func:`dien.ops.reference.backward`."""
    chosen = _chosen(gates)
    if chosen is None:
        return reference.backward(
            grad_last, grad_states, states, gates, weight_hh, bias_hh, starts, lengths, scores, state, kind
        )
    compiled, path = chosen
    problem, _held = _problem(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind)
    grad_last, grad_states, states = (t.contiguous() for t in (grad_last, grad_states, states))
    grad_gates = gates.new_empty(gates.shape)
    grad_weight = gates.new_empty(weight_hh.shape)
    grad_bias, grad_scores, grad_state = (
        gates.new_empty(0 if given is None else given.shape) for given in (bias_hh, scores, state)
    )
    compiled.backward(
        problem,
        path,
        Gradients(
            of_last=grad_last.data_ptr(),
            of_states=grad_states.data_ptr(),
            states=states.data_ptr(),
            gates=grad_gates.data_ptr(),
            scores=None if scores is None else grad_scores.data_ptr(),
            state=None if state is None else grad_state.data_ptr(),
        ),
        grad_weight.data_ptr(),
        None if bias_hh is None else grad_bias.data_ptr(),
    )
    return grad_gates, grad_weight, grad_bias, grad_scores, grad_state


def _chosen(gates: Tensor) -> tuple[Library, int] | None:
    """Choose the library and the path in it, or None for the reference backend."""
    if _forced == "reference" or gates.dtype != torch.float32:
        return None
    if _forced is not None:
        _check(_forced)
    compiled = load()
    if compiled is None:
        return None
    return compiled, len(compiled.paths) - 1 if _forced is None else PATHS.index(_forced)


def _problem(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
) -> tuple[Problem, list[Tensor]]:
    """Put the arguments as the library takes them, beside the tensors its addresses point into."""
    held: list[Tensor] = []

    def address(tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        held.append(tensor.contiguous())
        return held[-1].data_ptr()

    if gates.stride(1) != 1:
        gates = gates.contiguous()
    held.append(gates)  # its rows may lie apart, as those of a wider projection do
    return Problem(
        kind=reference.KINDS.index(kind),
        rows=lengths.shape[0],
        steps=gates.shape[0],
        pairs=int(lengths.sum()) if scores is None else scores.shape[0],
        hidden=weight_hh.shape[1],
        starts=address(starts),
        lengths=address(lengths),
        gates=gates.data_ptr(),
        gates_stride=gates.stride(0),
        weight=address(weight_hh),
        bias=address(bias_hh),
        scores=address(scores),
        state=address(state),
    ), held
