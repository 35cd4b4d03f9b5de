import sys
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from dien.training import evaluate_slices
from dien.training.comparison import FailedRun
from tests.reports.comparisons import comparison, run

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import slices  # noqa: E402

sys.path.remove(str(BENCHMARKS))


def test_every_slice_has_a_line_for_each_model_with_its_gain_over_the_one_before(
    small_data, small_run, tmp_path, monkeypatch, capsys
):
    models = ["din", "dien"]
    places = {"data": str(small_data.path), "run": str(small_run.path)}
    runs = [run(model, seed, 0.7, **places) for seed in (0, 1) for model in models]
    failed = FailedRun("din", str(small_data.path), 2, "runs/x", "no")
    structs.replace(comparison(models, [*runs, failed]), data=[str(small_data.path)]).save(tmp_path)
    monkeypatch.setattr(sys, "argv", ["slices.py", str(tmp_path)])
    slices.main()
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]
    ]
    expected = evaluate_slices(small_run)
    assert [line[:2] for line in lines] == [[name, model] for name in expected for model in models]
    for name, model, rows, _, auc, gain, calibration in lines:
        metrics = expected[name]
        assert rows == f"{metrics.rows:,}"
        assert auc == ("-" if metrics.auc is None else f"{metrics.auc:.4f} ± 0.0000")
        assert calibration == ("-" if metrics.calibration is None else f"{metrics.calibration:.3f}")
        same = "-" if model == "din" or metrics.auc is None else "+0.0000 (+0.0000 to +0.0000)"
        assert gain == same


def test_a_gain_is_over_the_replicates_that_both_models_have(small_run):
    metrics = evaluate_slices(small_run)["all"]

    def of(auc):
        return replace(metrics, auc=auc)

    found = {
        "din": {"all": {("d", 0): of(0.5), ("d", 1): of(0.6)}},
        "dien": {"all": {("d", 0): of(0.7), ("d", 1): of(0.7), ("d", 2): of(0.1)}},
    }
    line = slices.line("dien", "all", found, "din", several=False)
    assert "| +0.1500 (-0.4853 to +0.7853) |" in line
    assert "| 0.5000 ± 0.3464 |" in line
    assert slices.line("dien", "item: unknown", found, "din", several=False).count("| - ") == 5


def test_a_slice_that_no_run_has_an_auc_of_says_why(small_run):
    metrics = evaluate_slices(small_run)["all"]
    none = replace(metrics, auc=None, note="no AUC: every label is 1")
    found = {
        "din": {"all": {("d", 0): metrics}, "a": {("d", 0): none}, "b": {("d", 0): none}},
        "dien": {"all": {("d", 0): none}, "a": {("d", 0): none}, "b": {("d", 1): metrics}},
    }
    assert slices.without_auc(found) == {"a": "no AUC: every label is 1"}
