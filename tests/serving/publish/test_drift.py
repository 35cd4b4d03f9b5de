"""Requests that are replayed: how far two models are apart, and whom the new one refuses."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dien.errors import DataError
from dien.run import Run
from dien.serving import Request, Scorer
from dien.serving.publish.drift import AT_ONCE, SHOWN, _spearman, drift


def write(path: Path, requests: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"\n".join(map(msgspec.json.encode, requests)) + b"\n\n")
    return path


REQUESTS = [
    {
        "user": f"u{number % 60}",
        "history": [str(number % 7), str(number % 11)],
        "candidates": [str(item) for item in range(number % 9)],
        "hour": str(number % 24),
        "times": [1_500_000, 1_600_000],
        "time": 1_700_000,
    }
    for number in range(AT_ONCE + 9)
]


def test_the_figures_are_those_of_all_scores_at_once(three_runs: list[Path], tmp_path: Path) -> None:
    new, current = (Scorer.load(run) for run in (three_runs[2], three_runs[0]))
    found, sample = drift(new, current, write(tmp_path / "requests.jsonl", REQUESTS))
    asked = [
        Request(
            user=request["user"],
            history=request["history"],
            candidates=request["candidates"],
            context={"hour": request["hour"]},
            times=request["times"],
            time=request["time"],
        )
        for request in REQUESTS
    ]
    a, b = new.score_many(asked), current.score_many(asked)
    one, other = np.concatenate(a), np.concatenate(b)
    ranked = [
        spearmanr(x, y).statistic for x, y in zip(a, b, strict=True) if min(len(set(x)), len(set(y))) > 1
    ]
    assert (found.requests, found.compared, found.candidates) == (len(asked), len(asked), len(one))
    assert (found.refused, found.refused_by_current) == (0, 0)
    assert found.mean_difference == pytest.approx(np.abs(one - other).mean())
    assert found.largest_difference == pytest.approx(np.abs(one - other).max())
    assert found.mean_score == pytest.approx(one.mean())
    assert found.mean_score_of_current == pytest.approx(other.mean())
    assert found.rank_correlation == pytest.approx(np.mean(ranked))
    assert len(sample) == AT_ONCE


def test_a_model_has_no_drift_from_itself(small_run: Run, tmp_path: Path) -> None:
    scorer = Scorer(small_run)
    found, _ = drift(scorer, scorer, write(tmp_path / "requests.jsonl", REQUESTS))
    assert (found.mean_difference, found.largest_difference) == (0, 0)
    assert found.rank_correlation == pytest.approx(1)


def test_requests_that_the_new_model_refuses_are_counted_and_the_first_named_with_their_lines(
    small_run: Run, tmp_path: Path
) -> None:
    bad = [{**REQUESTS[0], "device": "phone"}, {**REQUESTS[0], "candidates": [1.5]}]
    file = write(tmp_path / "requests.jsonl", [REQUESTS[0], *bad, *bad, REQUESTS[1]])
    found, sample = drift(Scorer(small_run), None, file)
    assert (found.requests, found.refused, len(sample), found.compared) == (6, 4, 2, 0)
    assert len(found.reasons) == SHOWN
    assert found.reasons[0].startswith("line 2: device")
    assert found.reasons[1].startswith("line 3: candidates")
    assert found.mean_difference is None


def test_requests_that_the_current_model_alone_refuses_are_counted_and_not_compared(
    small_run: Run, rich_run: Run, tmp_path: Path
) -> None:
    asked = [{"user": "u1", "history": ["1"], "candidates": ["2"], "times": [1], "time": 2}] * 2
    of_new = {**asked[0], "zone": "zone1"}
    file = write(tmp_path / "requests.jsonl", [*asked, of_new])
    found, _ = drift(Scorer(rich_run), Scorer(small_run), file)
    assert (found.refused, found.refused_by_current, found.compared) == (0, 1, 2)


@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_a_file_without_requests_or_none_is_refused(text: bytes, small_run: Run, tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_bytes(text)
    with pytest.raises(DataError, match="the file is empty"):
        drift(Scorer(small_run), None, tmp_path / "requests.jsonl")
    with pytest.raises(DataError, match="could not be read"):
        drift(Scorer(small_run), None, tmp_path / "nothing.jsonl")


def test_a_line_that_is_no_json_is_refused_by_its_number(small_run: Run, tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_bytes(b'{"user": 1\n[]\n' + b"[" * 100_000 + b"\n")
    found, _ = drift(Scorer(small_run), None, tmp_path / "requests.jsonl")
    assert found.refused == 3
    assert [reason.partition(":")[0] for reason in found.reasons] == ["line 1", "line 2", "line 3"]


pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8)


@given(pairs)
def test_the_rank_correlation_is_spearmans_and_none_where_all_are_alike(
    values: list[tuple[int, int]],
) -> None:
    a, b = np.array(values, float).reshape(-1, 2).T
    found = _spearman(a, b)
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic)
