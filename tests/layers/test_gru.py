import pytest
import torch

from dien.layers import AttentionGRU, packed_gru
from dien.layers.gru import AttentionKind, Reset
from dien.packed import Packed, Pairs
from tests.equations import assert_same, gru_states, weights_of

D, H = 3, 4
# Three candidates, two of which share a history of three steps; one has none.
PAIRS = Pairs.of_histories(torch.tensor([0, 3, 3, 5]), torch.tensor([0, 2, 1, 0]))
STEPS = [[0, 1, 2], [3, 4], [], [0, 1, 2]]


@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("kind", ["agru", "augru", "augru-complement"])
def test_rows_that_share_steps_have_the_states_of_the_equations(
    kind: AttentionKind, reset: Reset, outputs: str
) -> None:
    gru = AttentionGRU(D, H, kind, reset=reset).double()
    inputs = torch.randn(5, D, dtype=torch.float64, requires_grad=True)
    scores = torch.rand(8, dtype=torch.float64, requires_grad=True)
    found = gru.run(inputs, PAIRS.starts, PAIRS.lengths, scores, outputs=outputs)
    rows, place, zero = [], 0, torch.zeros(1, H, dtype=torch.float64)
    for steps in STEPS:
        states = gru_states(
            kind, inputs[steps], scores[place : place + len(steps)], weights_of(gru), reset=reset
        )
        place += len(steps)
        rows.append(states if outputs == "all" else torch.cat([zero, states])[-1:])
    assert_same(found, torch.cat(rows), [inputs, scores, *gru.parameters()])


@pytest.mark.parametrize("outputs", ["last", "all"])
def test_the_packed_gru_is_torchs_on_each_history_alone(outputs: str) -> None:
    gru = torch.nn.GRU(D, H, batch_first=True).double()
    histories = Packed(torch.randn(5, D, dtype=torch.float64), torch.tensor([0, 3, 3, 5]))
    found = packed_gru(gru, histories, outputs=outputs)
    alone = [gru(histories.values[None, start:end])[0][0] for start, end in ((0, 3), (3, 5))]
    if outputs == "last":
        alone = [alone[0][-1:], torch.zeros(1, H, dtype=torch.float64), alone[1][-1:]]
    assert_same(found, torch.cat(alone), list(gru.parameters()))
