import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.ops import attention_gru_layer, reset_before_gru_layer
from tests.equations import assert_same, gru_states
from tests.ops.test_attention_gru import KINDS, SHARED, Rows, given_inputs, layer_problem, rows_of

SIZES = {"N": 5, "D": 2, "H": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_the_recurrence_is_that_of_tensorflows_cell_written_out(kind: str) -> None:
    W, b, U, c = (0.9, -0.6, 1.1), (0.05, 0.3, -0.2), (0.1, 0.4, -0.7), (0.2, -0.1, 0.15)
    scores, h, expected = [0.6, 0.25], 0.25, []
    for x, a in zip((0.5, -1.1), scores, strict=True):
        r, u = (1 / (1 + math.exp(-(W[k] * x + b[k] + U[k] * h + c[k]))) for k in (0, 1))
        n = math.tanh(W[2] * x + b[2] + U[2] * (r * h) + c[2])
        u = {"gru": u, "agru": 1 - a, "augru": 1 - a * u, "augru-complement": (1 - a) * u}[kind]
        h = u * h + (1 - u) * n
        expected.append([h])
    column = [torch.tensor(v, dtype=torch.float64) for v in (W, U, b, c)]
    found = reset_before_gru_layer(
        torch.tensor([[0.5], [-1.1]], dtype=torch.float64),
        column[0][:, None],
        column[1][:, None],
        *column[2:],
        torch.tensor([0]),
        torch.tensor([2]),
        None if kind == "gru" else torch.tensor(scores, dtype=torch.float64),
        kind=kind,
        state=torch.tensor([[0.25]], dtype=torch.float64),
        outputs="all",
    )
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


@settings(max_examples=60)
@given(
    shape=rows_of(),
    kind=st.sampled_from(KINDS),
    bias=st.booleans(),
    state=st.booleans(),
    outputs=st.sampled_from(["last", "all"]),
)
def test_every_row_runs_as_if_alone(
    shape: tuple[int, Rows], kind: str, bias: bool, state: bool, outputs: str
) -> None:
    N, rows = shape
    arguments = layer_problem(kind, rows, N=N, D=2, H=3, bias=bias, state=state)
    found = reset_before_gru_layer(**arguments, kind=kind, outputs=outputs)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = {name: arguments[name] for name in names if arguments[name] is not None}
    expected, pair = [found.new_zeros(0, 3)], 0
    for b, (start, length) in enumerate(rows):
        scores = None if kind == "gru" else arguments["scores"][pair : pair + length]
        h = arguments["state"][b] if state else found.new_zeros(3)
        steps = arguments["x"][start : start + length]
        states = gru_states(kind, steps, scores, weights, h, reset="before")
        expected.append(states if outputs == "all" else torch.cat([h[None], states])[-1:])
        pair += length
    assert_same(found, torch.cat(expected), given_inputs(arguments))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    arguments = layer_problem(kind, SHARED, **SIZES)
    names = [n for n, v in arguments.items() if isinstance(v, torch.Tensor) and v.requires_grad]

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        given = {**arguments, **dict(zip(names, tensors, strict=True))}
        return reset_before_gru_layer(**given, kind=kind, outputs="all")

    assert torch.autograd.gradcheck(run, [arguments[name] for name in names])


@pytest.mark.parametrize("kind", KINDS)
def test_it_differs_from_the_reset_after_the_product_once_there_is_a_state(kind: str) -> None:
    arguments = layer_problem(kind, [(0, 2)], **SIZES, state=False)
    options = {"kind": kind, "outputs": "all"}
    before, after = (
        reset_before_gru_layer(**arguments, **options),
        attention_gru_layer(**arguments, **options),
    )
    # From zero there is nothing to reset, but for the bias that is reset with the product.
    arguments["bias_hh"] = None
    first, same = reset_before_gru_layer(**arguments, **options), attention_gru_layer(**arguments, **options)
    torch.testing.assert_close(first[0], same[0])
    assert not torch.allclose(before[1], after[1])
