import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.sources.table import duplicates

small = st.integers(1, 4)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(small, small, small, small, st.integers(0, 1)), max_size=40),
    st.booleans(),
    st.booleans(),
)
def test_of_repeated_interactions_the_first_click_is_kept_or_else_the_first_row(
    rows: list[tuple[int, int, int, int, int]], labelled: bool, shown: bool
) -> None:
    user, item, time, impression, label = (np.array([row[i] for row in rows], np.int64) for i in range(5))
    stays: dict[tuple[int, ...], int] = {}
    for index, row in enumerate(rows):
        key = row[:4] if shown else row[:3]
        if key not in stays or (labelled and row[4] > rows[stays[key]][4]):
            stays[key] = index
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_AT_ONCE", 8)  # more than one range of users
        kept = duplicates.first_of_each(
            user.astype(np.int32),
            item.astype(np.int32),
            time,
            impression if shown else None,
            label.astype(np.int8) if labelled else None,
        )
    if kept is None:
        assert len(stays) == len(rows)
    else:
        assert np.flatnonzero(kept).tolist() == sorted(stays.values())
        assert len(stays) < len(rows)


def test_rows_with_the_same_hash_are_still_compared_by_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_with_same_hash", lambda keys: np.arange(len(keys[0])))
    rows = np.array([1, 1, 2, 2], np.int32)
    time = np.array([5, 6, 5, 5])
    kept = duplicates.first_of_each(rows, rows, time, None, None)
    assert kept is not None
    assert kept.tolist() == [True, True, True, False]


@settings(max_examples=150)
@given(st.lists(st.tuples(small, small, small, small, st.integers(0, 1)), min_size=1, max_size=40))
def test_a_candidate_of_an_impression_keeps_its_first_click_and_knows_where_it_was_first_shown(
    rows: list[tuple[int, int, int, int, int]],
) -> None:
    user, item, time, impression, label = (np.array([row[i] for row in rows], np.int64) for i in range(5))
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault((row[0], row[1], row[3]), []).append(index)
    want = {
        min(group, key=lambda i: (1 - rows[i][4], rows[i][2], i)): min(group, key=lambda i: (rows[i][2], i))
        for group in groups.values()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_AT_ONCE", 8)
        found = duplicates.candidates_of(
            user.astype(np.int32), item.astype(np.int32), time, impression, label.astype(np.int8)
        )
    if found is None:
        assert len(groups) == len(rows)
    else:
        assert dict(zip(*(array.tolist() for array in found), strict=True)) == want
        assert sorted(found[0]) == found[0].tolist()
