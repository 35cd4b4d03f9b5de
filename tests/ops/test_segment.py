import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.ops import cpu, segment_softmax, segment_sum
from tests.ops.test_cpu import COMPILED, assert_within, each_backend

lengths_lists = st.lists(st.integers(0, 6), max_size=6)
LENGTHS = torch.tensor([2, 0, 3, 1, 0])


@given(lengths=lengths_lists, size=st.sampled_from([0.0, 1.0, 100.0, 1e4]), seed=st.integers(0, 99))
def test_each_row_gets_the_softmax_of_its_own_logits_however_large(
    lengths: list[int], size: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = size * (2 * torch.rand(sum(lengths), generator=random) - 1)
    found = segment_softmax(logits, torch.tensor(lengths, dtype=torch.int64))
    rows = [torch.softmax(row, 0) for row in logits.split(lengths)]
    torch.testing.assert_close(found, torch.cat([logits[:0], *rows]), rtol=1e-6, atol=1e-7)
    sums = segment_sum(found, torch.tensor(lengths, dtype=torch.int64))
    torch.testing.assert_close(sums, torch.tensor([float(length > 0) for length in lengths]))


def test_logits_at_both_ends_of_the_scale_give_finite_scores_and_gradients() -> None:
    logits = torch.tensor([1e4, -1e4, -1e4, -1e4, 1e4, 1e4], requires_grad=True)
    scores = segment_softmax(logits, torch.tensor([2, 2, 0, 2]))
    assert scores.tolist() == [1, 0, 0.5, 0.5, 0.5, 0.5]
    (scores * torch.arange(6)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [0, 0, -0.25, 0.25, -0.25, 0.25]


def test_a_softmax_of_no_row_or_of_empty_rows_is_empty() -> None:
    for rows in (0, 3):
        assert segment_softmax(torch.zeros(0), torch.zeros(rows, dtype=torch.int64)).shape == (0,)


def test_the_gradient_of_the_softmax_is_that_of_finite_differences() -> None:
    logits = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: segment_softmax(x, LENGTHS), logits)
    assert torch.autograd.gradgradcheck(lambda x: segment_softmax(x, LENGTHS), logits)


def scores_and_gradient(
    logits: torch.Tensor, lengths: torch.Tensor, probe: torch.Tensor, backend: str
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = logits.detach().requires_grad_()
    with cpu.backend(backend):
        scores = segment_softmax(logits, lengths)
        (gradient,) = torch.autograd.grad(scores, logits, probe)
    return scores.detach(), gradient


@each_backend
@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 70), max_size=6),
    shift=st.sampled_from([0.0, -1e3, 1e3]),
    seed=st.integers(0, 99),
)
def test_scores_and_gradients_are_within_1e_5_of_double_precision(
    backend: str, lengths: list[int], shift: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    logits, probe = 5 * torch.randn(2, sum(lengths), generator=random)
    rows = torch.tensor(lengths, dtype=torch.int64)
    found = scores_and_gradient(logits + shift, rows, probe, backend)
    expected = scores_and_gradient((logits + shift).double(), rows, probe.double(), "reference")
    for one, other in zip(found, expected, strict=True):
        assert_within(one, other, 1e-5, scale=1.0)


@each_backend
def test_any_number_of_threads_gives_the_same_bits(backend: str) -> None:
    lengths = torch.arange(2000) * 7 % 61
    logits, probe = torch.randn(2, int(lengths.sum()))
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(scores_and_gradient(logits, lengths, probe, backend))
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("spoilt", [torch.nan, torch.inf])
def test_a_logit_that_is_no_finite_number_spoils_its_own_row_alone(backend: str, spoilt: float) -> None:
    logits = torch.randn(60)
    logits[35] = spoilt
    with cpu.backend(backend):
        scores = segment_softmax(logits, torch.tensor([20, 0, 33, 7]))
    assert scores.isnan().any()
    assert scores[:20].isfinite().all()
    assert scores[53:].isfinite().all()


@pytest.mark.parametrize("backend", cpu.backends())
def test_a_step_at_minus_infinity_gets_nothing(backend: str) -> None:
    logits = torch.tensor([-torch.inf, 0.0, 0.0, -torch.inf])
    with cpu.backend(backend):
        assert segment_softmax(logits, torch.tensor([3, 1])).nan_to_num(9).tolist() == [0, 0.5, 0.5, 9]


@pytest.mark.skipif(not COMPILED, reason="no C++ backend")
def test_the_operator_keeps_the_rules_of_torch() -> None:
    logits = torch.randn(6, requires_grad=True)
    torch.library.opcheck(torch.ops.dien.segment_softmax.default, (logits, LENGTHS))


def test_a_softmax_of_anything_but_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match=r"logits has shape \[6, 1\]; expected \[P\]"):
        segment_softmax(torch.zeros(6, 1), LENGTHS)


@given(lengths=lengths_lists, width=st.sampled_from([(), (3,), (2, 2)]))
def test_each_row_gets_the_sum_of_its_own_steps(lengths: list[int], width: tuple[int, ...]) -> None:
    values = torch.randn(sum(lengths), *width, dtype=torch.float64)
    found = segment_sum(values, torch.tensor(lengths, dtype=torch.int64))
    assert found.shape == (len(lengths), *width)
    for row, steps in zip(found, values.split(lengths), strict=True):
        torch.testing.assert_close(row, steps.sum(0))


def test_the_gradient_of_the_sum_is_that_of_finite_differences() -> None:
    values = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: segment_sum(x, LENGTHS), values)


def test_tensors_without_values_give_the_shapes_of_the_results() -> None:
    values, lengths = torch.empty(7, 2, device="meta"), torch.tensor([3, 4, 0], device="meta")
    assert segment_sum(values, lengths).shape == (3, 2)
    assert segment_softmax(values[:, 0], lengths).shape == (7,)
