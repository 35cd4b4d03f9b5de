"""The search for the highest rate."""

from hypothesis import given
from hypothesis import strategies as st

from dien.bench.load.search import FARTHEST, highest


@given(st.floats(0.01, 1e5), st.floats(0.1, 1e4), st.integers(0, 12))
def test_the_highest_rate_that_holds_is_found_to_the_fineness_of_the_steps(
    limit: float, first: float, steps: int
) -> None:
    tried = list[float]()

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    found = highest(holds, first, steps)
    if limit < first / 2**FARTHEST:
        assert found == 0
    elif limit >= first * 2 ** (FARTHEST - 1):
        assert found == first * 2 ** (FARTHEST - 1)
    else:
        assert found in tried
        assert found <= limit
        above = min(rate for rate in tried if rate > limit)
        assert above - found <= found / 2**steps * (1 + 1e-9)
        assert limit < above
    assert len(tried) <= 2 * FARTHEST + steps
