import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.ops import cpu, linear
from tests.ops.test_cpu import COMPILED, assert_within, each_backend

SIZES = [1, 2, 3, 15, 16, 17, 36, 40, 50, 64, 65, 100, 108]


def arguments(N: int, K: int, M: int, bias: bool = True, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    shapes = [(N, K), (M, K), (M,)][: 3 if bias else 2]
    random = torch.Generator().manual_seed(N + K + M)
    return [torch.randn(shape, generator=random, dtype=dtype).requires_grad_() for shape in shapes]


def run(inputs: list[Tensor], backend: str, probe: Tensor) -> list[Tensor]:
    """The result, then the gradient of every input, on one backend."""
    with cpu.backend(backend):
        y = linear(*inputs)
        return [y.detach(), *torch.autograd.grad(y, inputs, probe)]


@each_backend
@settings(max_examples=60)
@given(
    N=st.sampled_from([0, 1, 2, 5, 6, 7, 119, 120, 121, 600]),
    K=st.sampled_from(SIZES),
    M=st.sampled_from(SIZES),
    bias=st.booleans(),
)
def test_values_are_within_1e_5_and_gradients_within_1e_4_of_double_precision(
    backend: str, N: int, K: int, M: int, bias: bool
) -> None:
    inputs, probe = arguments(N, K, M, bias), torch.randn(N, M)
    found = run(inputs, backend, probe)
    double = [given.detach().double().requires_grad_() for given in inputs]
    y = F.linear(*double)
    expected = [y.detach(), *torch.autograd.grad(y, double, probe.double())]
    assert_within(found[0], expected[0], 1e-5, scale=1)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert_within(one, other, 1e-4, scale=1)


@each_backend
def test_any_number_of_threads_gives_the_same_bits(backend: str) -> None:
    inputs, probe = arguments(5000, 36, 108), torch.randn(5000, 108)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(run(inputs, backend, probe))
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@each_backend
def test_a_row_gives_the_same_bits_alone_and_among_others(backend: str) -> None:
    x, weight, bias = (given.detach() for given in arguments(200, 36, 108))
    with cpu.backend(backend):
        together = linear(x, weight, bias)
        for i in (0, 5, 120, 199):
            assert torch.equal(linear(x[i : i + 1], weight, bias), together[i : i + 1])


@each_backend
def test_a_value_that_is_no_number_spoils_its_own_row_alone(backend: str) -> None:
    x, weight, bias = (given.detach() for given in arguments(30, 7, 20))
    x[4, 6] = torch.nan
    with cpu.backend(backend):
        assert linear(x, weight, bias).isnan().any(1).nonzero().tolist() == [[4]]


@each_backend
def test_how_tensors_lie_in_memory_changes_nothing(backend: str) -> None:
    x, weight, bias = arguments(50, 9, 20)
    probe = torch.randn(50, 20)
    expected = run([x, weight, bias], backend, probe)
    wide = torch.randn(50, 30)
    wide[:, 4:13] = x.detach()
    for other in (wide.requires_grad_()[:, 4:13], x.detach().t().contiguous().t().requires_grad_()):
        apart = weight.detach().t().contiguous().t().requires_grad_()
        for strange in (probe, probe.t().contiguous().t(), torch.cat([probe, probe], 1)[:, :20]):
            assert all(map(torch.equal, run([other, apart, bias], backend, strange), expected))
    (of_x,) = torch.autograd.grad(linear(x, weight, bias).sum(), x)  # a gradient expanded from one number
    torch.testing.assert_close(of_x, weight.sum(0).expand_as(x))


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
@pytest.mark.parametrize("backend", [*COMPILED, "reference"])
def test_what_needs_no_gradient_gets_none(backend: str, wanted: tuple[bool, ...]) -> None:
    inputs, probe = arguments(20, 5, 4), torch.randn(20, 4)
    expected = run(inputs, backend, probe)[1:]
    for leaf, want in zip(inputs, wanted, strict=True):
        leaf.requires_grad_(want)
    with cpu.backend(backend):
        linear(*inputs).backward(probe)
    for leaf, want, gradient in zip(inputs, wanted, expected, strict=True):
        assert (leaf.grad is not None) == want
        assert not want or torch.equal(leaf.grad, gradient)


def test_double_precision_and_wide_layers_go_to_torch() -> None:
    for inputs in (arguments(3, 4, 5, dtype=torch.float64), arguments(3, 300, 300)):
        y = linear(*inputs)
        assert torch.equal(y, F.linear(*inputs))
        assert "Addmm" in type(y.grad_fn).__name__


def test_the_operators_pass_the_checks_of_torch() -> None:
    inputs = arguments(9, 5, 4)
    torch.library.opcheck(torch.ops.dien.linear, tuple(inputs))
    torch.library.opcheck(torch.ops.dien.linear, (*inputs[:2], None))
    x, weight, _ = (given.detach() for given in inputs)
    torch.library.opcheck(torch.ops.dien.linear_backward, (torch.randn(9, 4), x, weight, True, True, False))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 4), (5, 3), (5,)), r"x has shape \[3, 4\] and weight \[5, 3\]; expected \[N, K\] and \[M, K\]"),
        (((3,), (5, 3), (5,)), r"x has shape \[3\] and weight \[5, 3\]"),
        (((3, 4), (5, 4), (4,)), r"bias has shape \[4\]; expected \[M\] = \[5\]"),
    ],
)
def test_shapes_that_do_not_fit_are_quoted_with_the_rule(
    shapes: tuple[tuple[int, ...], ...], message: str
) -> None:
    with pytest.raises(ValueError, match="linear: " + message):
        linear(*(torch.zeros(shape) for shape in shapes))


def test_types_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weight is .*float64 and x .*float32; expected one dtype"):
        linear(torch.zeros(3, 4), torch.zeros(5, 4).double())
