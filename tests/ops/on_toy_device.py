"""Tests for a process of their own, started by ``test_dispatch.py``: the device would stay for all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dien.ops import (
    adam_rows,
    attention_gru_layer,
    auxiliary_loss,
    gather_rows,
    linear,
    mlp_attention,
    reset_before_gru_layer,
    segment_softmax,
    segment_sum,
    sum_by_row,
)
from dien.ops.mlp import MLPTail
from tests.ops import toy

STARTS, LENGTHS = torch.tensor([0, 1, 4]), torch.tensor([3, 4, 0])
N, B, P, D, H = 5, 3, 7, 4, 2


def numbers(*shape: int) -> Tensor:
    random = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=random)


def tail() -> MLPTail:
    return MLPTail("prelu", (numbers(1, 3),), (numbers(1),), (numbers(3),))


ROWS = (STARTS, LENGTHS)
LAYER = (numbers(N, D), numbers(3 * H, D), numbers(3 * H, H), None, None, *ROWS, numbers(P))
ITEMS = (numbers(N, H), numbers(N, D), numbers(N, D), torch.tensor([0, 2]), 1)
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "attention_gru": (attention_gru_layer, LAYER),
    "auxiliary_loss": (auxiliary_loss, (*ITEMS, numbers(3, H + D), numbers(3), tail())),
    "gather_rows": (gather_rows, ([numbers(9, 4)], [[torch.tensor([8, 0])]], [0])),
    "linear": (linear, (numbers(N, D), numbers(H, D), numbers(H))),
    "mlp_attention": (
        mlp_attention,
        (numbers(N, H), numbers(B, H), *ROWS, numbers(3, 4 * H), numbers(3), tail()),
    ),
    "reset_before_gru": (reset_before_gru_layer, LAYER),
    "segment_softmax": (segment_softmax, (numbers(P), LENGTHS)),
    "segment_sum": (segment_sum, (numbers(P, H), LENGTHS)),
    "sum_by_row": (sum_by_row, (torch.tensor([3, 1, 3]), numbers(3, 2), 4)),
}
"""Of every operator without side effects, by name, the function and arguments that call it."""

DIFFERENTIATED = ("attention_gru", "linear", "mlp_attention")
"""Those whose gradient is an operator."""


@pytest.fixture(scope="module", autouse=True)
def toy_device() -> None:
    toy.register()


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def on_toy(value: Any, requires_grad: bool = False) -> Any:
    if isinstance(value, MLPTail):
        return MLPTail.of(value.activation, on_toy(value.parameters, requires_grad))
    if isinstance(value, list | tuple):
        return type(value)(on_toy(one, requires_grad) for one in value)
    if not isinstance(value, Tensor):
        return value
    return toy.Toy(value).requires_grad_(requires_grad and value.is_floating_point())


@pytest.mark.parametrize("name", CALLS)
def test_a_kernel_registered_for_another_device_is_reached_through_the_public_function(name: str) -> None:
    function, arguments = CALLS[name]
    toy.called.clear()
    found = function(*on_toy(arguments))
    assert toy.called[name] == 1
    expected = function(*arguments)
    for one, other in zip(as_tuple(found), as_tuple(expected), strict=True):
        assert one.device.type == "toy"
        torch.testing.assert_close(toy.raw(one), other)


def test_an_update_in_place_reaches_the_kernel_registered_for_another_device() -> None:
    table, mean, square, touched = numbers(4, 2), numbers(4, 2), numbers(4, 2).square(), torch.zeros(4).int()
    before = table.clone()
    toy.called.clear()
    rows = torch.tensor([1, 3])
    state = on_toy((table, rows, numbers(2, 2), mean, square, touched))
    adam_rows(*state, step=1, lr=0.1, betas=(0.9, 0.999), eps=1e-8)
    assert toy.called == {"adam_rows": 1}
    assert (table != before).any(1).tolist() == [False, True, False, True]


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_a_gradients_kernel_registered_for_another_device_is_reached_by_a_backward_pass(name: str) -> None:
    function, arguments = CALLS[name]
    found = function(*on_toy(arguments, requires_grad=True))
    toy.called.clear()
    found.backward(toy.Toy(torch.ones(found.shape)))
    assert toy.called[f"{name}_backward"] == 1


def test_every_operator_is_among_those_that_are_tried() -> None:
    assert {*CALLS, *(f"{name}_backward" for name in DIFFERENTIATED), "adam_rows"} == set(toy.operators())


def test_a_backend_of_a_composite_operator_brings_a_gradient_that_counts_on_its_device_alone() -> None:
    library = torch.library.Library("dien", "FRAGMENT")
    torch.library.register_autograd("dien::segment_sum", lambda ctx, grad: (None, None), lib=library)
    values = numbers(P, H).requires_grad_()
    (gradient,) = torch.autograd.grad(segment_sum(values, LENGTHS).sum(), values)
    assert torch.equal(gradient, torch.ones(P, H))
    on_device = toy.Toy(numbers(P, H)).requires_grad_()
    found = segment_sum(on_device, toy.Toy(LENGTHS))
    assert torch.autograd.grad(found, on_device, toy.Toy(torch.ones(B, H)), allow_unused=True) == (None,)
