import inspect
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.layers import InterestEvolvingLayer
from dien.packed import Packed, Pairs
from tests.equations import assert_same, final_interest, weights_of

KINDS = ("GRU", "AIGRU", "AGRU", "AUGRU", "AUGRU-COMPLEMENT")
WIDTH, T = 4, 5  # of an interest state and, with MLP attention, of the target
LENGTHS = [[0, 1, 5, 3], [5, 5], [1, 1], [0, 0], [4]]
MLP_NAMES = [
    "attention_layer.att_mlp_layers.mlp_layers.1.weight",
    "attention_layer.att_mlp_layers.mlp_layers.1.bias",
    "attention_layer.att_mlp_layers.mlp_layers.4.weight",
    "attention_layer.att_mlp_layers.mlp_layers.4.bias",
    "attention_layer.dense.weight",
    "attention_layer.dense.bias",
]
TORCH_GRU = [f"dynamic_rnn.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
CELL = [f"dynamic_rnn.rnn.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def layer(gru: str, attention: str = "mlp", **options: Any) -> InterestEvolvingLayer:
    """A small layer; the evolving GRU is wider than the states where the attention allows it."""
    hidden = WIDTH if gru == "GRU" and attention == "mlp" else WIDTH + 1
    target = {"target_size": WIDTH - 1} if attention == "bilinear" else {}
    return InterestEvolvingLayer(
        None, WIDTH, hidden, (6, 5), gru=gru, attention=attention, **target, **options
    ).double()


def histories(B: int, attention: str = "mlp", seed: int = 0) -> tuple[Tensor, Tensor]:
    """Targets ``[B, D]`` and padded interest states ``[B, T, H]``."""
    random = torch.Generator().manual_seed(seed)
    width = WIDTH - 1 if attention == "bilinear" else WIDTH
    queries = torch.randn(B, width, generator=random, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(B, T, WIDTH, generator=random, dtype=torch.float64, requires_grad=True)
    return queries, keys


def test_the_signature_is_that_of_recbole() -> None:
    parameters = list(inspect.signature(InterestEvolvingLayer).parameters.values())
    required = inspect.Parameter.empty
    assert [(p.name, p.default) for p in parameters[:7]] == [
        ("mask_mat", required),
        ("input_size", required),
        ("rnn_hidden_size", required),
        ("att_hidden_size", (80, 40)),
        ("activation", "sigmoid"),
        ("softmax_stag", True),
        ("gru", "GRU"),
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[7:])
    forward = inspect.signature(InterestEvolvingLayer.forward).parameters
    assert list(forward) == ["self", "queries", "keys", "keys_length", "behaviours"]
    assert forward["behaviours"].default is None  # of packed histories, which RecBole lacks
    final = inspect.signature(InterestEvolvingLayer.final_output).parameters
    assert list(final) == ["self", "outputs", "keys_length"]


@pytest.mark.parametrize("gru", KINDS)
def test_parameters_have_the_names_of_recbole(gru: str) -> None:
    rnn = TORCH_GRU if gru in ("GRU", "AIGRU") else CELL
    assert [name for name, _ in layer(gru).named_parameters()] == MLP_NAMES + rnn
    assert [n for n, _ in layer(gru, "bilinear").named_parameters()] == ["attention_layer.weight", *rnn]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("gru", KINDS)
def test_with_mlp_attention_the_final_interest_is_that_of_the_equations(
    gru: str, activation: str, softmax: bool, lengths: list[int]
) -> None:
    evolving = layer(gru, activation=activation, softmax_stag=softmax)
    queries, keys = histories(len(lengths))
    found = evolving(queries, keys, torch.tensor(lengths))
    expected = [
        final_interest(
            weights_of(evolving),
            gru,
            q,
            k[:length],
            activation=activation,
            softmax=softmax,
            divisor=WIDTH**0.5,  # as RecBole
        )
        for q, k, length in zip(queries, keys, lengths, strict=True)
    ]
    assert_same(found, torch.stack(expected), [queries, keys, *evolving.parameters()])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("gru", KINDS)
def test_without_a_scale_the_final_interest_is_the_papers(
    gru: str, attention: str, lengths: list[int]
) -> None:
    evolving = layer(gru, attention, scale=False)
    queries, keys = histories(len(lengths), attention)
    found = evolving(queries, keys, torch.tensor(lengths))
    expected = [
        final_interest(weights_of(evolving), gru, q, k[:length])
        for q, k, length in zip(queries, keys, lengths, strict=True)
    ]
    assert_same(found, torch.stack(expected), [queries, keys, *evolving.parameters()])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("gru", KINDS)
def test_with_the_reset_before_the_product_the_second_gru_is_tensorflows(
    gru: str, lengths: list[int]
) -> None:
    evolving = layer(gru, "bilinear", reset="before")
    queries, keys = histories(len(lengths), "bilinear")
    found = evolving(queries, keys, torch.tensor(lengths))
    expected = [
        final_interest(weights_of(evolving), gru, q, k[:length], reset="before")
        for q, k, length in zip(queries, keys, lengths, strict=True)
    ]
    assert_same(found, torch.stack(expected), [queries, keys, *evolving.parameters()])
    usual = layer(gru, "bilinear")
    usual.load_state_dict(evolving.state_dict())
    if max(lengths) > 1:  # a first step has nothing to reset
        assert not torch.allclose(usual(queries, keys, torch.tensor(lengths)), found)


@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("gru", KINDS)
def test_gradients_are_those_of_finite_differences(gru: str, attention: str) -> None:
    evolving, lengths = layer(gru, attention), torch.tensor([5, 0, 2])
    inputs = histories(3, attention)
    assert torch.autograd.gradcheck(lambda q, k: evolving(q, k, lengths), inputs)


@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("gru", KINDS)
def test_an_empty_history_gives_a_zero_state(gru: str, attention: str) -> None:
    queries, keys = histories(3, attention)
    found = layer(gru, attention)(queries, keys, torch.tensor([0, 3, 0]))
    assert not found[[0, 2]].any()
    assert found[1].abs().min() > 0


@settings(max_examples=40)
@given(
    gru=st.sampled_from(KINDS),
    attention=st.sampled_from(["bilinear", "mlp"]),
    lengths=st.lists(st.integers(0, T), min_size=1, max_size=4),
    garbage=st.sampled_from([float("nan"), float("inf"), -1e30, 3.0]),
)
def test_what_the_padding_holds_changes_neither_outputs_nor_gradients(
    gru: str, attention: str, lengths: list[int], garbage: float
) -> None:
    evolving = layer(gru, attention)
    results = []
    for filling in (0.0, garbage):
        queries, keys = histories(len(lengths), attention)
        with torch.no_grad():
            keys[~(torch.arange(T) < torch.tensor(lengths)[:, None])] = filling
        evolving.zero_grad()
        found = evolving(queries, keys, torch.tensor(lengths))
        found.square().sum().backward()
        gradients = [queries.grad, keys.grad, *(p.grad for p in evolving.parameters())]
        results.append([found, *gradients])
    for clean, dirty in zip(*results, strict=True):
        assert torch.equal(clean, dirty)


@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("gru", KINDS)
def test_candidates_that_share_a_history_have_the_interest_each_has_alone(gru: str, attention: str) -> None:
    evolving, history_of = layer(gru, attention), torch.tensor([2, 0, 2, 1, 2])
    queries, _ = histories(5, attention)
    _, keys = histories(3, attention)
    lengths = torch.tensor([4, 0, 5])
    states = Packed.from_padded(keys, lengths)
    found = evolving.evolve(queries, states, Pairs.of_histories(states.offsets, history_of))
    alone = evolving(queries, keys[history_of], lengths[history_of])
    assert_same(found, alone, [queries, keys, *evolving.parameters()])


def test_the_final_output_is_the_state_after_the_last_step() -> None:
    outputs = torch.randn(3, T, 2)
    outputs[1] = float("nan")
    found = InterestEvolvingLayer(None, 2, 2).final_output(outputs, torch.tensor([5, 0, 2]))
    assert torch.equal(found, torch.stack([outputs[0, 4], torch.zeros(2), outputs[2, 1]]))


def test_the_input_width_of_the_attention_may_stand_first_as_in_recbole() -> None:
    for widths in ((6, 5), [4 * WIDTH, 6, 5]):
        evolving = InterestEvolvingLayer(None, WIDTH, WIDTH, widths)
        shapes = {name: tuple(p.shape) for name, p in evolving.named_parameters()}
        assert shapes[MLP_NAMES[0]] == (6, 4 * WIDTH)
        assert shapes[MLP_NAMES[2]] == (5, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gru": "LSTM"}, "gru='LSTM'; expected one of GRU, AIGRU, AGRU, AUGRU, AUGRU-COMPLEMENT"),
        ({"attention": "dot"}, "attention='dot'; expected mlp or bilinear"),
    ],
)
def test_another_kind_of_gru_or_attention_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InterestEvolvingLayer(None, WIDTH, WIDTH, **options)


@pytest.mark.parametrize("lengths", [[6, 1], [-1, 2]])
def test_a_length_out_of_range_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths run from .* expected 0 to T = 5"):
        layer("AUGRU")(*histories(2), torch.tensor(lengths))


@pytest.mark.parametrize(("lengths", "low", "high"), [([-1, 2], -1, 2), ([1, T + 1], 1, T + 1)])
def test_a_final_output_that_is_none_of_the_outputs_is_refused(
    lengths: list[int], low: int, high: int
) -> None:
    with pytest.raises(ValueError, match=f"lengths run from {low} to {high}, expected 0 to T = {T}"):
        InterestEvolvingLayer(None, 2, 2).final_output(torch.randn(2, T, 2), torch.tensor(lengths))


def test_the_input_width_alone_makes_an_attention_without_hidden_layers() -> None:
    evolving = InterestEvolvingLayer(None, WIDTH, WIDTH, [4 * WIDTH]).double()
    names = [name for name, _ in evolving.attention_layer.named_parameters()]
    assert names == ["dense.weight", "dense.bias"]
    queries, keys = histories(2)
    found = evolving(queries, keys, torch.tensor([3, 0]))
    assert found[0].all()
    assert not found[1].any()
