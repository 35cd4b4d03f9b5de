import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.ragged import ranges, row_of, to_offsets


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=20))
def test_ranges_and_row_of_equal_a_loop_over_the_rows(slices):
    starts = np.array([start for start, _ in slices], np.int64)
    lengths = np.array([length for _, length in slices], np.int64)
    assert ranges(starts, lengths).tolist() == [k for s, n in slices for k in range(s, s + n)]
    assert row_of(lengths).tolist() == [row for row, (_, n) in enumerate(slices) for _ in range(n)]
    assert to_offsets(lengths).tolist() == [sum(lengths[:k]) for k in range(len(slices) + 1)]
