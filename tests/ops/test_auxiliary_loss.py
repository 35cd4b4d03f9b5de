import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.ops import auxiliary_loss, cpu
from dien.ops.mlp import ACTIVATIONS, MLPTail
from tests.ops.test_cpu import COMPILED, SIZES, assert_within, each_backend
from tests.ops.test_mlp_attention import cast, cast_tail, recast, second_derivatives, tail

each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def problem(
    activation: str,
    now: list[int],
    ahead: int,
    N: int,
    H: int,
    D: int,
    widths: list[int],
    dtype: torch.dtype = torch.float64,
) -> dict[str, Any]:
    return {
        "states": cast(torch.randn(N, H).double(), dtype),
        "items": cast(torch.randn(N, D).double(), dtype),
        "negatives": cast(torch.randn(N, D).double(), dtype),
        "now": torch.tensor(now, dtype=torch.int64),
        "ahead": torch.tensor(ahead),
        "weight": cast(torch.randn(widths[0], H + D).double() / (H + D) ** 0.5, dtype),
        "bias": cast(torch.randn(widths[0]).double(), dtype),
        "tail": cast_tail(tail(activation, widths), dtype),
    }


def leaves(arguments: dict[str, Any]) -> list[Tensor]:
    tensors = [arguments[name] for name in ("states", "items", "negatives", "weight", "bias")]
    return [*tensors, *arguments["tail"].parameters]


def loss(arguments: dict[str, Any]) -> Tensor:
    return auxiliary_loss(**{**arguments, "ahead": int(arguments["ahead"])})


def run(arguments: dict[str, Any], backend: str, factor: float = 1.0) -> tuple[Tensor, ...]:
    with cpu.backend(backend):
        total = loss(arguments)
    gradients = torch.autograd.grad(total * factor, leaves(arguments), materialize_grads=True)
    return (total.detach(), *gradients)


def test_the_loss_adds_up_both_terms_of_equation_6_over_the_pairs() -> None:
    x = problem("sigmoid", [0, 1, 3], 1, N=6, H=3, D=2, widths=[5, 4])
    expected = 0.0
    for t in (0, 1, 3):
        for items, sign in ((x["items"], 1), (x["negatives"], -1)):
            hidden = x["weight"] @ torch.cat([x["states"][t], items[t + 1]]) + x["bias"]
            for weight, bias in zip(x["tail"].weights, x["tail"].biases, strict=True):
                hidden = weight @ torch.sigmoid(hidden) + bias
            expected -= math.log(1 / (1 + math.exp(-sign * hidden.item())))
    assert loss(x).item() == pytest.approx(expected, rel=1e-12)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, list[int], int]:
    N, ahead = draw(st.sampled_from([0, 1, 2, 47, 49, 120])), draw(st.integers(0, 2))
    chosen = draw(st.lists(st.booleans(), min_size=N, max_size=N))
    return N, [t for t in range(max(N - ahead, 0)) if chosen[t]], ahead


@each_backend
@settings(max_examples=60)
@given(
    activation=st.sampled_from(ACTIVATIONS),
    shape=pairs(),
    H=st.sampled_from(SIZES),
    D=st.sampled_from(SIZES),
    widths=st.lists(st.sampled_from(SIZES), min_size=1, max_size=3),
    seed=st.integers(0, 99),
    factor=st.sampled_from([1.0, 0.25]),
)
def test_values_are_within_1e_5_and_gradients_within_1e_4_of_double_precision(
    backend: str,
    activation: str,
    shape: tuple[int, list[int], int],
    H: int,
    D: int,
    widths: list[int],
    factor: float,
    seed: int,
) -> None:
    N, now, ahead = shape
    torch.manual_seed(seed)
    arguments = problem(activation, now, ahead, N, H, D, widths, torch.float32)
    found = run(arguments, backend, factor)
    expected = run(recast(arguments, torch.float64), "reference", factor)
    assert_within(found[0], expected[0], 1e-5, scale=1.0)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert_within(one, other, 1e-4, scale=1.0)


@each_activation
def test_gradients_are_those_of_finite_differences(activation: str) -> None:
    arguments = problem(activation, [0, 2], 1, N=4, H=2, D=3, widths=[3, 2])
    names = ("states", "items", "negatives", "weight", "bias")

    def total(*tensors: Tensor) -> Tensor:
        layers = MLPTail.of(activation, list(tensors[5:]))
        return loss({**arguments, **dict(zip(names, tensors[:5], strict=True)), "tail": layers})

    assert torch.autograd.gradcheck(total, leaves(arguments))


@each_backend
def test_second_derivatives_are_within_1e_4_of_those_of_double_precision(backend: str) -> None:
    arguments = problem("tanh", [0, 2], 1, N=4, H=2, D=3, widths=[3, 2])
    assert torch.autograd.gradgradcheck(lambda x: loss({**arguments, "states": x}), arguments["states"])
    expected = second_derivatives(loss(arguments), leaves(arguments))
    single = recast(arguments, torch.float32)
    with cpu.backend(backend):
        found = second_derivatives(loss(single), leaves(single))
    for one, other in zip(found, expected, strict=True):
        assert_within(one, other, 1e-4, scale=1.0)


@each_backend
def test_any_number_of_threads_gives_the_same_bits(backend: str) -> None:
    now = [t for t in range(1999) if t % 15]
    arguments = problem("prelu", now, 1, N=2000, H=36, D=36, widths=[100, 50], dtype=torch.float32)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(run(arguments, backend))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@each_backend
def test_items_may_be_columns_of_wider_behaviours(backend: str) -> None:
    arguments = problem("prelu", [0, 1, 2], 1, N=4, H=3, D=5, widths=[7], dtype=torch.float32)
    expected = run(arguments, backend)
    wide = torch.cat([arguments["items"].detach(), torch.full((4, 2), torch.nan)], 1)
    found = run({**arguments, "items": wide[:, :5].requires_grad_()}, backend)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@each_backend
def test_a_loss_that_is_only_looked_at_is_the_same(backend: str) -> None:
    arguments = problem("prelu", [0, 1, 2], 1, N=4, H=3, D=5, widths=[7], dtype=torch.float32)
    with cpu.backend(backend), torch.no_grad():
        found = loss(arguments)
    assert torch.equal(found, run(arguments, backend)[0])


@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("now", [[0, 3], [1, 1], [2, 1], [-1, 0], [0, 2**63 - 1]])
def test_steps_that_do_not_rise_or_are_not_there_are_refused(backend: str, now: list[int]) -> None:
    arguments = problem("relu", now, 1, N=4, H=3, D=2, widths=[4], dtype=torch.float32)
    message = r"now does not fit states \[4, 3\]: it has .*expected rising steps"
    with cpu.backend(backend), pytest.raises(ValueError, match=message):
        loss(arguments)


def test_shapes_that_do_not_fit_are_quoted_with_the_rule() -> None:
    arguments = problem("relu", [0], 1, N=4, H=3, D=2, widths=[4])
    with pytest.raises(ValueError, match=r"\[4, 3\], \[4, 2\] and \[5, 2\]; expected \[N, H\]"):
        loss({**arguments, "negatives": torch.zeros(5, 2)})
    with pytest.raises(ValueError, match=r"weight has shape \[4, 6\]; expected \[W, H \+ D\] = \[W, 5\]"):
        loss({**arguments, "weight": torch.zeros(4, 6)})


@pytest.mark.skipif(not COMPILED, reason="no C++ backend")
def test_the_operator_keeps_the_rules_of_torch() -> None:
    x = problem("prelu", [0, 2], 1, N=4, H=3, D=2, widths=[4, 2], dtype=torch.float32)
    numbers = leaves(x)
    torch.library.opcheck(
        torch.ops.dien.auxiliary_loss.default,
        (*numbers[:5], x["now"], numbers[5:], "prelu", 1, True),
        test_utils=("test_schema", "test_faketensor"),
    )
