import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.packed import Packed, Pairs, lengths_to_offsets, padding_mask, row_of_step

lengths_lists = st.lists(st.integers(0, 5), max_size=6)


@given(lengths=lengths_lists, spare=st.integers(0, 2), width=st.sampled_from([(), (1,), (2, 3)]))
def test_packing_and_padding_undo_each_other(lengths: list[int], spare: int, width: tuple[int, ...]) -> None:
    T = max(lengths, default=0) + spare
    padded = torch.randn(len(lengths), T, *width)
    packed = Packed.from_padded(padded, torch.tensor(lengths, dtype=torch.int64))

    assert packed.values.shape == (sum(lengths), *width)
    assert packed.lengths.tolist() == lengths
    for r, length in enumerate(lengths):
        begin, end = packed.offsets[r], packed.offsets[r + 1]
        assert torch.equal(packed.values[begin:end], padded[r, :length])
    back = packed.to_padded(T)
    for r, length in enumerate(lengths):
        assert torch.equal(back[r, :length], padded[r, :length])
        assert not back[r, length:].any()
    assert torch.equal(Packed.from_padded(back, packed.lengths).values, packed.values)


@pytest.mark.parametrize("lengths", [[0, 0, 0], [4, 4, 4], []], ids=["all empty", "all full", "no rows"])
def test_packing_takes_histories_all_alike_and_none_at_all(lengths: list[int]) -> None:
    padded = torch.randn(len(lengths), 4, 2)
    packed = Packed.from_padded(padded, torch.tensor(lengths, dtype=torch.int32))
    assert torch.equal(packed.values, padded[:, : max(lengths, default=0)].reshape(-1, 2))
    assert packed.offsets.dtype == torch.int64
    expected = padded if sum(lengths) else torch.zeros_like(padded)
    assert torch.equal(packed.to_padded(4), expected)


def test_padding_gets_no_gradient_whatever_it_holds() -> None:
    padded = torch.tensor([[1.0, float("nan")], [float("inf"), float("nan")]], requires_grad=True)
    Packed.from_padded(padded, torch.tensor([1, 0])).to_padded(2).square().sum().backward()
    assert padded.grad is not None
    assert padded.grad.tolist() == [[2, 0], [0, 0]]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], r"lengths has shape \[2\], expected \[3\]: one length for each sequence .* \[3, 4, 2\]"),
        ([1, 5, 0], "lengths run from 0 to 5, expected 0 to T = 4"),
        ([1, -2, 4], "lengths run from -2 to 4, expected 0 to T = 4"),
    ],
)
def test_packing_refuses_lengths_that_do_not_fit(lengths: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Packed.from_padded(torch.zeros(3, 4, 2), torch.tensor(lengths))


@given(lengths=lengths_lists, T=st.integers(0, 5))
def test_offsets_rows_and_masks_say_which_step_is_whose(lengths: list[int], T: int) -> None:
    tensor = torch.tensor(lengths, dtype=torch.int64)
    assert lengths_to_offsets(tensor).tolist() == [sum(lengths[:r]) for r in range(len(lengths) + 1)]
    assert row_of_step(tensor).tolist() == [r for r, length in enumerate(lengths) for _ in range(length)]
    assert padding_mask(tensor, T).tolist() == [[t < length for t in range(T)] for length in lengths]


@given(rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=6))
def test_pairs_list_the_steps_of_each_row_in_time_order(rows: list[tuple[int, int]]) -> None:
    starts, lengths = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).unbind(1)
    pairs = Pairs(starts, lengths)
    expected = [(b, start + t) for b, (start, length) in enumerate(rows) for t in range(length)]
    assert list(zip(pairs.row.tolist(), pairs.step.tolist(), strict=True)) == expected


def test_candidates_of_one_history_read_the_same_steps() -> None:
    offsets = torch.tensor([0, 2, 2, 5])
    pairs = Pairs.of_histories(offsets, torch.tensor([2, 0, 1, 2]))
    assert pairs.starts.tolist() == [2, 0, 2, 2]
    assert pairs.lengths.tolist() == [3, 2, 0, 3]
    assert pairs.row.tolist() == [0, 0, 0, 1, 1, 3, 3, 3]
    assert pairs.step.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]


def test_pairs_without_a_candidate_list_are_each_history_once() -> None:
    offsets = torch.tensor([0, 2, 2, 5])
    alone, listed = Pairs.of_histories(offsets), Pairs.of_histories(offsets, torch.arange(3))
    for name in ("starts", "lengths", "row", "step"):
        assert torch.equal(getattr(alone, name), getattr(listed, name))
