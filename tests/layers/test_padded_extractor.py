import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dien.layers import InterestExtractorNetwork
from dien.packed import Packed
from tests.equations import assert_same, auxiliary_terms, gru_states, under, weights_of

D, H, T = 3, 4, 5
MLP_SIZE = [D + H, 6, 5, 1]
LENGTHS = [[0, 1, 5, 3], [5, 5], [1, 1], [2], [0, 5, 0]]


def network(**options: Any) -> InterestExtractorNetwork:
    return InterestExtractorNetwork(D, H, MLP_SIZE, **options).double()


def histories(B: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Padded behaviours and negatives ``[B, T, D]``."""
    random = torch.Generator().manual_seed(seed)
    keys, negatives = torch.randn(2, B, T, D, generator=random, dtype=torch.float64)
    return keys.requires_grad_(), negatives.requires_grad_()


def auxiliary_by_hand(
    layer: InterestExtractorNetwork, keys: Tensor, negatives: Tensor, lengths: list[int], activation: str
) -> list[Tensor]:
    """Terms of eq. (6) of all histories."""
    weights = weights_of(layer)
    terms: list[Tensor] = []
    for x, other, length in zip(keys, negatives, lengths, strict=True):
        states = gru_states("gru", x[:length], None, under(weights, "gru."))
        terms += auxiliary_terms(weights, states, x[:length], other[:length], activation)
    return terms


def test_the_signature_is_that_of_recbole() -> None:
    parameters = inspect.signature(InterestExtractorNetwork).parameters
    assert list(parameters)[:3] == ["input_size", "hidden_size", "mlp_size"]
    assert all(p.kind is p.KEYWORD_ONLY for p in list(parameters.values())[3:])
    forward = inspect.signature(InterestExtractorNetwork.forward).parameters
    assert list(forward) == ["self", "keys", "keys_length", "neg_keys"]
    assert forward["neg_keys"].default is None
    loss = inspect.signature(InterestExtractorNetwork.auxiliary_loss).parameters
    assert list(loss) == ["self", "h_states", "click_seq", "noclick_seq", "keys_length"]


def test_parameters_have_the_names_of_recbole() -> None:
    assert [name for name, _ in network().named_parameters()] == [
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
        "gru.bias_ih_l0",
        "gru.bias_hh_l0",
        "auxiliary_net.mlp_layers.1.weight",
        "auxiliary_net.mlp_layers.1.bias",
        "auxiliary_net.mlp_layers.3.weight",
        "auxiliary_net.mlp_layers.3.bias",
        "auxiliary_net.mlp_layers.5.weight",
        "auxiliary_net.mlp_layers.5.bias",
    ]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_states_are_those_of_torch_gru_on_each_history_alone(lengths: list[int]) -> None:
    layer, (keys, _) = network(), histories(len(lengths))
    states, loss = layer(keys, torch.tensor(lengths))
    assert loss is None
    expected = torch.zeros(len(lengths), T, H, dtype=torch.float64)
    for b, length in enumerate(lengths):
        if length:
            expected[b, :length] = layer.gru(keys[b : b + 1, :length])[0][0]
    assert_same(states, expected, [keys, *layer.gru.parameters()])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("average", ["pairs", "histories", "positions"])
@pytest.mark.parametrize("activation", ["none", "sigmoid", "prelu", "relu", "tanh", "silu"])
def test_the_auxiliary_loss_is_equation_6_step_by_step(
    activation: str, average: str, affine: bool, lengths: list[int]
) -> None:
    layer = network(activation=activation, average=average, affine=affine)
    if layer.auxiliary_affine is not None:
        for parameter in layer.auxiliary_affine.parameters():
            torch.nn.init.normal_(parameter)
    keys, negatives = histories(len(lengths))
    _, loss = layer(keys, torch.tensor(lengths), negatives)
    terms = auxiliary_by_hand(layer, keys, negatives, lengths, activation)
    # Zero, yet part of the graph, where no history has two behaviours.
    total = sum(terms, start=keys.new_zeros(()) * keys.sum())
    # The authors fill every history up to the batch's longest, and ask it after each step but the last.
    positions = len(lengths) * max(max(lengths) - 1, 1)
    divisor = {"histories": len(lengths), "pairs": max(len(terms), 1), "positions": positions}[average]
    assert_same(loss, total / divisor, [keys, negatives, *layer.parameters()])
    states, _ = layer(keys, torch.tensor(lengths))
    padded = states[:, :-1], keys[:, 1:], negatives[:, 1:], torch.tensor(lengths) - 1
    assert_same(layer.auxiliary_loss(*padded), total / divisor)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_with_the_reset_before_the_product_states_are_those_of_tensorflows_cell(lengths: list[int]) -> None:
    layer, (keys, _) = network(reset="before"), histories(len(lengths))
    states, _ = layer(keys, torch.tensor(lengths))
    expected = torch.zeros(len(lengths), T, H, dtype=torch.float64)
    for b, length in enumerate(lengths):
        weights = under(weights_of(layer), "gru.")
        expected[b, :length] = gru_states("gru", keys[b, :length], None, weights, reset="before")
    assert_same(states, expected, [keys, *layer.gru.parameters()])


@pytest.mark.parametrize("lengths", [[5, 2, 3], [1, 5, 4, 1]])
def test_the_default_auxiliary_loss_is_that_of_recbole(lengths: list[int]) -> None:
    layer, (keys, negatives) = network(), histories(len(lengths))
    keys_length = torch.tensor(lengths)
    states, loss = layer(keys, keys_length, negatives)
    # RecBole: a linear network on all steps, padding too, then masked; the mean over clicks and non-clicks.
    real = torch.arange(T - 1).repeat(len(lengths), 1) < (keys_length - 1)[:, None]
    linear = nn.Sequential(*(m for m in layer.auxiliary_net.modules() if isinstance(m, nn.Linear)))
    click = linear(torch.cat([states[:, :-1], keys[:, 1:]], -1))[real]
    other = linear(torch.cat([states[:, :-1], negatives[:, 1:]], -1))[real]
    expected = F.binary_cross_entropy_with_logits(
        torch.cat([click, other]), torch.cat([torch.ones_like(click), torch.zeros_like(other)])
    )
    assert_same(loss, expected, [keys, negatives, *layer.parameters()])
    assert_same(
        layer.auxiliary_loss(states[:, :-1], keys[:, 1:], negatives[:, 1:], keys_length - 1),
        expected,
        [keys, negatives, *layer.parameters()],
    )


def test_the_padded_auxiliary_loss_counts_an_empty_history_as_none() -> None:
    layer, (keys, negatives) = network(average="histories"), histories(3)
    lengths = torch.tensor([0, 5, 1])
    states, expected = layer(keys, lengths, negatives)
    found = layer.auxiliary_loss(states[:, :-1], keys[:, 1:], negatives[:, 1:], lengths - 1)
    assert_same(found, expected)


@pytest.mark.parametrize("lengths", [[0, 0], [1, 0], [1, 1]])
def test_histories_without_a_next_behaviour_give_a_loss_of_zero_that_can_be_differentiated(
    lengths: list[int],
) -> None:
    layer, (keys, negatives) = network(), histories(2)
    states, loss = layer(keys, torch.tensor(lengths), negatives)
    assert loss == 0
    (states.sum() + loss).backward()
    assert torch.isfinite(keys.grad).all()
    assert negatives.grad is None or not negatives.grad.any()


@pytest.mark.parametrize("average", ["pairs", "histories"])
def test_gradients_are_those_of_finite_differences(average: str) -> None:
    layer = network(activation="tanh", average=average)
    keys, negatives = histories(3)
    lengths = torch.tensor([5, 0, 2])
    assert torch.autograd.gradcheck(lambda x, y: layer(x, lengths, y), (keys, negatives))


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(0, T), min_size=1, max_size=4),
    garbage=st.sampled_from([float("nan"), float("inf"), -1e30, 3.0]),
)
def test_what_the_padding_holds_changes_neither_outputs_nor_gradients(
    lengths: list[int], garbage: float
) -> None:
    layer = network(activation="prelu")
    results = []
    for filling in (0.0, garbage):
        keys, negatives = histories(len(lengths))
        real = torch.arange(T) < torch.tensor(lengths)[:, None]
        with torch.no_grad():
            keys[~real] = negatives[~real] = filling
        layer.zero_grad()
        states, loss = layer(keys, torch.tensor(lengths), negatives)
        (states.square().sum() + loss).backward()
        results.append([states, loss, keys.grad, negatives.grad, *(p.grad for p in layer.parameters())])
    for clean, dirty in zip(*results, strict=True):
        assert (clean is None and dirty is None) or torch.equal(clean, dirty)


def test_packed_histories_give_the_states_of_padded_ones() -> None:
    layer, (keys, negatives) = network(), histories(4)
    lengths = torch.tensor([2, 0, 5, 1])
    behaviours = Packed.from_padded(keys, lengths)
    states, loss = layer(keys, lengths, negatives)
    found = layer.states(behaviours)
    assert_same(found, Packed.from_padded(states, lengths).values)
    others = Packed.from_padded(negatives, lengths).values
    assert_same(layer.loss(found, behaviours, others), loss)


@pytest.mark.parametrize("average", ["pairs", "histories"])
def test_the_auxiliary_network_sees_the_items_of_behaviours_alone(average: str) -> None:
    item_size, lengths = 2, [5, 0, 3, 1]
    layer = InterestExtractorNetwork(
        D, H, [item_size + H, 6, 1], activation="prelu", average=average, item_size=item_size
    ).double()
    keys, negatives = histories(len(lengths))
    negatives = negatives[..., :item_size].detach().requires_grad_()
    weights, terms = weights_of(layer), []
    for x, other, length in zip(keys, negatives, lengths, strict=True):
        states = gru_states("gru", x[:length], None, under(weights, "gru."))  # of the whole behaviours
        terms += auxiliary_terms(weights, states, x[:length, :item_size], other[:length], "prelu")
    expected = sum(terms) / (len(lengths) if average == "histories" else len(terms))
    states, loss = layer(keys, torch.tensor(lengths), negatives)
    inputs = [keys, negatives, *layer.parameters()]
    assert_same(loss, expected, inputs)
    after = torch.tensor(lengths) - 1
    padded = layer.auxiliary_loss(states[:, :-1], keys[:, 1:, :item_size], negatives[:, 1:], after)
    assert_same(padded, expected, inputs)


def test_an_item_wider_than_its_behaviour_is_refused() -> None:
    with pytest.raises(ValueError, match=r"item_size 4; expected at most the width .* input_size = 3"):
        InterestExtractorNetwork(D, H, [4 + H, 6, 1], item_size=4)


@pytest.mark.parametrize("mlp_size", [[D, 6, 1], [D + H, 6, 2], [1]])
def test_an_auxiliary_network_that_does_not_fit_is_refused(mlp_size: list[int]) -> None:
    with pytest.raises(ValueError, match=r"mlp_size \[.*\]; expected the input width H \+ D = 7 first and 1"):
        InterestExtractorNetwork(D, H, mlp_size)


@pytest.mark.parametrize("lengths", [[6, 1], [-1, 2]])
def test_a_length_out_of_range_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths run from .* expected 0 to T = 5"):
        network()(histories(2)[0], torch.tensor(lengths))
