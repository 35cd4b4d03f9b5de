import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from dien.bench.shapes import SHAPES, draw, paper, schema
from dien.bench.work import Sizes, operations
from dien.models import DIEN, DIENConfig

SIZES = Sizes(rows=6, steps=40, pairs=70, supervised=37)


def counted(*products: tuple[int, int, int]) -> int:
    """What torch counts in n rows times a matrix of these inputs and outputs, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        for rows, inputs, outputs in products:
            x, w = (
                torch.randn(rows, inputs, requires_grad=True),
                torch.randn(outputs, inputs, requires_grad=True),
            )
            F.linear(x, w).sum().backward()
    return counter.get_total_flops()


def mlp(rows: int, *widths: int) -> list[tuple[int, int, int]]:
    return [(rows, a, b) for a, b in itertools.pairwise(widths)]


def test_operations_are_those_of_the_products_in_the_equations() -> None:
    config = paper().model
    assert isinstance(config, DIENConfig)
    found = operations(DIEN(config, schema()), SIZES)
    B, N, P, S, H, D = 6, 40, 70, 37, 36, 36
    assert found == {
        "extractor": counted((N, D, 3 * H), (N, H, 3 * H)),
        # A target's part of the first layer, and its product with weights, which is as many operations.
        "attention": counted((B, H, 80), (B, H, 80), *mlp(P, H, 80, 40, 1)),
        "evolution": counted((N, H, 3 * H), (P, H, 3 * H)),
        "auxiliary network": counted((S, H, 100), *mlp(2 * S, D, 100, 50, 1)),
        "head": counted(*mlp(B, H + D + 18, 200, 80, 1)),
    }


@pytest.mark.parametrize("gru", ["gru", "aigru", "agru", "augru"])
def test_variants_count_what_they_compute(gru: str) -> None:
    config = DIENConfig(gru=gru, hidden_size=20, auxiliary_weight=0.0)
    found = operations(DIEN(config, schema()), SIZES)
    B, N, P, H, D = 6, 40, 70, 20, 36
    assert "auxiliary network" not in found
    assert found["attention"] == counted((B, D, H), (P, H, 1))
    second = [(N, H, 3 * H), (N, H, 3 * H), (P, H, 1)] if gru == "gru" else [(N, H, 3 * H), (P, H, 3 * H)]
    assert found["evolution"] == counted(*second)


def test_a_target_of_another_width_is_projected_before_the_mlp_attention() -> None:
    def of(hidden: int) -> float:
        config = DIENConfig(attention="mlp", attention_hidden=(8,), hidden_size=hidden)
        return operations(DIEN(config, schema()), SIZES)["attention"]

    assert of(20) == counted((6, 36, 20), (6, 20, 8), (6, 20, 8), *mlp(70, 20, 8, 1))
    assert of(36) == counted((6, 36, 8), (6, 36, 8), *mlp(70, 36, 8, 1))


def test_sizes_are_means_over_batches() -> None:
    batches = [draw(SHAPES["paired"], 100, seed=seed) for seed in (0, 1)]
    sizes = Sizes.mean(batches)
    steps = [int(batch.offsets[-1]) for batch in batches]
    assert sizes.rows == 1024
    assert sizes.steps == sum(steps) / 2
    assert sizes.pairs == sum(steps)  # two candidates a history
    assert sizes.supervised == sum(steps) / 2 - 512
