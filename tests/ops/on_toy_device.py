"""Tests for a process of their own, started by ``test_dispatch.py``: the device would stay for all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dien.ops import segment_sum
from tests.ops import toy
from tests.ops.calls import LENGTHS, PUBLIC, B, H, P, copied, numbers

OPERATORS = {"attention_gru_layer": "attention_gru", "reset_before_gru_layer": "reset_before_gru"}
"""Of public functions that are not called as theirs, the operator."""
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    OPERATORS.get(name, name): call
    for name, call in PUBLIC.items()
    if name not in ("attention_gru", "adam_rows", "sum_by_row, rising")
}
"""Of every operator without side effects, by name, the function and arguments that call it."""

DIFFERENTIATED = ("attention_gru", "linear", "mlp_attention", "segment_softmax")
"""Those whose gradient is an operator."""
BY_EACH_OTHER = ("pair_products", "pair_scatter", "pair_sums")
"""Those whose gradients are the other two."""


@pytest.fixture(scope="module", autouse=True)
def toy_device() -> None:
    toy.register()


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def on_toy(value: Any, requires_grad: bool = False) -> Any:
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
    function, arguments = PUBLIC["adam_rows"]
    table, rows, *rest = copied(arguments)
    before = table.clone()
    toy.called.clear()
    function(*on_toy((table, rows, *rest)))
    assert toy.called == {"adam_rows": 1}
    assert torch.nonzero((table != before).any(1)).squeeze(1).tolist() == rows.tolist()


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_a_gradients_kernel_registered_for_another_device_is_reached_by_a_backward_pass(name: str) -> None:
    function, arguments = CALLS[name]
    found = function(*on_toy(arguments, requires_grad=True))
    toy.called.clear()
    found.backward(toy.Toy(torch.ones(found.shape)))
    assert toy.called[f"{name}_backward"] == 1


@pytest.mark.parametrize("name", BY_EACH_OTHER)
def test_a_backward_pass_through_pairs_reaches_the_kernels_of_the_other_two(name: str) -> None:
    function, arguments = CALLS[name]
    found = function(*on_toy(arguments, requires_grad=True))
    toy.called.clear()
    found.backward(toy.Toy(torch.ones(found.shape)))
    assert toy.called == {other: 1 for other in BY_EACH_OTHER if other != name}


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
