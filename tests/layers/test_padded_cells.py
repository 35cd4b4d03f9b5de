import inspect
import math

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dien.layers import AGRUCell, AUGRUCell, ComplementAUGRUCell, DynamicRNN, set_gate_bias
from dien.layers.gru import Reset
from tests.equations import assert_same, gru_states, gru_step, weights_of

Cell = type[AGRUCell] | type[AUGRUCell] | type[ComplementAUGRUCell]
CELLS: dict[str, Cell] = {
    "agru": AGRUCell,
    "augru": AUGRUCell,
    "augru-complement": ComplementAUGRUCell,
}
D, H = 3, 4


def signature(function: object) -> list[tuple[str, object]]:
    """Parameters with their defaults, but for ``self`` and those by keyword alone."""
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return [(p.name, p.default) for p in positional if p.name != "self"]


def packed(padded: Tensor, lengths: list[int], *, enforce_sorted: bool = False) -> PackedSequence:
    return pack_padded_sequence(
        padded, torch.tensor(lengths), batch_first=True, enforce_sorted=enforce_sorted
    )


def test_signatures_are_those_of_recbole() -> None:
    required = inspect.Parameter.empty
    for cell in (AGRUCell, AUGRUCell):
        assert signature(cell) == [("input_size", required), ("hidden_size", required), ("bias", True)]
        assert [name for name, _ in signature(cell.forward)] == ["input", "hidden_output", "att_score"]
    assert signature(DynamicRNN) == [
        ("input_size", required),
        ("hidden_size", required),
        ("bias", True),
        ("gru", "AGRU"),
    ]
    assert signature(DynamicRNN.forward) == [
        ("input", required),
        ("att_scores", None),
        ("hidden_output", None),
    ]


@pytest.mark.parametrize("cell", CELLS.values())
def test_parameters_have_the_names_and_shapes_of_recbole(cell: Cell) -> None:
    shapes = {name: tuple(p.shape) for name, p in cell(D, H).named_parameters()}
    matrices = {"weight_ih": (3 * H, D), "weight_hh": (3 * H, H)}
    assert shapes == matrices | {"bias_ih": (3 * H,), "bias_hh": (3 * H,)}
    plain = cell(D, H, bias=False)
    assert {name: tuple(p.shape) for name, p in plain.named_parameters()} == matrices
    assert plain.bias_ih is None
    assert plain.bias_hh is None
    names = [name for name, _ in DynamicRNN(D, H, gru=cell.kind.upper()).named_parameters()]
    assert names == ["rnn.weight_ih", "rnn.weight_hh", "rnn.bias_ih", "rnn.bias_hh"]


@pytest.mark.parametrize("cell", CELLS.values())
def test_parameters_start_between_the_bounds_of_torch_gru(cell: Cell) -> None:
    bound = 1 / math.sqrt(64)
    for parameter in cell(32, 64).parameters():
        assert parameter.abs().max() <= bound
        assert parameter.abs().max() > 0.9 * bound
        assert parameter.mean().abs() < 0.2 * bound


@pytest.mark.parametrize("cell", CELLS.values())
def test_parameters_start_as_those_of_recbole_with_initialisation_normal(cell: Cell) -> None:
    torch.manual_seed(0)
    found = dict(cell(32, 64, initialisation="normal").named_parameters())
    torch.manual_seed(0)
    assert torch.equal(found["weight_ih"], torch.randn(192, 32))
    assert torch.equal(found["weight_hh"], torch.randn(192, 64))
    assert not found["bias_ih"].any()
    assert not found["bias_hh"].any()


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_takes_the_step_of_the_equations(kind: str, bias: bool, reset: Reset) -> None:
    cell = CELLS[kind](D, H, bias, reset=reset).double()
    x, h, a = (torch.randn(5, width, dtype=torch.float64) for width in (D, H, 1))
    inputs = [*(tensor.requires_grad_() for tensor in (x, h, a)), *cell.parameters()]
    rows = [gru_step(kind, x[b], h[b], a[b], weights_of(cell), reset) for b in range(5)]
    assert_same(cell(x, h, a), torch.stack(rows), inputs)
    assert torch.equal(cell(x, h, a.squeeze(1)), cell(x, h, a))


@pytest.mark.parametrize("kind", CELLS)
def test_the_gradients_of_a_cell_are_those_of_finite_differences(kind: str) -> None:
    cell = CELLS[kind](2, 3).double()
    inputs = [torch.randn(2, width, dtype=torch.float64, requires_grad=True) for width in (2, 3, 1)]
    names = [name for name, _ in cell.named_parameters()]

    def run(x: Tensor, h: Tensor, a: Tensor, *parameters: Tensor) -> Tensor:
        weights = dict(zip(names, parameters, strict=True))
        out: Tensor = torch.func.functional_call(cell, weights, (x, h, a))
        return out

    assert torch.autograd.gradcheck(run, (*inputs, *cell.parameters()))


def test_a_score_of_one_makes_an_agru_forget_and_of_zero_keep() -> None:
    cell = AGRUCell(D, H)
    x, h = torch.randn(1, D), torch.randn(1, H)
    assert torch.equal(cell(x, h, torch.zeros(1)), h)
    of_input = torch.nn.functional.linear(x, cell.weight_ih, cell.bias_ih)
    recurrent = torch.nn.functional.linear(h, cell.weight_hh, cell.bias_hh)
    reset = torch.sigmoid((of_input + recurrent)[:, :H])
    fresh = torch.tanh(of_input[:, 2 * H :] + reset * recurrent[:, 2 * H :])
    torch.testing.assert_close(cell(x, h, torch.ones(1)), fresh)


def test_where_nothing_is_attended_the_authors_augru_is_a_gru_and_the_papers_keeps_its_state() -> None:
    x, h, nothing = torch.randn(5, D), torch.randn(5, H), torch.zeros(5)
    ours, theirs, gru = AUGRUCell(D, H), ComplementAUGRUCell(D, H), torch.nn.GRUCell(D, H)
    theirs.load_state_dict(gru.state_dict())
    torch.testing.assert_close(theirs(x, h, nothing), gru(x, h))
    assert torch.equal(ours(x, h, nothing), h)


@pytest.mark.parametrize("gru", [torch.nn.GRU(D, H), *(cell(D, H) for cell in CELLS.values())])
def test_a_gate_bias_is_set_for_reset_and_update_gate_and_the_candidates_stays(gru: torch.nn.Module) -> None:
    before = {name: p.detach().clone() for name, p in gru.named_parameters()}
    set_gate_bias(gru, 1.0)
    total = torch.zeros(3 * H)
    for name, parameter in gru.named_parameters():
        if "bias" in name:
            total += parameter.detach()
            assert torch.equal(parameter[2 * H :], before[name][2 * H :])
        else:
            assert torch.equal(parameter, before[name])
    assert torch.equal(total[: 2 * H], torch.ones(2 * H))


@pytest.mark.parametrize(
    ("lengths", "enforce_sorted"),
    [([6, 4, 4, 1], True), ([1, 6, 4, 6, 2], False), ([1], False), ([1, 1, 1], True), ([5], True)],
)
@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("kind", CELLS)
def test_a_dynamic_rnn_runs_the_equations_over_every_sequence(
    kind: str, reset: Reset, initial: bool, lengths: list[int], enforce_sorted: bool
) -> None:
    B, T = len(lengths), max(lengths)
    rnn = DynamicRNN(D, H, gru=kind.upper(), reset=reset).double()
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    a = torch.rand(B, T, dtype=torch.float64, requires_grad=True)
    h = torch.randn(B, H, dtype=torch.float64, requires_grad=True) if initial else None
    inputs = packed(x, lengths, enforce_sorted=enforce_sorted)
    # Initial states come in the packed order, as in RecBole.
    order = torch.arange(B) if inputs.sorted_indices is None else inputs.sorted_indices

    outputs = rnn(inputs, packed(a, lengths, enforce_sorted=enforce_sorted), None if h is None else h[order])
    assert torch.equal(outputs.batch_sizes, inputs.batch_sizes)
    assert outputs.sorted_indices is inputs.sorted_indices
    assert outputs.unsorted_indices is inputs.unsorted_indices

    found, found_lengths = pad_packed_sequence(outputs, batch_first=True)
    assert found_lengths.tolist() == lengths
    expected = torch.zeros(B, T, H, dtype=torch.float64)
    for b, t in enumerate(lengths):
        state = None if h is None else h[b]
        expected[b, :t] = gru_states(kind, x[b, :t], a[b, :t], weights_of(rnn), state, reset=reset)
    leaves = [x, a, *rnn.parameters(), *([] if h is None else [h])]
    assert_same(found, expected, leaves)


@pytest.mark.parametrize("kind", CELLS)
def test_the_gradients_of_a_dynamic_rnn_are_those_of_finite_differences(kind: str) -> None:
    rnn = DynamicRNN(2, 2, gru=kind.upper()).double()
    x = torch.randn(3, 3, 2, dtype=torch.float64, requires_grad=True)
    a = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, a: Tensor) -> Tensor:
        data: Tensor = rnn(packed(x, [1, 3, 2]), packed(a, [1, 3, 2])).data
        return data

    assert torch.autograd.gradcheck(run, (x, a))


def test_a_dynamic_rnn_without_bias_has_none() -> None:
    names = [name for name, _ in DynamicRNN(D, H, bias=False).named_parameters()]
    assert names == ["rnn.weight_ih", "rnn.weight_hh"]


def test_a_dynamic_rnn_takes_packed_sequences_only() -> None:
    x = packed(torch.zeros(2, 3, D), [3, 1])
    with pytest.raises(NotImplementedError, match=r"must be PackedSequence .* found Tensor and NoneType"):
        DynamicRNN(D, H)(torch.zeros(2, 3, D))  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="found PackedSequence and NoneType"):
        DynamicRNN(D, H)(x)


def test_a_dynamic_rnn_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="gru='GRU'; expected AGRU, AUGRU or AUGRU-COMPLEMENT"):
        DynamicRNN(D, H, gru="GRU")
