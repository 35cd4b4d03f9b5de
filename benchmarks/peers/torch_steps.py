"""What every peer on PyTorch is asked for: a forward pass without gradients, or a step of Adam."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

torch.set_num_threads(2)


def scoring(model: nn.Module, forward: Callable[[], object]) -> Callable[[], object]:
    model.eval()

    def score() -> None:
        with torch.no_grad():
            forward()

    return score


def training(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        total = loss()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()

    return step
