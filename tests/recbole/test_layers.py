"""Each class of the seed against RecBole's of the same name, with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

pytest.importorskip("recbole", reason="RecBole is not installed: make test-recbole runs these")

from recbole.model import layers as shared
from recbole.model.sequential_recommender import dien as original

from dien import layers
from dien.packed import Packed, Pairs

B, T, D, H = 16, 6, 5, 5
LENGTHS = [torch.randint(1, T + 1, (B,), generator=torch.Generator().manual_seed(s)) for s in range(3)]


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def scores(*shape: int) -> Tensor:
    return torch.rand(shape, requires_grad=True)


def with_the_weights_of(theirs: nn.Module, ours: nn.Module) -> None:
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.5)
    ours.load_state_dict(theirs.state_dict(), strict=True)


def assert_same(
    theirs: nn.Module, ours: nn.Module, results: tuple[Tensor, Tensor], inputs: list[Tensor]
) -> None:
    """Hold a result of ours against theirs, and the gradients of inputs and weights."""
    found, expected = results
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    direction = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad(
            (result * direction).sum(),
            [*inputs, *model.parameters()],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        for model, result in ((ours, found), (theirs, expected))
    ]
    for of_ours, of_theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(of_ours, of_theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["AGRUCell", "AUGRUCell"])
def test_the_cells_are_recboles(name: str, bias: bool) -> None:
    theirs, ours = (getattr(module, name)(D, H, bias) for module in (original, layers))
    with_the_weights_of(theirs, ours)
    inputs = [*tensors((B, D), (B, H)), scores(B)]
    assert_same(theirs, ours, (ours(*inputs), theirs(*inputs)), inputs)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("gru", ["AGRU", "AUGRU"])
def test_dynamic_rnn_is_recboles(gru: str, lengths: Tensor) -> None:
    theirs, ours = (module.DynamicRNN(D, H, gru=gru) for module in (original, layers))
    with_the_weights_of(theirs, ours)
    inputs = [*tensors((B, T, D), (B, H)), scores(B, T)]

    def run(model: Any, state: Tensor | None) -> Tensor:
        def pack(padded: Tensor) -> PackedSequence:
            return pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)

        return pad_packed_sequence(model(pack(inputs[0]), pack(inputs[2]), state), batch_first=True)[0]

    for state in (None, inputs[1]):
        assert_same(theirs, ours, (run(ours, state), run(theirs, state)), inputs)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("hidden", [[], [7], [7, 6, 5]])
def test_interest_extractor_network_is_recboles(hidden: list[int], lengths: Tensor) -> None:
    sizes = D, H, [D + H, *hidden, 1]
    theirs, ours = (module.InterestExtractorNetwork(*sizes) for module in (original, layers))
    with_the_weights_of(theirs, ours)
    inputs = tensors((B, T, D), (B, T, D))
    found, expected = (model(inputs[0], lengths, inputs[1]) for model in (ours, theirs))
    for results in zip(found, expected, strict=True):
        assert_same(theirs, ours, results, inputs)
    padded = tensors((B, T - 1, H), (B, T - 1, D), (B, T - 1, D))
    results = tuple(model.auxiliary_loss(*padded, lengths - 1) for model in (ours, theirs))
    assert_same(theirs, ours, results, padded)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
@pytest.mark.parametrize("gru", ["GRU", "AIGRU", "AGRU", "AUGRU"])
def test_interest_evolving_layer_is_recboles(gru: str, activation: str, lengths: Tensor) -> None:
    given = torch.arange(T)[None], D, H, [4 * D, 7, 6], activation
    theirs, ours = (module.InterestEvolvingLayer(*given, gru=gru) for module in (original, layers))
    with_the_weights_of(theirs, ours)
    queries, keys = tensors((B, D), (B, T, D))
    found, expected = (model(queries, keys, lengths) for model in (ours, theirs))
    assert_same(theirs, ours, (found, expected), [queries, keys])
    padded = tensors((B, T, H))
    results = tuple(model.final_output(*padded, lengths) for model in (ours, theirs))
    assert_same(theirs, ours, results, padded)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("softmax", [True, False])
def test_mlp_attention_is_recboles_seq_att_layer(softmax: bool, lengths: Tensor) -> None:
    theirs = shared.SequenceAttLayer(torch.arange(T)[None], [4 * D, 7, 6], "sigmoid", softmax, True)
    ours = layers.MLPAttention(D, [7, 6], "sigmoid", softmax=softmax, scale=True)
    with_the_weights_of(theirs, ours)
    queries, keys = tensors((B, D), (B, T, D))
    packed = Packed.from_padded(keys, lengths)
    found = ours(packed.values, queries, Pairs.of_histories(packed.offsets))
    expected = Packed.from_padded(theirs(queries, keys, lengths).squeeze(1), lengths).values
    assert_same(theirs, ours, (found, expected), [queries, keys])


ACTIVATIONS = ["Sigmoid", "ReLU", "TANH", "leakyrelu", "LeakyReLU", "dice", "Dice", "none", None]
CLASSES = [nn.ReLU, nn.Tanh, nn.PReLU, nn.GELU, nn.ELU]


@pytest.mark.parametrize("hidden", [[4 * D], [4 * D, 7], [4 * D, 7, 6]])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *CLASSES])
def test_every_activation_and_number_of_layers_that_recbole_takes_is_taken(
    activation: Any, hidden: list[int]
) -> None:
    given = torch.arange(T)[None], D, H, hidden, activation
    theirs, ours = (module.InterestEvolvingLayer(*given, gru="AUGRU") for module in (original, layers))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with_the_weights_of(theirs, ours)
    queries, keys = tensors((B, D), (B, T, D))
    found, expected = (model(queries, keys, LENGTHS[0]) for model in (ours, theirs))
    assert_same(theirs, ours, (found, expected), [queries, keys])


def test_lengths_may_stand_in_a_column_as_in_recbole() -> None:
    lengths = LENGTHS[0][:, None]
    given = torch.arange(T)[None], D, H, [4 * D, 7]
    theirs, ours = (module.InterestEvolvingLayer(*given) for module in (original, layers))
    outputs = torch.randn(B, T, H)
    assert torch.equal(ours.final_output(outputs, lengths), theirs.final_output(outputs, lengths))
    theirs, ours = (module.InterestExtractorNetwork(D, H, [D + H, 7, 1]) for module in (original, layers))
    with_the_weights_of(theirs, ours)
    padded = torch.randn(B, T - 1, H), torch.randn(B, T - 1, D), torch.randn(B, T - 1, D), lengths - 1
    torch.testing.assert_close(ours.auxiliary_loss(*padded), theirs.auxiliary_loss(*padded))
