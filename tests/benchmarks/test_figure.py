import sys
from pathlib import Path

import pytest

from dien.training.comparison import Spread, UnfinishedRun
from tests.reports.comparisons import comparison, run, summary

pytest.importorskip("matplotlib")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import figure  # noqa: E402

sys.path.remove(str(BENCHMARKS))


def test_a_figure_has_every_replicate(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figure.Axes, "plot", lambda self, x, y, *_, **__: drawn.append((x, y)))
    models = {"din": [0.7, 0.72], "dien": [0.8, 0.81]}
    made = comparison(
        list(models),
        [run(model, seed, auc) for model, aucs in models.items() for seed, auc in enumerate(aucs)]
        + [UnfinishedRun("din", "/data/beauty", 2, "runs/x")],
    )
    made.table = [summary(model, auc=Spread(sum(aucs) / 2, None, *aucs, 2)) for model, aucs in models.items()]
    made.save(tmp_path)
    monkeypatch.setattr(sys, "argv", ["figure.py", f"Beauty={tmp_path}", "--out", str(tmp_path / "auc.svg")])
    figure.main()
    assert ([0.7, 0.72], [0, 0]) in drawn
    assert ([0.8, 0.81], [1, 1]) in drawn
    assert "Beauty" in (tmp_path / "auc.svg").read_text()
