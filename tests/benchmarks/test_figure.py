import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import figure  # noqa: E402

sys.path.remove(str(BENCHMARKS))


def test_a_figure_has_every_replicate(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figure.Axes, "plot", lambda self, x, y, *_, **__: drawn.append((x, y)))
    models = {"din": [0.7, 0.72], "dien": [0.8, 0.81]}
    comparison = {
        "table": [
            {"model": m, "auc": {"mean": sum(v) / 2, "low": v[0], "high": v[1]}} for m, v in models.items()
        ],
        "runs": [{"model": m, "test": {"auc": auc}} for m, v in models.items() for auc in v]
        + [{"model": "din"}],
    }
    (tmp_path / "comparison.json").write_text(figure.json.dumps(comparison))
    monkeypatch.setattr(sys, "argv", ["figure.py", f"Beauty={tmp_path}", "--out", str(tmp_path / "auc.svg")])
    figure.main()
    assert ([0.7, 0.72], [0, 0]) in drawn
    assert ([0.8, 0.81], [1, 1]) in drawn
    assert "Beauty" in (tmp_path / "auc.svg").read_text()
