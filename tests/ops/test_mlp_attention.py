import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.ops import cpu, mlp_attention
from dien.ops.mlp import ACTIVATIONS, MLPTail
from tests.ops.test_attention_gru import Rows
from tests.ops.test_cpu import COMPILED, SIZES, assert_within, each_backend, shared_rows

each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def tail(activation: str, widths: list[int]) -> MLPTail:
    """Random layers in double precision; PReLU's slopes of either sign."""
    outputs = [*widths[1:], 1]
    weights = [torch.randn(m, k).double() / k**0.5 for k, m in zip(widths, outputs, strict=True)]
    slopes = [torch.rand(width).double() - 0.3 for width in widths] if activation == "prelu" else []
    return MLPTail(activation, tuple(weights), tuple(torch.randn(m).double() for m in outputs), tuple(slopes))


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to(dtype).requires_grad_()


def cast_tail(layers: MLPTail, dtype: torch.dtype) -> MLPTail:
    return MLPTail.of(layers.activation, [cast(parameter, dtype) for parameter in layers.parameters])


def problem(
    activation: str, rows: Rows, N: int, H: int, widths: list[int], dtype: torch.dtype = torch.float64
) -> dict[str, Any]:
    starts, lengths = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return {
        "states": cast(torch.randn(N, H).double(), dtype),
        "targets": cast(torch.randn(len(rows), H).double(), dtype),
        "starts": starts,
        "lengths": lengths,
        "weight": cast(torch.randn(widths[0], 4 * H).double() / H**0.5, dtype),
        "bias": cast(torch.randn(widths[0]).double(), dtype),
        "tail": cast_tail(tail(activation, widths), dtype),
    }


def recast(arguments: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    def one(given: Any) -> Any:
        if isinstance(given, MLPTail):
            return cast_tail(given, dtype)
        return cast(given, dtype) if given.is_floating_point() else given

    return {name: one(given) for name, given in arguments.items()}


def leaves(arguments: dict[str, Any]) -> list[Tensor]:
    tensors = [arguments[name] for name in ("states", "targets", "weight", "bias")]
    return [*tensors, *arguments["tail"].parameters]


def run(arguments: dict[str, Any], backend: str, probe: Tensor) -> tuple[Tensor, ...]:
    with cpu.backend(backend):
        logits = mlp_attention(**arguments)
    gradients = torch.autograd.grad(logits, leaves(arguments), probe.to(logits.dtype), materialize_grads=True)
    return (logits.detach(), *gradients)


@each_activation
def test_logits_are_those_of_the_mlp_on_the_fourfold_concatenation(activation: str) -> None:
    rows = [(0, 3), (2, 4), (0, 3), (6, 0)]
    arguments = problem(activation, rows, N=7, H=5, widths=[6, 4])
    found = mlp_attention(**arguments)
    expected = []
    for b, (start, length) in enumerate(rows):
        q = arguments["targets"][b]
        for k in arguments["states"][start : start + length]:
            hidden = arguments["weight"] @ torch.cat([q, k, q - k, q * k]) + arguments["bias"]
            layers = arguments["tail"]
            for layer, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
                if activation == "prelu":
                    hidden = torch.where(hidden > 0, hidden, hidden * layers.slopes[layer])
                elif activation != "none":
                    hidden = getattr(torch, activation)(hidden)
                hidden = weight @ hidden + bias
            expected.append(hidden)
    torch.testing.assert_close(found, torch.cat(expected))


@each_backend
@settings(max_examples=60)
@given(
    activation=st.sampled_from(ACTIVATIONS),
    shape=shared_rows(),
    H=st.sampled_from(SIZES),
    widths=st.lists(st.sampled_from(SIZES), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_values_are_within_1e_5_and_gradients_within_1e_4_of_double_precision(
    backend: str, activation: str, shape: tuple[int, Rows], H: int, widths: list[int], seed: int
) -> None:
    N, rows = shape
    torch.manual_seed(seed)
    arguments = problem(activation, rows, N, H, widths, torch.float32)
    probe = torch.randn(int(arguments["lengths"].sum()), dtype=torch.float64)
    found = run(arguments, backend, probe)
    expected = run(recast(arguments, torch.float64), "reference", probe)
    assert_within(found[0], expected[0], 1e-5, scale=1.0)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert_within(one, other, 1e-4, scale=1.0)


@each_backend
@settings(max_examples=30)
@given(
    activation=st.sampled_from(ACTIVATIONS),
    lengths=st.lists(st.integers(0, 140), min_size=1, max_size=3),
    candidates=st.integers(4, 6),
    H=st.sampled_from(SIZES),
    widths=st.lists(st.sampled_from(SIZES), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_candidates_that_share_long_histories_score_within_1e_5_of_double_precision(
    backend: str,
    activation: str,
    lengths: list[int],
    candidates: int,
    H: int,
    widths: list[int],
    seed: int,
) -> None:
    ends = list(itertools.accumulate(lengths))
    rows = [(end - length, length) for end, length in zip(ends, lengths, strict=True)] * candidates
    torch.manual_seed(seed)
    arguments = problem(activation, rows, ends[-1], H, widths, torch.float32)
    with cpu.backend(backend), torch.inference_mode():
        found = mlp_attention(**arguments)
    expected = mlp_attention(**recast(arguments, torch.float64))
    assert_within(found, expected.detach(), 1e-5, scale=1.0)


@each_backend
def test_a_candidate_scores_the_same_bits_whatever_others_share_its_long_history(backend: str) -> None:
    arguments = problem("sigmoid", [(0, 70)] * 9, N=70, H=5, widths=[7, 3], dtype=torch.float32)
    with cpu.backend(backend), torch.inference_mode():
        together = mlp_attention(**arguments)
        parts = {name: arguments[name][:5] for name in ("targets", "starts", "lengths")}
        assert torch.equal(mlp_attention(**{**arguments, **parts}), together[: 5 * 70])


@each_activation
def test_gradients_are_those_of_finite_differences(activation: str) -> None:
    arguments = problem(activation, [(0, 2), (1, 2), (3, 0)], N=4, H=2, widths=[3, 2])
    names = ("states", "targets", "weight", "bias")

    def logits(*tensors: Tensor) -> Tensor:
        layers = MLPTail.of(activation, list(tensors[4:]))
        given = dict(zip(names, tensors[:4], strict=True))
        return mlp_attention(**{**arguments, **given, "tail": layers})

    assert torch.autograd.gradcheck(logits, leaves(arguments))


def second_derivatives(value: Tensor, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """Differentiate the sum of the squared gradients."""
    gradients = torch.autograd.grad(value, tensors, create_graph=True)
    total = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
    return torch.autograd.grad(total, tensors, materialize_grads=True)


@each_backend
def test_second_derivatives_are_within_1e_4_of_those_of_double_precision(backend: str) -> None:
    arguments = problem("sigmoid", [(0, 2), (1, 2), (3, 0)], N=4, H=2, widths=[3, 2])
    assert torch.autograd.gradgradcheck(
        lambda x: mlp_attention(**{**arguments, "states": x}), arguments["states"]
    )
    expected = second_derivatives(mlp_attention(**arguments).sin().sum(), leaves(arguments))
    single = recast(arguments, torch.float32)
    with cpu.backend(backend):
        found = second_derivatives(mlp_attention(**single).sin().sum(), leaves(single))
    for one, other in zip(found, expected, strict=True):
        assert_within(one, other, 1e-4, scale=1.0)


@each_backend
def test_any_number_of_threads_gives_the_same_bits(backend: str) -> None:
    rows = [(0, 100)] * 7 + [(100 + 3 * i, 90) for i in range(30)]
    arguments = problem("prelu", rows, N=300, H=36, widths=[80, 40], dtype=torch.float32)
    probe = torch.randn(sum(length for _, length in rows))
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(run(arguments, backend, probe))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@each_backend
def test_how_the_inputs_lie_in_memory_changes_nothing(backend: str) -> None:
    arguments = problem("sigmoid", [(0, 5), (2, 6)], N=8, H=6, widths=[7, 5], dtype=torch.float32)
    probe = torch.randn(11)
    expected = run(arguments, backend, probe)
    strided = dict(arguments)
    for name in ("states", "targets", "weight"):
        wide = torch.stack([arguments[name].detach()] * 2, 2)[..., 0]
        assert not wide.is_contiguous()
        strided[name] = wide.requires_grad_()
    for one, other in zip(run(strided, backend, probe), expected, strict=True):
        assert torch.equal(one, other)


@each_backend
def test_a_row_without_numbers_spoils_its_own_logits_alone(backend: str) -> None:
    arguments = problem("relu", [(0, 3), (3, 4)], N=7, H=9, widths=[4], dtype=torch.float32)
    with torch.no_grad():
        arguments["states"][1] = torch.nan
    with cpu.backend(backend):
        assert mlp_attention(**arguments).isnan().tolist() == [False, True, *[False] * 5]


@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("rows", [[(0, 9)], [(-1, 2)], [(0, -1)]])
def test_a_row_beyond_the_steps_is_refused(backend: str, rows: Rows) -> None:
    arguments = problem("relu", [(0, 1)], N=8, H=3, widths=[4], dtype=torch.float32)
    starts, lengths = torch.tensor(rows).unbind(1)
    message = r"row 0 has starts .*expected starts >= 0, .* starts \+ lengths <= N"
    with cpu.backend(backend), pytest.raises(ValueError, match=message):
        mlp_attention(**{**arguments, "starts": starts, "lengths": lengths})


def test_shapes_that_do_not_fit_are_quoted_with_the_rule() -> None:
    arguments = problem("relu", [(0, 1)], N=8, H=3, widths=[4])
    with pytest.raises(ValueError, match=r"targets has shape \[1, 2\]; expected \[B, H\] = \[1, 3\]"):
        mlp_attention(**{**arguments, "targets": torch.zeros(1, 2)})
    with pytest.raises(ValueError, match=r"weight has shape \[4, 9\]; expected \[W, 4H\] = \[W, 12\]"):
        mlp_attention(**{**arguments, "weight": torch.zeros(4, 9)})


@pytest.mark.skipif(not COMPILED, reason="no C++ backend")
def test_the_operator_keeps_the_rules_of_torch() -> None:
    x = problem("prelu", [(0, 3), (1, 2)], N=4, H=3, widths=[4, 2], dtype=torch.float32)
    bias, weight_state = torch.randn(2, 4, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    torch.library.opcheck(
        torch.ops.dien.mlp_attention.default,
        (
            x["states"],
            x["targets"],
            bias,
            weight_state,
            torch.randn(4, 3, requires_grad=True),
            x["starts"],
            x["lengths"],
            x["tail"].parameters,
            "prelu",
        ),
    )
