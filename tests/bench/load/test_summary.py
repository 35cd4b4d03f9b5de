"""What a load comes to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dien.bench.load import UNANSWERED, Records, summary
from dien.bench.load.summary import QUANTILES, holds, percentiles


def records(status: list[int], seconds: float = 0.01, late: float = 0.001) -> Records:
    """Make a load of requests a second apart, that were sent late and answered after so many seconds."""
    n = len(status)
    code = np.array(status, np.int64)
    due = np.arange(n, dtype=float)

    def where_answered(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(code == UNANSWERED, np.nan, value)

    return Records(
        due=due,
        sent=due + late,
        done=where_answered(due + seconds),
        status=code,
        queue=where_answered(np.full(n, seconds / 4)),
        score=where_answered(np.full(n, seconds / 2)),
        reasons={"no answer in time": int((code == UNANSWERED).sum())},
        wall=float(n),
        cpu=0.1 * n,
    )


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_percentiles_are_values_that_were_measured_and_rise(seconds: list[float]) -> None:
    found = percentiles(np.array([*seconds, np.nan]))
    assert found is not None
    assert list(found) == list(QUANTILES)
    values = list(found.values())
    assert values == sorted(values)
    assert values[-1] == 1000 * max(seconds)
    for value, quantile in zip(values, QUANTILES.values(), strict=True):
        assert any(value == 1000 * one for one in seconds)
        below = sum(1000 * one <= value for one in seconds)
        assert below >= quantile * len(seconds) - 1e-6


@given(st.lists(st.sampled_from([200, 429, 503, 504, UNANSWERED]), min_size=2, max_size=50))
def test_every_request_is_counted_once_as_scored_refused_or_unanswered(status: list[int]) -> None:
    found = summary([records(status), records([200])], deadline=1)
    assert found["requests"] == len(status) + 1
    assert found["scored"] + sum(found["refused"].values()) + found["unanswered"] == found["requests"]
    assert found["refused"].keys() == {str(one) for one in status} - {"200", str(UNANSWERED)}
    assert found["unanswered"] == status.count(UNANSWERED) == found["reasons"].get("no answer in time", 0)
    assert found["generator_cores"] == pytest.approx(0.1)


def test_the_stages_add_up_and_answers_after_the_deadline_are_counted() -> None:
    found = summary([records([200] * 5, seconds=0.5, late=0.1)], deadline=0.4)
    stages = {name: stage["p50"] for name, stage in found["stages"].items()}
    assert stages == pytest.approx({"generator": 100, "queue": 125, "scoring": 250, "rest": 25})
    assert found["milliseconds"]["p50"] == pytest.approx(500)
    assert found["scored_after_deadline"] == 5
    assert summary([records([200] * 5, seconds=0.5)], deadline=0.6)["scored_after_deadline"] == 0


def test_a_generator_that_sends_late_is_told_of() -> None:
    assert summary([records([200] * 5, late=0.001)], deadline=1)["kept_up"]
    assert not summary([records([200] * 5, late=0.02)], deadline=1)["kept_up"]


def test_a_load_is_held_where_all_are_scored_and_99_of_100_within_the_bound() -> None:
    assert holds(records([200] * 50, seconds=0.01), 0.011)
    assert not holds(records([200] * 50, seconds=0.01), 0.009)
    assert not holds(records([200] * 50 + [429]), 10)
    assert not holds(records([200] * 50 + [UNANSWERED]), 10)
    assert not holds(records([]), 1)
