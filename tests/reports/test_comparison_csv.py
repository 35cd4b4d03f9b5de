import csv
import io

from dien.reports.comparison_csv import differences_csv, models_csv, runs_csv
from dien.training.comparison import Comparison, Curves
from dien.training.metrics import METRICS, OF_CONVERSIONS
from tests.reports.comparisons import difference, with_conversions
from tests.reports.pages import NAME


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_models_have_every_figure_to_the_last_digit_and_say_whom_it_is_over(
    comparison: Comparison,
) -> None:
    first, second = lines(models_csv(comparison))
    assert (first["auc_mean"], first["auc_std"], first["over_best_p"]) == ("0.75", "0.0123", "4e-05")
    assert (second["model"], second["gauc_mean"], second["over_best_mean"]) == (NAME, "", "")
    for line in (first, second):
        assert (line["base"], line["best"]) == ("din", NAME)


def test_runs_have_the_metrics_of_both_splits_and_those_that_failed_their_error(
    comparison: Comparison,
    curves: Curves,
) -> None:
    curves["din"][1].append({"kind": "epoch", "epoch": 2, "step": 400, "valid_auc": 0.6})
    found = lines(runs_csv(comparison, curves))
    assert [(line["model"], line["seed"], line["status"]) for line in found] == [
        ("din", "0", "done"),
        ("din", "1", "done"),
        (NAME, "0", "done"),
        (NAME, "1", "failed"),
    ]
    assert [(line["valid_auc"], line["valid_gauc"], line["test_auc"]) for line in found] == [
        ("0.7", "0.6", "0.7512"),
        ("0.7", "0.6", "0.7488"),
        ("0.7", "0.6", "0.8"),
        ("", "", ""),
    ]
    assert [line["error"] for line in found] == ["", "", "", NAME]
    assert {line["data"] for line in found} == {"/data/beauty"}


def test_differences_have_p_and_where_they_are_steps_the_adjusted_one(
    comparison: Comparison,
) -> None:
    comparison.differences.append(difference(NAME, "pnn"))
    step, other = lines(differences_csv(comparison))
    assert (step["model"], step["over"], step["p"], step["p_holm"], step["count"]) == (
        NAME,
        "din",
        "4e-05",
        "0.0321",
        "3",
    )
    assert (other["over"], other["p_holm"]) == ("pnn", "")


def test_metrics_of_conversions_have_columns_where_a_model_predicts_them(
    comparison: Comparison, curves: Curves
) -> None:
    assert "onversion" not in models_csv(comparison) + runs_csv(comparison, curves)
    both = with_conversions(comparison, NAME, 0)
    curves[NAME][0][-1]["valid_conversion_log_loss"] = 0.33
    without, found = lines(models_csv(both))
    assert (without["conversion_auc_mean"], without["click_and_conversion_auc_mean"]) == ("", "")
    assert (found["conversion_auc_mean"], found["conversion_auc_std"]) == ("0.11", "")
    assert found["click_and_conversion_calibration_error_mean"] == "0.25"
    assert without.keys() - lines(models_csv(comparison))[0].keys() == {
        f"{part}_{metric}_{figure}"
        for part in OF_CONVERSIONS
        for metric in METRICS
        for figure in ("mean", "std", "low", "high")
    }
    runs = lines(runs_csv(both, curves))
    assert [line["test_conversion_auc"] for line in runs] == ["", "", "0.11", ""]
    assert [line["test_click_and_conversion_log_loss"] for line in runs] == ["", "", "0.23", ""]
    assert [line["valid_conversion_log_loss"] for line in runs] == ["", "", "0.33", ""]
