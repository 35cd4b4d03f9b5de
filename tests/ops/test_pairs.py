"""The three operators on pairs against loops and double precision; each is a derivative of the others."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd

from dien.ops import cpu, pair_products, pair_scatter, pair_sums, segment_softmax
from tests.ops.test_attention_gru import Rows
from tests.ops.test_cpu import COMPILED, SIZES, assert_within, each_backend, shared_rows

SHARED = [(0, 3), (1, 4), (1, 4), (4, 1), (2, 0)]

Factors = tuple[Tensor, Tensor, Tensor]
"""Scores ``[P]``, keys ``[N, H]`` and vectors ``[B, H]``."""

OPERATORS: dict[str, Callable[..., Tensor]] = {
    "products": lambda _, keys, vectors, *rows: pair_products(keys, vectors, *rows),
    "scatter": lambda scores, keys, vectors, *rows: pair_scatter(scores, vectors, *rows, len(keys)),
    "sums": lambda scores, keys, _, *rows: pair_sums(keys, scores, *rows),
}
"""Each of the three factors, and the rows, to the derivative of the sum of their products by one of them."""
each_operator = pytest.mark.parametrize("name", OPERATORS)


def problem(rows: Rows, N: int, H: int, dtype: torch.dtype = torch.float64) -> tuple[Factors, list[Tensor]]:
    """Random factors, and the starts and lengths of rows."""
    starts, lengths = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).unbind(1)
    shapes = ((int(lengths.sum()),), (N, H), (len(rows), H))
    scores, keys, vectors = (torch.randn(shape).to(dtype).requires_grad_() for shape in shapes)
    return (scores, keys, vectors), [starts, lengths]


def recast(factors: Factors, dtype: torch.dtype) -> Factors:
    scores, keys, vectors = (factor.detach().to(dtype).requires_grad_() for factor in factors)
    return scores, keys, vectors


def run(name: str, factors: Factors, rows: list[Tensor], backend: str, probe: Tensor) -> list[Tensor]:
    """The result, then the gradient of every factor, on one backend."""
    with cpu.backend(backend):
        found = OPERATORS[name](*factors, *rows)
        gradients = torch.autograd.grad(found, factors, probe.to(found.dtype), materialize_grads=True)
    return [found.detach(), *gradients]


def probe_of(name: str, factors: Factors) -> Tensor:
    """Random numbers of the shape of a result."""
    return torch.randn(factors[list(OPERATORS).index(name)].shape, dtype=torch.float64)


def test_results_are_those_of_loops_over_rows_and_their_steps() -> None:
    (scores, keys, vectors), rows = problem(SHARED, N=6, H=3)
    products, sums, scattered = [], torch.zeros_like(vectors), torch.zeros_like(keys)
    p = 0
    for b, (start, length) in enumerate(SHARED):
        for step in range(start, start + length):
            products.append(keys[step] @ vectors[b])
            sums[b] = sums[b] + scores[p] * keys[step]
            scattered[step] = scattered[step] + scores[p] * vectors[b]
            p += 1
    torch.testing.assert_close(pair_products(keys, vectors, *rows), torch.stack(products))
    torch.testing.assert_close(pair_sums(keys, scores, *rows), sums)
    torch.testing.assert_close(pair_scatter(scores, vectors, *rows, 6), scattered)


@each_operator
@each_backend
@settings(max_examples=60)
@given(shape=shared_rows(), H=st.sampled_from([0, *SIZES]), seed=st.integers(0, 99))
def test_values_and_gradients_are_within_1e_5_of_double_precision(
    backend: str, name: str, shape: tuple[int, Rows], H: int, seed: int
) -> None:
    N, rows = shape
    torch.manual_seed(seed)
    factors, where = problem(rows, N, H, torch.float32)
    probe = probe_of(name, factors)
    found = run(name, factors, where, backend, probe)
    expected = run(name, recast(factors, torch.float64), where, "reference", probe)
    for one, other in zip(found, expected, strict=True):
        assert_within(one, other, 1e-5, scale=1.0)


@each_operator
def test_gradients_of_first_and_second_order_are_those_of_finite_differences(name: str) -> None:
    factors, rows = problem([(0, 2), (1, 2), (3, 0)], N=4, H=2)
    assert torch.autograd.gradcheck(lambda *given: OPERATORS[name](*given, *rows), factors)
    assert torch.autograd.gradgradcheck(lambda *given: OPERATORS[name](*given, *rows), factors)


@each_operator
@each_backend
def test_second_derivatives_are_within_1e_5_of_those_of_double_precision(backend: str, name: str) -> None:
    def second(factors: Factors) -> tuple[Tensor, ...]:
        value = OPERATORS[name](*factors, *rows).sin().sum()
        gradients = torch.autograd.grad(value, factors, create_graph=True, materialize_grads=True)
        total = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        return torch.autograd.grad(total, factors, materialize_grads=True)

    factors, rows = problem(SHARED, N=6, H=5)
    expected = second(factors)
    with cpu.backend(backend):
        found = second(recast(factors, torch.float32))
    for one, other in zip(found, expected, strict=True):
        assert_within(one, other, 1e-5, scale=1.0)


@each_operator
@each_backend
@pytest.mark.parametrize("order", ["neighbours", "apart"])
def test_any_number_of_threads_gives_the_same_bits(backend: str, name: str, order: str) -> None:
    rows = (
        [(0, 100)] * 7
        + [(100 + 3 * i, 90) for i in range(30)]
        + [(300 + 40 * (i % 50), 40) for i in range(99)]
    )
    if order == "apart":
        rows = [rows[i] for i in torch.randperm(len(rows)).tolist()]
    factors, where = problem(rows, N=2300, H=36, dtype=torch.float32)
    probe = probe_of(name, factors)
    found = []
    for threads in (1, 2, 3, 3):
        torch.set_num_threads(threads)
        found.append(run(name, factors, where, backend, probe))
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@each_operator
@each_backend
def test_how_the_inputs_lie_in_memory_and_the_type_of_rows_change_nothing(backend: str, name: str) -> None:
    factors, rows = problem([(0, 5), (2, 6)], N=8, H=6, dtype=torch.float32)
    probe = probe_of(name, factors)
    expected = run(name, factors, rows, backend, probe)
    apart = [torch.stack([factor.detach()] * 2, -1)[..., 0].requires_grad_() for factor in factors]
    scattered = torch.stack([probe] * 2, -1)[..., 0]
    narrow = [one.to(torch.int32) for one in rows]
    found = run(name, (apart[0], apart[1], apart[2]), narrow, backend, scattered)
    assert all(map(torch.equal, found, expected))


@each_backend
def test_a_step_that_is_no_number_spoils_what_reads_it_alone(backend: str) -> None:
    (scores, keys, vectors), rows = problem([(0, 3), (2, 5), (7, 0)], N=8, H=9, dtype=torch.float32)
    with torch.no_grad(), cpu.backend(backend):
        keys[1] = torch.nan
        assert pair_products(keys, vectors, *rows).isnan().nonzero().tolist() == [[1]]
        assert pair_sums(keys, scores, *rows).isnan().all(1).tolist() == [True, False, False]
        vectors[1] = torch.nan
        assert pair_scatter(scores, vectors, *rows, 8).isnan().all(1).nonzero().flatten().tolist() == [
            *range(2, 7)
        ]


@pytest.mark.parametrize("wanted", range(3))
@pytest.mark.parametrize("backend", [*COMPILED, "reference"])
@each_operator
def test_what_needs_no_gradient_gets_none(name: str, backend: str, wanted: int) -> None:
    factors, rows = problem(SHARED, N=6, H=4, dtype=torch.float32)
    probe = probe_of(name, factors).float()
    expected = run(name, factors, rows, backend, probe)[1 + wanted]
    for at, factor in enumerate(factors):
        factor.requires_grad_(at == wanted)
    with cpu.backend(backend):
        found = OPERATORS[name](*factors, *rows)
        if found.requires_grad:
            found.backward(probe)
    gradients = [factor.grad for factor in factors]
    assert all(gradient is None for at, gradient in enumerate(gradients) if at != wanted)
    if list(OPERATORS).index(name) != wanted:
        assert torch.equal(gradients[wanted], expected)


@each_operator
@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("rows", [[(0, 9)], [(-1, 2)], [(0, -1)]])
def test_a_row_beyond_the_steps_is_refused(backend: str, rows: Rows, name: str) -> None:
    factors, _ = problem([(0, 1)], N=8, H=3, dtype=torch.float32)
    message = rf"pair_{name}: row 0 has starts .*expected starts >= 0, .* starts \+ lengths <= N"
    with cpu.backend(backend), pytest.raises(ValueError, match=message):
        OPERATORS[name](*factors, *torch.tensor(rows).unbind(1))


def test_shapes_that_do_not_fit_are_quoted_with_the_rule() -> None:
    (scores, keys, vectors), rows = problem(SHARED, N=6, H=3)
    with pytest.raises(ValueError, match=r"queries has shape \[4, 3\]; expected \[B, H\] = \[5, 3\]"):
        pair_products(keys, vectors[:4], *rows)
    with pytest.raises(ValueError, match=r"scores has shape \[11\]; expected \[P\] = \[12\]"):
        pair_sums(keys, scores[:11], *rows)
    with pytest.raises(ValueError, match=r"pair_scatter: steps=-1; expected N >= 0"):
        pair_scatter(scores, vectors, *rows, -1)


@pytest.mark.skipif(not COMPILED, reason="no C++ backend")
def test_the_operators_keep_the_rules_of_torch() -> None:
    (scores, keys, vectors), rows = problem(SHARED, N=6, H=3, dtype=torch.float32)
    torch.library.opcheck(torch.ops.dien.pair_products.default, (keys, vectors, *rows))
    torch.library.opcheck(torch.ops.dien.pair_sums.default, (keys, scores, *rows))
    torch.library.opcheck(torch.ops.dien.pair_scatter.default, (scores, vectors, *rows, 6))


def test_a_compiler_takes_attention_whole_for_any_rows_forward_and_backward() -> None:
    torch._dynamo.reset()
    graphs: list[Any] = []

    def record(graph: Any, inputs: Any) -> Any:
        graphs.append(graph.graph)
        return make_boxed_func(graph)

    def attend(keys: Tensor, vectors: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        scores = segment_softmax(pair_products(keys, vectors, starts, lengths), lengths)
        return pair_sums(keys, scores, starts, lengths)

    compiled = torch.compile(attend, fullgraph=True, dynamic=True, backend=aot_autograd(fw_compiler=record))
    for rows, N in ((SHARED, 6), ([(0, 6), (2, 3), (0, 0)], 7)):
        (_, keys, vectors), where = problem(rows, N=N, H=4, dtype=torch.float32)
        found, expected = compiled(keys, vectors, *where), attend(keys, vectors, *where)
        assert torch.equal(found, expected)
        ours, theirs = (torch.autograd.grad(y.sin().sum(), (keys, vectors)) for y in (found, expected))
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)
    forward, backward = ([str(node.target) for node in graph.nodes] for graph in graphs)
    assert [name for name in forward if "dien" in name] == [
        f"dien.{name}.default" for name in ("pair_products", "segment_softmax", "pair_sums")
    ]
    assert "dien.segment_softmax_backward.default" in backward
