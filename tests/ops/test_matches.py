import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.ops import cpu, matches
from dien.packed import Packed

# Few values, so that they repeat; some beyond 32 bits and below 0.
ids = st.sampled_from([0, 1, 2, 3, 7, -5, 2**40, -(2**63), 2**63 - 1])
id_lists = st.lists(ids, max_size=3)


def naive(history: list[list[int]], wanted: list[int]) -> tuple[int, int]:
    """How many behaviours share a value with the candidate, and how many steps back the newest is."""
    found = [len(history) - step for step, own in enumerate(history) if {*own} & {*wanted} - {0}]
    return len(found), min(found, default=0)


def packed(lists: list[list[int]]) -> Packed:
    offsets = torch.tensor([0, *map(len, lists)]).cumsum(0)
    return Packed(torch.tensor([value for one in lists for value in one], dtype=torch.int64), offsets)


@st.composite
def cases(draw: st.DrawFn, values: st.SearchStrategy) -> tuple[list[list], list, list[int]]:
    """Histories of 0 to 40 behaviours, candidates in any order, several or none of a history."""
    histories = draw(st.lists(st.lists(values, max_size=draw(st.sampled_from([1, 4, 40]))), max_size=5))
    of = draw(st.lists(st.integers(0, len(histories) - 1), max_size=12)) if histories else []
    return histories, [draw(values) for _ in of], of


def expect(histories: list[list[list[int]]], wanted: list[list[int]], of: list[int], found: tuple) -> None:
    expected = [naive(histories[r], one) for r, one in zip(of, wanted, strict=True)]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


@pytest.mark.parametrize("backend", cpu.backends())
@given(case=cases(ids), small=st.booleans())
def test_one_value_each_gives_what_counting_by_hand_gives(backend: str, case: tuple, small: bool) -> None:
    histories, target, of = case
    history = [value for one in histories for value in one]
    narrow = small and all(abs(value) < 2**31 for value in (*history, *target))
    dtype = torch.int32 if narrow else torch.int64
    offsets = torch.tensor([0, *map(len, histories)]).cumsum(0)
    with cpu.backend(backend):
        found = matches(
            torch.tensor(history, dtype=dtype),
            offsets.to(dtype),
            torch.tensor(target, dtype=dtype),
            torch.tensor(of, dtype=dtype),
        )
    lists = [[[value] for value in one] for one in histories]
    expect(lists, [[value] for value in target], of, found)


@pytest.mark.parametrize("backend", cpu.backends())
@given(case=cases(id_lists))
def test_lists_match_by_one_value_in_common_and_a_behaviour_counts_once(backend: str, case: tuple) -> None:
    histories, target, of = case
    offsets = torch.tensor([0, *map(len, histories)]).cumsum(0)
    history = packed([own for one in histories for own in one])
    with cpu.backend(backend):
        found = matches(history, offsets, packed(target), torch.tensor(of, dtype=torch.int64))
    expect(histories, target, of, found)


def test_many_candidates_of_a_long_history_give_the_same_on_any_number_of_threads() -> None:
    random = torch.Generator().manual_seed(0)
    history = torch.randint(0, 3000, (1_100_000,), generator=random)
    offsets = torch.tensor([0, 500_000, 500_000, 1_100_000])
    target = torch.randint(0, 4000, (2000,), generator=random)
    of = torch.randint(0, 3, (2000,), generator=random)
    torch.set_num_threads(1)
    one = matches(history, offsets, target, of)
    torch.set_num_threads(3)
    three = matches(history, offsets, target, of)
    assert all(map(torch.equal, one, three))
    counts = torch.stack([torch.bincount(own, minlength=4000) for own in history.tensor_split(offsets[1:-1])])
    assert torch.equal(one[0], torch.where(target > 0, counts[of, target], 0))


@pytest.mark.parametrize(
    ("offsets", "of", "message"),
    [
        ([0, 2], [0], r"offsets is \[0, 2\]; expected numbers that rise from 0 to 3, the behaviours"),
        ([0, 2, 1, 3], [0], r"offsets is \[0, 2, 1, 3\]; expected numbers that rise"),
        ([0, 3], [1], r"history_of has 1 at position 0; expected 0 to 0, one of 1 histories"),
    ],
)
@pytest.mark.parametrize("backend", cpu.backends())
def test_what_does_not_fit_is_refused_in_words(
    backend: str, offsets: list[int], of: list[int], message: str
) -> None:
    with cpu.backend(backend), pytest.raises(ValueError, match=f"matches: {message}"):
        matches(torch.tensor([1, 2, 3]), torch.tensor(offsets), torch.tensor([1]), torch.tensor(of))
