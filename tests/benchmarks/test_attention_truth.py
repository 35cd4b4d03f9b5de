"""Where influence and attention fall, on a small synthetic log."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import attention_truth  # noqa: E402

sys.path.remove(str(BENCHMARKS))


def test_shares_are_of_the_weights_and_ties_of_the_largest_count_in_part() -> None:
    found: attention_truth.Shares = {}
    mask = np.array([True, False, True, False])
    attention_truth.add(found, "one", np.array([1.0, 2.0, 1.0, 0.0]), mask)
    attention_truth.add(found, "one", np.array([1.0, 1.0, 1.0, 1.0]), mask)
    attention_truth.add(found, "one", np.zeros(4), mask)
    assert found == {"one: share": [0.5, 0.5], "one: first": [0.0, 0.5], "one: newest": [0.0, 0.25]}


def test_the_tables_have_influence_attention_chance_and_the_best_possible(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "synthetic --seeds 2 --users 60 --items 24 --days 8 --epochs 1 --models din --clicks 5"
    monkeypatch.setattr("sys.argv", ["attention_truth.py", *options.split()])
    attention_truth.main()
    printed = capsys.readouterr().out
    for name in ("influence, positive", "attention to behaviours", "chance", "exact, positive"):
        assert f"| {name} | " in printed
    assert "±" in printed
