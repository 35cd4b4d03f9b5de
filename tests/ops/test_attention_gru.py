import math
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd
from torch.export import Dim, export

from dien.ops import attention_gru, attention_gru_layer
from dien.ops.attention_gru.reference import naive as attention_gru_naive

KINDS = ("gru", "agru", "augru", "augru-complement")
DIFFERENTIABLE = ("gates", "x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "scores", "state")

Rows = list[tuple[int, int]]
"""Start and length of each row."""

# Rows that share steps, one that reads a single step, one that reads none.
SHARED = [(0, 3), (1, 4), (1, 4), (4, 1), (2, 0)]


def problem(
    kind: str,
    rows: Rows,
    *,
    N: int,
    H: int,
    bias: bool = True,
    state: bool = True,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    requires_grad: bool = True,
) -> dict[str, Any]:
    """Random arguments of ``attention_gru``, but for ``kind``."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=dtype).requires_grad_(requires_grad)

    starts, lengths = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).unbind(1)
    pairs = int(lengths.sum())
    scores = torch.rand(pairs, generator=random, dtype=dtype).requires_grad_(requires_grad)
    return {
        "gates": normal(N, 3 * H),
        "weight_hh": normal(3 * H, H),
        "bias_hh": normal(3 * H) if bias else None,
        "starts": starts,
        "lengths": lengths,
        "scores": None if kind == "gru" else scores,
        "state": normal(len(rows), H) if state else None,
    }


def given_inputs(arguments: dict[str, Any]) -> list[Tensor]:
    return [arguments[name] for name in DIFFERENTIABLE if arguments.get(name) is not None]


def layer_problem(
    kind: str, rows: Rows, *, N: int, D: int, H: int, bias: bool = True, **rest: Any
) -> dict[str, Any]:
    """Random arguments of ``attention_gru_layer``, but for ``kind``."""
    arguments = problem(kind, rows, N=N, H=H, bias=bias, **rest)
    like, seed = arguments.pop("gates"), rest.get("seed", 0)
    random = torch.Generator().manual_seed(seed + 1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=like.dtype).requires_grad_(like.requires_grad)

    layer = {"x": normal(N, D), "weight_ih": normal(3 * H, D), "bias_ih": normal(3 * H) if bias else None}
    return arguments | layer


def projected(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``attention_gru`` that those of ``attention_gru_layer`` stand for."""
    rest = dict(arguments)
    x, weight, bias = (rest.pop(name) for name in ("x", "weight_ih", "bias_ih"))
    return rest | {"gates": torch.nn.functional.linear(x, weight, bias)}


def flat(arguments: dict[str, Any], kind: str) -> tuple[Any, ...]:
    """The same as the operator of torch takes them."""
    order = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "starts", "lengths", "scores", "state")
    x = arguments["x"] if "x" in arguments else arguments["gates"]
    return (x, *(arguments.get(name) for name in order), kind)


@st.composite
def rows_of(draw: st.DrawFn) -> tuple[int, Rows]:
    N = draw(st.integers(0, 8))
    starts = draw(st.lists(st.integers(0, N), max_size=5))
    return N, [(start, draw(st.integers(0, N - start))) for start in starts]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_naive_recurrence_is_the_equations_written_out(kind: str) -> None:
    gates = [[0.3, -0.2, 0.5], [-1.1, 0.8, 0.4]]
    (U_r, U_u, U_n), (c_r, c_u, c_n) = (0.1, 0.4, -0.7), (0.05, -0.1, 0.2)
    scores, h, expected = [0.6, 0.25], 0.25, []
    for (i_r, i_u, i_n), a in zip(gates, scores, strict=True):
        r = sigmoid(i_r + U_r * h + c_r)
        u = sigmoid(i_u + U_u * h + c_u)
        n = math.tanh(i_n + r * (U_n * h + c_n))
        if kind == "gru":
            h = u * h + (1 - u) * n
        elif kind == "agru":
            h = (1 - a) * h + a * n
        elif kind == "augru":
            h = (1 - a * u) * h + a * u * n
        else:  # the authors' cell scales the share that is kept
            u = (1 - a) * u
            h = u * h + (1 - u) * n
        expected.append([h])

    found = attention_gru_naive(
        torch.tensor(gates, dtype=torch.float64),
        torch.tensor([[U_r], [U_u], [U_n]], dtype=torch.float64),
        torch.tensor([c_r, c_u, c_n], dtype=torch.float64),
        torch.tensor([0]),
        torch.tensor([2]),
        None if kind == "gru" else torch.tensor(scores, dtype=torch.float64),
        kind=kind,
        state=torch.tensor([[0.25]], dtype=torch.float64),
        outputs="all",
    )
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize("bias", [True, False])
def test_the_naive_gru_is_that_of_torch(bias: bool) -> None:
    H, lengths = 4, torch.tensor([3, 1, 5])
    gru = torch.nn.GRU(2, H, bias=bias, batch_first=True, dtype=torch.float64)
    weight_ih, weight_hh, *biases = gru.all_weights[0]
    bias_ih, bias_hh = biases or (None, None)
    x, h = torch.randn(9, 2, dtype=torch.float64), torch.randn(3, H, dtype=torch.float64)
    found = attention_gru_naive(
        torch.nn.functional.linear(x, weight_ih, bias_ih),
        weight_hh,
        bias_hh,
        torch.tensor([0, 3, 4]),
        lengths,
        kind="gru",
        state=h,
        outputs="all",
    )
    rows = zip(x.split(lengths.tolist()), h, strict=True)
    expected = torch.cat([gru(steps[None], state[None, None])[0][0] for steps, state in rows])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@settings(max_examples=150)
@given(
    kind=st.sampled_from(KINDS),
    outputs=st.sampled_from(["last", "all"]),
    shape=rows_of(),
    H=st.sampled_from([1, 3, 36]),
    bias=st.booleans(),
    state=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_operator_is_the_naive_recurrence_in_values_and_gradients(
    kind: str, outputs: str, shape: tuple[int, Rows], H: int, bias: bool, state: bool, seed: int
) -> None:
    N, rows = shape
    arguments = problem(kind, rows, N=N, H=H, bias=bias, state=state, seed=seed)
    found = attention_gru(**arguments, kind=kind, outputs=outputs)
    expected = attention_gru_naive(**arguments, kind=kind, outputs=outputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)

    with torch.no_grad():  # then no states are kept
        without = attention_gru(**arguments, kind=kind, outputs=outputs)
    assert torch.equal(found, without)

    if expected.requires_grad:
        inputs, probe = given_inputs(arguments), torch.randn_like(expected)
        ours = torch.autograd.grad(found, inputs, probe)
        theirs = torch.autograd.grad(expected, inputs, probe, allow_unused=True, materialize_grads=True)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    outputs=st.sampled_from(["last", "all"]),
    shape=rows_of(),
    D=st.sampled_from([1, 3, 20]),
    H=st.sampled_from([1, 3, 36]),
    bias=st.booleans(),
    state=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_layer_is_the_operator_on_projected_inputs(
    kind: str, outputs: str, shape: tuple[int, Rows], D: int, H: int, bias: bool, state: bool, seed: int
) -> None:
    N, rows = shape
    arguments = layer_problem(kind, rows, N=N, D=D, H=H, bias=bias, state=state, seed=seed)
    found = attention_gru_layer(**arguments, kind=kind, outputs=outputs)
    expected = attention_gru(**projected(arguments), kind=kind, outputs=outputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    inputs, probe = given_inputs(arguments), torch.randn_like(expected)
    ours, theirs = torch.autograd.grad(found, inputs, probe), torch.autograd.grad(expected, inputs, probe)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", [attention_gru, attention_gru_layer])
def test_gradients_are_those_of_finite_differences(function: Any, kind: str, outputs: str) -> None:
    if function is attention_gru:
        arguments = problem(kind, SHARED, N=5, H=2)
    else:
        arguments = layer_problem(kind, SHARED, N=5, D=3, H=2)
    names = [name for name in DIFFERENTIABLE if arguments.get(name) is not None]

    def run(*inputs: Tensor) -> Tensor:
        changes = dict(zip(names, inputs, strict=True))
        return function(**(arguments | changes), kind=kind, outputs=outputs)

    assert torch.autograd.gradcheck(run, given_inputs(arguments))


def test_both_results_of_the_operator_may_be_differentiated_at_once() -> None:
    arguments = problem("augru", SHARED, N=5, H=2)
    last, states, _ = torch.ops.dien.attention_gru(*flat(arguments, "augru"), True, True)
    found = torch.autograd.grad(last.sin().sum() + states.cos().sum(), given_inputs(arguments))
    every = attention_gru_naive(**arguments, outputs="all").cos().sum()
    expected = torch.autograd.grad(
        attention_gru_naive(**arguments).sin().sum() + every, given_inputs(arguments)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_steps_keeps_its_initial_state(kind: str) -> None:
    arguments = problem(kind, SHARED, N=5, H=3)
    last = attention_gru(**arguments, kind=kind)
    assert torch.equal(last[4], arguments["state"][4])
    (grad,) = torch.autograd.grad(last[4].sum(), arguments["state"])
    assert torch.equal(grad, torch.tensor([[0.0]] * 4 + [[1.0]], dtype=grad.dtype).expand(5, 3))
    arguments["state"] = None
    assert not attention_gru(**arguments, kind=kind)[4].any()


@pytest.mark.parametrize(
    ("rows", "N"),
    [([], 0), ([], 4), ([(0, 0), (0, 0)], 0), ([(1, 0), (4, 0)], 4)],
    ids=["B = N = 0", "B = 0", "N = 0", "P = 0"],
)
@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_run_over_gives_an_empty_answer_and_zero_gradients(
    kind: str, outputs: str, rows: Rows, N: int
) -> None:
    arguments = problem(kind, rows, N=N, H=3)
    found = attention_gru(**arguments, kind=kind, outputs=outputs)
    assert found.shape == ((len(rows) if outputs == "last" else 0), 3)
    found.sum().backward()
    for name in ("gates", "weight_hh", "bias_hh"):
        assert not arguments[name].grad.any()


def test_at_a_zero_score_the_paper_keeps_the_state_and_the_authors_take_a_gru_step() -> None:
    arguments = problem("augru", [(0, 1)], N=1, H=3)
    arguments["scores"] = torch.zeros(1, dtype=torch.float64)
    assert torch.equal(attention_gru(**arguments, kind="augru"), arguments["state"])
    authors = attention_gru(**arguments, kind="augru-complement")
    torch.testing.assert_close(authors, attention_gru(**(arguments | {"scores": None}), kind="gru"))


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_stays_within_1e_5_of_double(kind: str) -> None:
    rows = [(0, 50), (10, 40), (49, 1), (0, 50)]
    double = problem(kind, rows, N=50, H=36, requires_grad=False)
    double["weight_hh"] /= 6  # the size torch.nn.GRU starts with
    single = double | {name: double[name].float() for name in DIFFERENTIABLE if double.get(name) is not None}
    found = attention_gru(**single, kind=kind, outputs="all")
    assert found.dtype == torch.float32
    expected = attention_gru_naive(**double, kind=kind, outputs="all")
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_starts_and_lengths_may_be_32_bit() -> None:
    arguments = problem("augru", SHARED, N=5, H=3)
    narrow = {name: arguments[name].int() for name in ("starts", "lengths")}
    assert torch.equal(attention_gru(**(arguments | narrow)), attention_gru(**arguments))


@pytest.mark.parametrize("keep", [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_registered_operator_passes_the_checks_of_torch(kind: str, keep: tuple[bool, bool]) -> None:
    arguments = problem(kind, SHARED, N=5, H=3, requires_grad=all(keep))
    torch.library.opcheck(torch.ops.dien.attention_gru, (*flat(arguments, kind), *keep))


def check_gradient(arguments: dict[str, Any], kind: str) -> None:
    """Hold the operator's gradient against the rules of torch."""
    P = int(arguments["lengths"].sum())
    dlast, (dstates, states) = (
        torch.randn(5, 3, dtype=torch.float64),
        torch.randn(2, P, 3, dtype=torch.float64),
    )
    activations = torch.rand(P, 12, dtype=torch.float64)
    torch.library.opcheck(
        torch.ops.dien.attention_gru_backward, (*flat(arguments, kind), dlast, dstates, states, activations)
    )


def test_the_operator_with_its_projection_passes_the_checks_of_torch() -> None:
    arguments = layer_problem("augru", SHARED, N=5, D=2, H=3)
    torch.library.opcheck(torch.ops.dien.attention_gru, (*flat(arguments, "augru"), True, True))
    check_gradient(layer_problem("augru", SHARED, N=5, D=2, H=3, requires_grad=False), "augru")


@pytest.mark.parametrize("kind", KINDS)
def test_the_registered_gradient_passes_the_checks_of_torch(kind: str) -> None:
    arguments = problem(kind, SHARED, N=5, H=3, requires_grad=False)
    arguments["gates"] = arguments["gates"].t().contiguous().t()  # as a transposed projection would be
    check_gradient(arguments, kind)


@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("kind", ["gru", "augru"])
def test_compilation_sees_one_operator_and_changes_no_number(kind: str, outputs: str) -> None:
    graphs: list[torch.fx.Graph] = []

    def record(module: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(module.graph)
        return make_boxed_func(module.forward)

    def run(arguments: dict[str, Any]) -> Tensor:
        return attention_gru(**arguments, kind=kind, outputs=outputs).sin()

    torch._dynamo.reset()
    compiled = torch.compile(run, fullgraph=True, dynamic=True, backend=aot_autograd(fw_compiler=record))
    # Sizes that differ, lest the compiler takes two that are equal at first for one.
    for rows, N in ((SHARED, 6), ([(0, 6), (2, 3), (0, 0)], 7)):
        arguments = problem(kind, rows, N=N, H=3)
        found, expected = compiled(arguments), run(arguments)
        assert torch.equal(found, expected)
        inputs = given_inputs(arguments)
        ours = torch.autograd.grad(found.sum(), inputs)
        assert all(map(torch.equal, ours, torch.autograd.grad(expected.sum(), inputs)))
    called = [[node.target for node in graph.nodes] for graph in graphs]
    assert len(called) == 2  # forward and backward; other sizes compile nothing anew
    assert called[0].count(torch.ops.dien.attention_gru.default) == 1
    assert called[1].count(torch.ops.dien.attention_gru_backward.default) == 1


def test_the_eager_compiler_takes_it_whole() -> None:
    torch._dynamo.reset()
    arguments = problem("augru", SHARED, N=5, H=3)
    compiled = torch.compile(lambda: attention_gru(**arguments), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(), attention_gru(**arguments))


class Projected(torch.nn.Module):
    def __init__(self, kind: str, outputs: str) -> None:
        super().__init__()
        self.kind, self.outputs = kind, outputs
        self.project = torch.nn.Linear(2, 9)
        self.weight_hh = torch.nn.Parameter(torch.randn(9, 3))

    def forward(self, x: Tensor, starts: Tensor, lengths: Tensor, scores: Tensor | None = None) -> Tensor:
        return attention_gru(
            self.project(x),
            self.weight_hh,
            None,
            starts,
            lengths,
            scores,
            kind=self.kind,
            outputs=self.outputs,
        )


@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("kind", ["gru", "augru"])
def test_export_keeps_the_operator_whole_for_any_number_of_rows_and_steps(kind: str, outputs: str) -> None:
    def inputs(rows: Rows, N: int) -> tuple[Tensor, ...]:
        starts, lengths = torch.tensor(rows).unbind(1)
        scores = () if kind == "gru" else (torch.rand(int(lengths.sum())),)
        return torch.randn(N, 2), starts, lengths, *scores

    module, B = Projected(kind, outputs), Dim("B")
    shapes: dict[str, Any] = {"x": {0: Dim("N")}, "starts": {0: B}, "lengths": {0: B}}
    if kind != "gru":
        shapes["scores"] = {0: Dim("P")}
    program = export(module, inputs(SHARED, 5), dynamic_shapes=shapes)
    called = [node.target for node in program.graph.nodes]
    assert called.count(torch.ops.dien.attention_gru.default) == 1
    other = inputs([(0, 7), (3, 0), (8, 1)], 9)
    assert torch.equal(program.module()(*other), module(*other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "lstm"}, "kind='lstm'; expected one of gru, agru, augru, augru-complement"),
        ({"outputs": "first"}, "outputs='first'; expected 'last' or 'all'"),
        ({"weight_hh": torch.zeros(6, 3)}, r"weight_hh has shape \[6, 3\]; expected \[3H, H\]"),
        ({"weight_hh": torch.zeros(6)}, r"weight_hh has shape \[6\]; expected \[3H, H\]"),
        ({"gates": torch.zeros(5, 7)}, r"gates has shape \[5, 7\]; expected \[N, 3H\] = \[N, 6\]"),
        ({"gates": torch.zeros(6)}, r"gates has shape \[6\]; expected \[N, 3H\]"),
        ({"bias_hh": torch.zeros(2)}, r"bias_hh has shape \[2\]; expected \[3H\] = \[6\]"),
        ({"starts": torch.tensor([0])}, r"starts and lengths have shapes \[1\] and \[2\]; expected \[B\]"),
        ({"lengths": torch.tensor(3)}, r"starts and lengths have shapes \[2\] and \[\]; expected \[B\]"),
        ({"starts": torch.zeros(2)}, "starts has dtype torch.float32; expected int32 or int64"),
        ({"lengths": torch.ones(2).bool()}, "lengths has dtype torch.bool; expected int32 or int64"),
        ({"state": torch.zeros(3, 2)}, r"state has shape \[3, 2\]; expected \[B, H\] = \[2, 2\]"),
        ({"scores": None}, r"scores is None and kind='augru'; expected None for 'gru', \[P\] for"),
        ({"kind": "gru"}, r"scores is \[5\] and kind='gru'; expected None for 'gru'"),
        ({"scores": torch.zeros(5, 1)}, r"scores has shape \[5, 1\]; expected \[P\], one score for each"),
        ({"scores": torch.zeros(4)}, r"scores has shape \[4\]; expected \[P\] = \[5\], P = lengths.sum\(\)"),
        ({"state": torch.zeros(2, 2).double()}, "state is torch.float64 and gates torch.float32; "),
        ({"lengths": torch.tensor([3, -1])}, r"row 1 has starts 3 and lengths -1, gates \[5, 6\]; expected"),
        ({"starts": torch.tensor([-3, 3])}, r"row 0 has starts -3 and lengths 3, gates \[5, 6\]; expected"),
        ({"starts": torch.tensor([0, 4])}, r"row 1 has starts 4 and lengths 2.*starts \+ lengths <= N"),
        (
            {"starts": torch.zeros(0).long(), "lengths": torch.zeros(0).long(), "state": None},
            r"scores has shape \[5\]; expected \[P\] = \[0\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_shape_found_and_the_rule(
    changes: dict[str, Any], message: str
) -> None:
    arguments = problem("augru", [(0, 3), (3, 2)], N=5, H=2, dtype=torch.float32)
    with pytest.raises(ValueError, match="attention_gru: " + message):
        attention_gru(**(arguments | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_ih": torch.zeros(5, 3)}, r"weight_ih has shape \[5, 3\]; expected \[3H, D\] = \[6, D\]"),
        ({"weight_ih": torch.zeros(6)}, r"weight_ih has shape \[6\]; expected \[3H, D\]"),
        ({"x": torch.zeros(5, 4)}, r"x has shape \[5, 4\]; expected \[N, D\] = \[N, 3\], as weight_ih"),
        ({"bias_ih": torch.zeros(7)}, r"bias_ih has shape \[7\]; expected \[3H\] = \[6\]"),
        ({"weight_ih": torch.zeros(6, 3).double()}, "weight_ih is torch.float64 and x torch.float32"),
        ({"starts": torch.tensor([0, 4])}, r"row 1 has starts 4 and lengths 2, x \[5, 3\]; expected"),
    ],
)
def test_what_does_not_fit_the_layer_is_refused_likewise(changes: dict[str, Any], message: str) -> None:
    arguments = layer_problem("augru", [(0, 3), (3, 2)], N=5, D=3, H=2, dtype=torch.float32)
    with pytest.raises(ValueError, match="attention_gru: " + message):
        attention_gru_layer(**(arguments | changes))


def test_a_row_that_reads_nothing_may_start_anywhere() -> None:
    arguments = problem("gru", [(99, 0), (-1, 0), (0, 2)], N=2, H=2)
    found = attention_gru(**arguments, kind="gru")
    torch.testing.assert_close(found, attention_gru_naive(**arguments, kind="gru"))
