from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dien.training.optimiser import RowAdam, clip_gradients


def sparse_gradient(rows: list[int], values: Tensor, height: int) -> Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor([rows]), values, (height, values.shape[1]), check_invariants=True
    )


def dense_adam_row(weight: Tensor, gradients: list[Tensor | None], lr: float) -> Tensor:
    """Adam of one row, written out: decays every step, moves only where there is a gradient."""
    weight, mean, square = weight.double().clone(), torch.zeros(()), torch.zeros(())
    for step, gradient in enumerate(gradients, 1):
        g = torch.zeros_like(weight) if gradient is None else gradient.double()
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        if gradient is not None:
            weight -= lr * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    return weight


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 12), st.integers(0, 10**6))
def test_it_equals_adam_where_every_row_is_touched_in_every_step(
    height: int, width: int, steps: int, seed: int
) -> None:
    torch.manual_seed(seed)
    start, bias = torch.randn(height, width), torch.randn(width)
    table, dense = nn.Parameter(start.clone()), nn.Parameter(bias.clone())
    expected, expected_dense = nn.Parameter(start.clone()), nn.Parameter(bias.clone())
    mine = RowAdam([table, dense], lr=0.01)
    theirs = torch.optim.Adam([expected, expected_dense], lr=0.01)
    for _ in range(steps):
        gradient, dense_gradient = torch.randn(height, width), torch.randn(width)
        table.grad = sparse_gradient(list(range(height))[::-1], gradient.flip(0), height)
        expected.grad, dense.grad, expected_dense.grad = gradient, dense_gradient, dense_gradient.clone()
        mine.step()
        theirs.step()
    torch.testing.assert_close(table, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(dense, expected_dense, rtol=1e-5, atol=1e-6)


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=15), st.integers(0, 10**6))
def test_a_touched_row_moves_as_if_its_moments_had_decayed_all_along(
    steps: list[list[int]], seed: int
) -> None:
    torch.manual_seed(seed)
    start = torch.randn(5, 3)
    table = nn.Parameter(start.clone())
    optimiser = RowAdam([table], lr=0.01)
    gradients: list[list[Tensor | None]] = [[] for _ in range(5)]
    for rows in (rows for rows in steps if rows):
        values = torch.randn(len(rows), 3)
        before = table.detach().clone()
        table.grad = sparse_gradient(rows, values, 5)
        optimiser.step()
        for row in range(5):
            mask = torch.tensor(rows) == row
            gradients[row].append(values[mask].sum(0) if mask.any() else None)
            if not mask.any():
                assert torch.equal(table[row], before[row])
    expected = torch.stack([dense_adam_row(start[row], gradients[row], 0.01) for row in range(5)])
    torch.testing.assert_close(table.double(), expected, rtol=1e-4, atol=1e-5)


def test_an_embedding_looked_up_twice_moves_by_the_sum_of_both_gradients() -> None:
    torch.manual_seed(0)
    sparse, dense = nn.Embedding(6, 2, sparse=True), nn.Embedding(6, 2)
    dense.load_state_dict(sparse.state_dict())
    for embedding, optimiser in (
        (sparse, RowAdam(sparse.parameters(), lr=0.1)),
        (dense, torch.optim.Adam(dense.parameters(), lr=0.1)),
    ):
        loss = embedding(torch.tensor([1, 3, 3])).pow(2).sum() + embedding(torch.tensor([3, 5])).sum()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(sparse.weight, dense.weight)


class LargestResult(TorchDispatchMode):
    """Remembers the largest storage that any operation newly brought forth."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        before = {t.untyped_storage().data_ptr() for t in args if isinstance(t, Tensor) and not t.is_sparse}
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if (
                isinstance(tensor, Tensor)
                and not tensor.is_sparse
                and tensor.untyped_storage().data_ptr() not in before
            ):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


def test_a_step_makes_nothing_as_large_as_the_vocabulary() -> None:
    height, width, touched = 50_000, 8, 40
    table = nn.Parameter(torch.zeros(height, width))
    optimiser = RowAdam([table])
    for attempt in range(2):  # the first step creates the moments
        table.grad = sparse_gradient(
            torch.randint(height, (touched,)).tolist(), torch.randn(touched, width), height
        )
        with LargestResult() as largest:
            optimiser.step()
        assert (largest.elements > height) == (attempt == 0)
    assert 0 < largest.elements <= touched * width


def test_a_restored_state_goes_on_to_the_bit() -> None:
    torch.manual_seed(1)
    steps = [(torch.randint(9, (4,)).tolist(), torch.randn(4, 2), torch.randn(3)) for _ in range(6)]

    def run(table: nn.Parameter, dense: nn.Parameter, optimiser: RowAdam, part: slice) -> None:
        for rows, values, gradient in steps[part]:
            table.grad, dense.grad = sparse_gradient(rows, values, 9), gradient.clone()
            optimiser.step()

    straight = nn.Parameter(torch.ones(9, 2)), nn.Parameter(torch.ones(3))
    run(*straight, RowAdam(straight), slice(None))

    broken = nn.Parameter(torch.ones(9, 2)), nn.Parameter(torch.ones(3))
    first = RowAdam(broken)
    run(*broken, first, slice(3))
    second = RowAdam(broken)
    second.load_state_dict(first.state_dict())
    assert second.state[broken[0]]["touched"].dtype == torch.int32
    run(*broken, second, slice(3, None))
    for one, other in zip(straight, broken, strict=True):
        assert torch.equal(one, other)


def twins(height: int, width: int, seed: int) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """A table and a bias, twice."""
    torch.manual_seed(seed)
    start = torch.randn(height, width), torch.randn(width)
    mine, theirs = ([nn.Parameter(one.clone()) for one in start] for _ in range(2))
    return mine, theirs


@settings(max_examples=30)
@given(
    st.integers(1, 6),
    st.lists(st.floats(0, 3), min_size=1, max_size=8),
    st.floats(0, 0.1),
    st.integers(0, 10**6),
)
def test_weight_decay_is_adamws_where_every_row_is_touched_whatever_the_learning_rates(
    height: int, decays: list[float], lr: float, seed: int
) -> None:
    mine, theirs = twins(height, 3, seed)
    ours, torchs = RowAdam(mine, lr=0.01), torch.optim.AdamW(theirs, lr=0.01)
    for step, decay in enumerate(decays):
        for optimiser in (ours, torchs):
            optimiser.param_groups[0] |= {"weight_decay": decay, "lr": lr / (step + 1)}
        gradients = torch.randn(height, 3), torch.randn(3)
        mine[0].grad = sparse_gradient(list(range(height)), gradients[0], height)
        mine[1].grad, theirs[0].grad, theirs[1].grad = gradients[1].clone(), *gradients
        ours.step()
        torchs.step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.floats(0.01, 5), st.integers(0, 10**6))
def test_weight_decay_shrinks_the_rows_of_a_step_and_no_others(
    rows: list[int], decay: float, seed: int
) -> None:
    (table, _), _ = twins(5, 2, seed)
    start, touched = table.detach().clone(), torch.isin(torch.arange(5), torch.tensor(rows))
    table.grad = sparse_gradient(rows, torch.zeros(len(rows), 2), 5)
    RowAdam([{"params": [table], "weight_decay": decay}], lr=0.01).step()
    expected = torch.where(touched[:, None], start * (1 - 0.01 * decay), start)
    torch.testing.assert_close(table.detach(), expected, rtol=1e-6, atol=0)
    assert torch.equal(table[~touched], start[~touched])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), max_size=9), st.floats(1e-3, 100), st.integers(0, 10**6))
def test_sparse_gradients_are_clipped_as_torch_clips_them_dense(
    rows: list[int], max_norm: float, seed: int
) -> None:
    mine, theirs = twins(5, 3, seed)
    mine[0].grad = sparse_gradient(rows, torch.randn(len(rows), 3), 5)
    mine[1].grad = torch.randn(3)
    theirs[0].grad, theirs[1].grad = mine[0].grad.to_dense(), mine[1].grad.clone()
    found = clip_gradients([*mine, nn.Parameter(torch.ones(2))], max_norm)
    torch.testing.assert_close(found, nn.utils.clip_grad_norm_(theirs, max_norm))
    for one, other in zip(mine, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.to_dense(), other.grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr is -1.0; expected a number >= 0"),
        ({"weight_decay": float("nan")}, "weight_decay is nan"),
        ({"betas": (0.9, 1.0)}, r"betas are \(0.9, 1.0\); expected two numbers in \[0, 1\)"),
        ({"amsgrad": True}, "no option amsgrad; expected some of: lr, betas, eps, weight_decay"),
        ({"momentum": 0.9}, "no option momentum"),
    ],
)
def test_an_option_of_a_group_that_would_not_count_is_refused(options: dict[str, Any], message: str) -> None:
    table = nn.Embedding(3, 2, sparse=True)
    with pytest.raises(ValueError, match=message):
        RowAdam([{"params": list(table.parameters()), **options}])
    kept = {"amsgrad": False, "foreach": None, "initial_lr": 0.1}  # as a group of torch's Adam has them
    RowAdam([{"params": list(table.parameters()), **kept}])


def test_gradients_that_turn_dense_are_refused_and_so_is_a_norm_of_nothing() -> None:
    table = nn.Embedding(3, 2, sparse=True)
    optimiser = RowAdam(table.parameters())
    for wanted in (True, False):
        table.sparse = wanted
        optimiser.zero_grad()
        table(torch.tensor([1])).sum().backward()
        if wanted:
            optimiser.step()
    with pytest.raises(ValueError, match=r"shape \[3, 2\] is dense, those before were not; make a new"):
        optimiser.step()
    with pytest.raises(ValueError, match="max_norm is 0; expected"):
        clip_gradients(table.parameters(), 0)
