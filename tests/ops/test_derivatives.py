"""Derivatives beyond the first, in forward mode and by ``torch.func``: those of plain PyTorch everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from tests.ops.calls import PUBLIC, copied, leaves, replaced

NAMES = [name for name in PUBLIC if "sum_by_row" not in name and name not in ("adam_rows", "matches")]
each_call = pytest.mark.parametrize("name", NAMES)


def problem(
    name: str, path: tuple[int, ...], dtype: torch.dtype
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A number that depends on one argument, through a call in a type of its own, and that argument."""
    function, given = PUBLIC[name]
    given = copied(given)
    for other, tensor in list(leaves(given)):
        given = replaced(given, other, tensor.to(dtype) if tensor.is_floating_point() else tensor)
    x: Tensor = dict(leaves(given))[path]

    def value(x: Tensor) -> Tensor:
        found = function(*replaced(given, path, x))
        results = found if isinstance(found, tuple) else (found,)
        total: Any = sum((one.double().sin() + one.double().square()).sum() for one in results)
        return total  # type: ignore[no-any-return]

    return value, x


def gradient(value: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(value(x), x)
    return found.to_dense()


def cases(name: str) -> list[tuple[int, ...]]:
    return [path for path, tensor in leaves(PUBLIC[name][1]) if tensor.is_floating_point()]


def direction(x: Tensor) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(x.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_call
def test_a_derivative_in_forward_mode_is_that_of_the_gradient(name: str, dtype: torch.dtype) -> None:
    for path in cases(name):
        value, x = problem(name, path, dtype)
        v = direction(x)
        expected = (gradient(value, x) * v).double().sum()
        with forward_ad.dual_level():
            dual = forward_ad.unpack_dual(value(forward_ad.make_dual(x, v))).tangent
        _, by_func = torch.func.jvp(value, (x,), (v,))
        by_grad = (torch.func.grad(value)(x) * v).double().sum()
        for found in (dual, by_func, by_grad):
            torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


@each_call
def test_second_derivatives_are_those_of_finite_differences(name: str) -> None:
    for path in cases(name):
        value, x = problem(name, path, torch.float64)
        v, step = direction(x), 1e-5
        expected = (gradient(value, x + step * v) - gradient(value, x - step * v)) / (2 * step)
        for dtype in (torch.float32, torch.float64):
            value, x = problem(name, path, dtype)
            w, leaf = v.to(dtype), x.detach().requires_grad_()
            (first,) = torch.autograd.grad(value(leaf), leaf, create_graph=True)
            first = first.to_dense() if first.is_sparse else first
            (twice,) = torch.autograd.grad((first * w).sum(), leaf, materialize_grads=True)
            _, over = torch.func.jvp(torch.func.grad(value), (x,), (w,))
            for found in (twice, over):
                torch.testing.assert_close(found.to_dense().double(), expected, rtol=2e-3, atol=2e-3)


@each_call
def test_a_hessian_of_torch_func_is_symmetric_and_that_of_the_second_derivatives(name: str) -> None:
    value, x = problem(name, cases(name)[0], torch.float64)
    hessian = torch.func.hessian(value)(x).reshape(x.numel(), x.numel())
    v = direction(x)
    _, expected = torch.func.jvp(torch.func.grad(value), (x,), (v,))
    torch.testing.assert_close(hessian, hessian.t())
    torch.testing.assert_close(hessian @ v.reshape(-1), expected.reshape(-1))


def test_what_torch_jit_traces_is_the_operator_for_any_rows_with_and_without_gradients() -> None:
    def run(x: Tensor, weight: Tensor, lengths: Tensor, scores: Tensor) -> Tensor:
        starts = lengths.cumsum(0) - lengths
        function, given = PUBLIC["attention_gru_layer"]
        found: Tensor = function(x, weight, *given[2:5], starts, lengths, scores, None)
        return found

    weight = PUBLIC["attention_gru_layer"][1][1].clone().requires_grad_()
    lengths = torch.tensor([3, 2])
    traced = torch.jit.trace(run, (torch.randn(5, 4), weight, lengths, torch.rand(5)))
    for lengths in (torch.tensor([1, 0, 6]), torch.tensor([2])):
        steps = int(lengths.sum())
        x, scores = torch.randn(steps, 4), torch.rand(steps)
        found, expected = traced(x, weight, lengths, scores), run(x, weight, lengths, scores)
        assert torch.equal(found, expected)
        ours, theirs = (torch.autograd.grad(y.sum(), weight)[0] for y in (found, expected))
        assert torch.equal(ours, theirs)
        with torch.no_grad():
            assert torch.equal(traced(x, weight, lengths, scores), expected)
