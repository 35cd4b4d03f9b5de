import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dien.layers import MLP, Affine, Dice
from dien.layers.mlp import FEW_ROWS, activation
from tests.equations import assert_same, mlp, weights_of

ACTIVATIONS = ("dice", "prelu", "relu", "sigmoid", "silu", "tanh", "none")


def trained_dice(width: int) -> Dice:
    """A Dice whose slope and running statistics are no longer what they started as."""
    dice = Dice(width).double()
    with torch.no_grad():
        dice.alpha.uniform_(-1, 1)
        dice.running_mean.normal_()
        dice.running_var.uniform_(0.5, 2)
    return dice


def test_dice_in_training_uses_the_statistics_of_the_batch() -> None:
    dice, s = trained_dice(3), 2 + 3 * torch.randn(7, 3, dtype=torch.float64)
    mean = s.sum(0) / 7
    variance = ((s - mean) ** 2).sum(0) / 7
    p = 1 / (1 + torch.exp(-(s - mean) / torch.sqrt(variance + 1e-8)))
    assert_same(dice(s), p * s + (1 - p) * dice.alpha * s)


def test_dice_in_training_moves_its_running_statistics_a_tenth_of_the_way() -> None:
    dice, s = trained_dice(3), torch.randn(7, 3, dtype=torch.float64)
    mean, variance = dice.running_mean.clone(), dice.running_var.clone()
    dice(s)
    assert_same(dice.running_mean, 0.9 * mean + 0.1 * s.mean(0))
    assert_same(dice.running_var, 0.9 * variance + 0.1 * s.var(0, unbiased=True))


def test_dice_in_evaluation_uses_the_running_statistics() -> None:
    dice, s = trained_dice(3).eval(), torch.randn(7, 3, dtype=torch.float64)
    p = 1 / (1 + torch.exp(-(s - dice.running_mean) / torch.sqrt(dice.running_var + 1e-8)))
    before = dice.running_mean.clone()
    assert_same(dice(s), p * s + (1 - p) * dice.alpha * s)
    assert torch.equal(dice.running_mean, before)


def test_in_evaluation_a_row_does_not_depend_on_the_rest_of_its_batch() -> None:
    dice, s = trained_dice(3).eval(), torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(torch.cat([dice(row) for row in s.split(1)]), dice(s))
    assert dice(s[:0]).shape == (0, 3)


def test_a_training_batch_of_one_row_uses_the_running_statistics_and_leaves_them() -> None:
    dice, s = trained_dice(3), torch.randn(1, 3, dtype=torch.float64)
    before = dice.running_mean.clone(), dice.running_var.clone()
    found = dice(s)
    assert torch.equal(found, dice.eval()(s))
    assert all(map(torch.equal, before, (dice.running_mean, dice.running_var)))


@given(
    rows=st.integers(0, 200),
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    name=st.sampled_from(["dice", "prelu", "relu", "sigmoid", "silu", "none"]),
    batch_norm=st.booleans(),
    seed=st.integers(0, 99),
)
def test_without_gradients_an_mlp_gives_the_same_and_leaves_its_input(
    rows: int, widths: list[int], name: str, batch_norm: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    layers = MLP(widths, name, batch_norm=batch_norm)
    layers(torch.randn(50, widths[0]))  # running statistics of something
    for part in layers.modules():
        if isinstance(part, Dice):
            nn.init.normal_(part.alpha)
    layers.eval()
    x = torch.randn(rows, widths[0])
    before, expected = x.clone(), layers(x)
    with torch.inference_mode():
        found = layers(x)
    assert torch.equal(x, before)
    torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("standardise", [True, False])
def test_dice_without_gradients_gives_the_same_and_leaves_its_input(standardise: bool) -> None:
    dice, s = Dice(5, standardise=standardise).eval(), torch.randn(7, 5)
    nn.init.normal_(dice.alpha)
    before, expected = s.clone(), dice(s)
    with torch.no_grad():
        torch.testing.assert_close(dice(s), expected.detach())
    assert torch.equal(s, before)


def test_a_channel_without_variance_stays_finite() -> None:
    dice, s = Dice(2), torch.full((4, 2), 5.0, requires_grad=True)
    found = dice(s)
    found.sum().backward()
    assert torch.equal(found, torch.full((4, 2), 2.5))  # p = 1/2 and alpha = 0
    assert s.grad is not None
    assert torch.isfinite(s.grad).all()


@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_of_dice_are_those_of_finite_differences(training: bool) -> None:
    dice = trained_dice(2).train(training)
    s = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)

    def run(s: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.func.functional_call(dice, {"alpha": alpha}, (s,))
        return out

    assert torch.autograd.gradcheck(run, (s, dice.alpha))


def test_prelu_learns_one_slope_a_channel() -> None:
    module = activation("prelu", 3)
    assert isinstance(module, nn.PReLU)
    assert module.weight.shape == (3,)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("last_activation", [True, False])
@pytest.mark.parametrize("widths", [[3, 5, 4], [3, 5]])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_mlp_is_its_layers_one_after_the_other(
    name: str, widths: list[int], last_activation: bool, batch_norm: bool
) -> None:
    batch_norm &= name != "none"
    given = {"last_activation": last_activation, "batch_norm": batch_norm}
    network = MLP(widths, name, **given).double().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.PReLU, Dice)):
                next(module.parameters()).uniform_(-1, 1)
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    rows = [mlp(weights_of(network), row, name, **given) for row in x]
    assert_same(network(x), torch.stack(rows), [x, *network.parameters()])


@pytest.mark.parametrize("name", ["prelu", "relu", "sigmoid", "tanh", "none"])
def test_what_follows_the_first_layer_is_described_for_operators(name: str) -> None:
    network, last = MLP([3, 5, 4], name).double(), nn.Linear(4, 1).double()
    tail = network.tail(last)
    assert tail is not None
    x = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(tail.apply(network.first(x)), last(network(x)).squeeze(1))
    ending = MLP([3, 5, 1], name, last_activation=False).double()
    described = ending.tail()
    assert described is not None
    torch.testing.assert_close(described.apply(ending.first(x)), ending(x).squeeze(1))


@pytest.mark.parametrize(("name", "batch_norm"), [("dice", False), ("silu", False), ("relu", True)])
def test_what_these_operators_do_not_compute_is_not_described(name: str, batch_norm: bool) -> None:
    assert MLP([3, 5, 4], name, batch_norm=batch_norm).tail(nn.Linear(4, 1)) is None


@pytest.mark.parametrize("name", ["dice", "silu"])
def test_in_training_a_batch_normalisation_standardises_for_every_activation(name: str) -> None:
    network, x = MLP([3, 5], name, batch_norm=True).double(), torch.randn(6, 3, dtype=torch.float64)
    s = network.first(x)
    standard = (s - s.mean(0)) / torch.sqrt(s.var(0, unbiased=False) + 1e-5)
    assert_same(network(x), standard * torch.sigmoid(standard))  # Dice starts with alpha = 0
    one = network(x[:1])
    assert torch.equal(one, network.eval()(x[:1]))


@pytest.mark.parametrize("rows", [FEW_ROWS - 1, FEW_ROWS])
def test_without_gradients_more_axes_and_autocast_give_what_they_give_with_them(rows: int) -> None:
    network, x = MLP([3, 5, 4], "relu"), torch.randn(rows, 2, 3)
    with torch.no_grad():
        found = network(x)
    torch.testing.assert_close(found, network(x.flatten(0, 1)).unflatten(0, (rows, 2)))
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            found = network(x[:, 0])
        torch.testing.assert_close(found, network(x[:, 0]))
    assert found.dtype == torch.bfloat16


def test_dropout_happens_in_training_alone() -> None:
    network, x = MLP([300, 2], "none", dropout=0.5), torch.ones(1, 300)
    with torch.no_grad():
        network.first.weight.fill_(1)
        network.first.bias.zero_()
        assert network.eval()(x).tolist() == [[300, 300]]
        found = network.train()(x)[0, 0] / 2  # what is left is doubled
    assert found == found.round()
    assert 100 < found < 200


def test_a_scale_and_shift_do_nothing_at_first_and_go_into_the_layer_that_follows() -> None:
    affine, linear = Affine(4).double(), torch.nn.Linear(4, 3).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    assert torch.equal(affine(x), x)
    for parameter in affine.parameters():
        torch.nn.init.normal_(parameter)
    weight, bias = affine.before(linear.weight, linear.bias)
    expected = (affine.weight * x + affine.bias) @ linear.weight.T + linear.bias
    torch.testing.assert_close(linear(affine(x)), expected)
    torch.testing.assert_close(torch.nn.functional.linear(x, weight, bias), expected)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(
        ValueError, match="'gelu'; expected dice, prelu, relu, leakyrelu, sigmoid, silu, tanh or none"
    ):
        MLP([3, 4], "gelu")
