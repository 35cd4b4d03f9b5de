import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from dien.explain.comparison_report import as_csv, markdown, write_reports
from tests.explain.test_data_report import NAME, Page

SPREAD = {"mean": 0.75, "std": 0.0123, "low": 0.7, "high": 0.8, "count": 3}
OVER = {"mean": -0.05, "low": -0.08, "high": -0.02, "p": 0.00004, "count": 3}


def record(model: str, **figures: Any) -> dict[str, Any]:
    return {
        "model": model,
        "runs": 3,
        **dict.fromkeys(("auc", "gauc", "log_loss", "calibration", "calibration_error"), SPREAD),
        "relative_improvement": 0.0321,
        "over_best": None,
        "parameters": 12345,
        "training_rows_per_second": 1234.5,
        "scoring_rows_per_second": None,
        **figures,
    }


@pytest.fixture
def comparison() -> dict[str, Any]:
    models = ["din", NAME]
    return {
        "data": ["/data/beauty"],
        "models": models,
        "seeds": 3,
        "settings": {
            "din": {"model": {"name": "din", "width": 4}, "training": {"epochs": 3, "seed": 0}},
            NAME: {"model": {"name": "x", "depth": 7}, "training": {"epochs": 4, "seed": 0}},
        },
        "runs": [{"model": NAME, "seed": 2, "status": "failed", "error": f"{NAME}\nTraceback"}],
        "base": "din",
        "best": NAME,
        "table": [record("din", over_best=OVER), record(NAME, gauc=None)],
        "differences": [{"model": NAME, "over": "din", **OVER}],
        "untested": None,
    }


@pytest.fixture
def curves() -> dict[str, list[list[dict[str, Any]]]]:
    def records(auxiliary: bool) -> list[dict[str, Any]]:
        more = {"target_loss": 0.6, "auxiliary_loss": 1.3} if auxiliary else {}
        steps = [{"kind": "steps", "epoch": 1, "step": 100 * k, "loss": 2 / k, **more} for k in (1, 2)]
        return [*steps, {"kind": "epoch", "epoch": 1, "step": 200, "loss": 1.0, "valid_auc": 0.7, **more}]

    return {"din": [records(False), records(False)], NAME: [records(True), []]}


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(
    comparison: dict[str, Any], curves: dict[str, Any], tmp_path: Path
) -> None:
    write_reports(comparison, curves, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"table.md", "table.csv", "report.html"}
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & {tag for tag, _ in page.tags}
    attributes = {name for _, attributes in page.tags for name in attributes}
    assert not attributes & {"src", "href", "srcset", "xlink:href", "style"}
    assert not re.search(r"url\(|@import|https?:", text)
    assert NAME not in text
    assert "b" not in {tag for tag, _ in page.tags}


def test_the_page_has_the_figures_and_a_curve_of_each_loss(
    comparison: dict[str, Any], curves: dict[str, Any], tmp_path: Path
) -> None:
    write_reports(comparison, curves, tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    rows = [row for row in page.rows if row[:1] == ["din"]]
    assert rows[0][:5] == ["din", "0.7500 ± 0.0123", "+3.21 %", "-0.0500 (-0.0800 to -0.0200)", "< 0.0001"]
    charts = {
        attributes["aria-label"] for tag, attributes in page.tags if tag == "svg" and "role" in attributes
    }
    assert charts == {
        "test AUC",
        f"test AUC less that of {NAME}, paired",
        "AUC on the validation split, by epoch",
        "target loss in training, by step",
        "din: whole loss, by step",
        f"{NAME}: whole loss, by step",
        f"{NAME}: auxiliary loss, by step",
    }
    assert ["model.width", "4", "\u2013"] in page.rows
    assert ["training.epochs", "3", "4"] in page.rows


def test_the_notes_say_what_failed_and_what_is_not_alike(comparison: dict[str, Any]) -> None:
    text = markdown(comparison)
    assert f"- {NAME}, seed 2: failed: {NAME}\n" in text
    assert "Traceback" not in text
    assert f"training.epochs (din 3, {NAME} 4)" in text
    assert f"paired t test, two-sided, against {NAME}" in text
    assert "speak of seeds, not of another split" in text
    assert "the same impressions and negatives, in the same order;" in text
    untested = {**comparison, "table": [record("din", over_best={**OVER, "p": None}), record(NAME)]}
    assert "paired t test" not in markdown(untested)  # other pairs may have been tested
    comparison["settings"]["din"]["training"]["batch_size"] = 64
    comparison["settings"][NAME]["training"]["batch_size"] = 128
    assert "every model has the same impressions;" in markdown(comparison)
    comparison |= {"untested": "there is one replicate", "data": ["a", "b"]}
    comparison["table"] = [record("din"), record(NAME)]
    text = markdown(comparison)
    assert "No test: there is one replicate." in text
    assert "| p |" not in text.partition("\n")[0]
    assert "take the mean of each DATA" in text
    assert "6 replicates: 3 training seeds on each of a, b." in text


def test_markdown_has_as_many_cells_in_every_row_and_keeps_bars_out_of_them(
    comparison: dict[str, Any],
) -> None:
    comparison["table"][0]["model"] = "a|b"
    lines = [line for line in markdown(comparison, pairs=False).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {14}
    assert lines[2].startswith("| a\\|b | 0.7500 ± 0.0123 |")


def test_steps_are_the_differences_of_neighbours_in_the_order_of_the_models(
    comparison: dict[str, Any],
) -> None:
    comparison["models"] = ["din", "pnn", "dien"]
    pairs = [("pnn", "din"), ("dien", "din"), ("dien", "pnn")]
    comparison["settings"] |= dict.fromkeys(("pnn", "dien"), comparison["settings"]["din"])
    comparison["differences"] = [{"model": model, "over": over, **OVER} for model, over in pairs]
    steps, _, every = markdown(comparison).partition("step by step:")[2].partition("all pairs:")
    rows = [re.findall(r"^\| (\w+) \| (\w+) \|", part, re.MULTILINE)[1:] for part in (steps, every)]
    assert rows == [[("pnn", "din"), ("dien", "pnn")], pairs]


def test_csv_has_every_figure_to_the_last_digit(comparison: dict[str, Any]) -> None:
    first, second = csv.DictReader(io.StringIO(as_csv(comparison)))
    assert (first["auc_mean"], first["auc_std"], first["over_best_p"]) == ("0.75", "0.0123", "4e-05")
    assert (second["model"], second["gauc_mean"], second["over_best_mean"]) == (NAME, "", "")
