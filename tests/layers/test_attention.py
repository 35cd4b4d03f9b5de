import pytest
import torch

from dien.layers import BilinearAttention, MLPAttention
from dien.packed import Pairs
from tests.equations import assert_same, attention_logit, weights_of

D, H = 3, 4
# Three candidates, two of which share a history of three steps; one has none.
PAIRS = Pairs.of_histories(torch.tensor([0, 3, 3, 5]), torch.tensor([0, 2, 1, 0]))
STEPS = [(0, [0, 1, 2]), (1, [3, 4]), (3, [0, 1, 2])]


def inputs(target_width: int) -> list[torch.Tensor]:
    """States ``[N, H]`` and targets ``[B, D]``."""
    shapes = ((5, H), (4, target_width))
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def test_bilinear_scores_are_the_softmax_of_equation_8() -> None:
    attention = BilinearAttention(H, D).double()
    assert [(name, tuple(p.shape)) for name, p in attention.named_parameters()] == [("weight", (H, D))]
    states, targets = inputs(D)
    rows = [torch.stack([states[t] @ attention.weight @ targets[b] for t in steps]) for b, steps in STEPS]
    expected = torch.cat([torch.exp(row) / torch.exp(row).sum() for row in rows])
    assert_same(attention(states, targets, PAIRS), expected, [states, targets, attention.weight])


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("activation", ["sigmoid", "prelu"])
@pytest.mark.parametrize("widths", [[6, 5], [4 * H, 6, 5], [7]])
def test_mlp_scores_are_those_of_the_plain_four_fold_concatenation(
    widths: list[int], activation: str, scale: bool, softmax: bool
) -> None:
    attention = MLPAttention(H, widths, activation, softmax=softmax, scale=scale).double()
    states, targets = inputs(H)
    weights, divisor = weights_of(attention), H**0.5 if scale else 1.0
    expected = []
    for b, steps in STEPS:
        row = torch.stack(
            [attention_logit(weights, targets[b], states[t], activation, divisor) for t in steps]
        )
        expected.append(torch.exp(row) / torch.exp(row).sum() if softmax else row)
    found = attention(states, targets, PAIRS)
    assert_same(found, torch.cat(expected), [states, targets, *attention.parameters()])


def test_mlp_attention_refuses_targets_of_another_width() -> None:
    attention = MLPAttention(H, [6], "relu").double()
    with pytest.raises(ValueError, match=r"states \[5, 4\] and targets \[4, 3\]; expected one width"):
        attention(*inputs(D), PAIRS)
