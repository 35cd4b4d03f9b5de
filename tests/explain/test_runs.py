"""Runs of behaviours that are left out at once."""

from hypothesis import given
from hypothesis import strategies as st

from dien.explain.runs import Run, runs_of

DAY = 86_400


def test_with_times_they_are_spans_before_the_request_and_sessions() -> None:
    now = 100 * DAY
    times = [now - 60 * DAY, now - 60 * DAY + 60, now - 20 * DAY, now - 2 * DAY, now - 3600, now - 60]
    assert runs_of(times, now, 6) == [
        Run("last hour", 4, 5),
        Run("last week", 3, 5),
        Run("last month", 2, 5),
        Run("session of 5 to 6 from the end", 0, 1),
    ]


def test_the_newest_session_is_the_last_and_the_one_before_is_named_by_its_places() -> None:
    now = 100 * DAY
    two_apart = [now - 7 * 3600, now - 7 * 3600 + 60, now - 6 * 3600, now - 5 * 3600, now - 5 * 3600 + 60]
    runs = runs_of(two_apart, now, 5)
    assert runs[1:] == [Run("last session", 3, 4), Run("session of 4 to 5 from the end", 0, 1)]


def test_without_times_they_are_counts() -> None:
    assert runs_of(None, None, 7) == [Run("last 1", 6, 6), Run("last 5", 2, 6)]
    assert runs_of([5, None, 7], 9, 3) == [Run("last 1", 2, 2)]
    assert runs_of(None, None, 0) == []


@given(st.lists(st.integers(0, 10**9), max_size=50).map(sorted), st.integers(0, 10**9))
def test_every_run_lies_within_the_history_and_none_is_there_twice(times: list[int], later: int) -> None:
    runs = runs_of(times, times[-1] + later if times else None, len(times))
    assert all(0 <= run.first <= run.last < len(times) for run in runs)
    assert len({run[1:] for run in runs}) == len(runs)
