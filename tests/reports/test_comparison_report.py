import re
from pathlib import Path

from msgspec import structs

from dien.reports.comparison_report import markdown, write_reports
from dien.training.comparison import Comparison, Curves
from tests.reports.comparisons import difference, with_conversions
from tests.reports.pages import NAME, Page, assert_needs_nothing


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(
    comparison: Comparison, curves: Curves, tmp_path: Path
) -> None:
    write_reports(comparison, curves, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "table.md",
        "table.csv",
        "runs.csv",
        "pairs.csv",
        "report.html",
    }
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert_needs_nothing(text)
    page = Page(text)
    assert any(NAME in one for one in page.texts)
    assert NAME not in text
    assert "b" not in {tag for tag, _ in page.tags}


def test_the_page_has_the_figures_and_a_curve_of_each_loss(
    comparison: Comparison, curves: Curves, tmp_path: Path
) -> None:
    write_reports(comparison, curves, tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    rows = [row for row in page.rows if row[:1] == ["din"]]
    assert rows[0][:5] == ["din", "0.7500 ± 0.0123", "+3.21 %", "-0.0500 (-0.0800 to -0.0200)", "< 0.0001"]
    charts = {
        attributes["aria-label"].partition(": ")[0]
        if "loss" not in attributes["aria-label"]
        else attributes["aria-label"].partition(", by epoch")[0]
        for _, attributes in page.tags
        if attributes.get("role") == "img"
    }
    assert charts == {
        "test AUC",
        f"test AUC less that of {NAME}, paired",
        "AUC on the validation split, by epoch",
        "target loss in training",
        "din: whole loss",
        f"{NAME}: whole loss",
        f"{NAME}: auxiliary loss",
    }
    assert ["model.width", "4", "\u2013"] in page.rows
    assert ["training.epochs", "3", "4"] in page.rows


def test_each_replicate_has_a_column_and_what_failed_a_dash(comparison: Comparison) -> None:
    def replicates() -> list[str]:
        return markdown(comparison).partition("each replicate:\n\n")[2].splitlines()[:4]

    assert replicates() == [
        "| model | seed 0 | seed 1 |",
        "| --- | ---: | ---: |",
        "| din | 0.7512 | 0.7488 |",
        f"| {NAME} | 0.8000 | - |",
    ]
    comparison.data.append("/data/b")
    comparison.runs = [structs.replace(run, data=comparison.data[run.seed]) for run in comparison.runs]
    assert replicates()[0] == "| model | beauty, seed 0 | b, seed 1 |"


def test_a_step_of_training_stands_at_the_epochs_gone_by_whatever_the_batch_size(
    comparison: Comparison, curves: Curves, tmp_path: Path
) -> None:
    def ends() -> set[float]:
        write_reports(comparison, curves, tmp_path)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        (chart,) = (data for _, data in page.charts if data["title"].startswith("target loss in training"))
        assert chart["across"] == "epoch"
        return {curve["mean"][-1][0] for curve in chart["curves"]}

    assert len(ends()) == 1
    for records in curves["din"]:
        for step in records:
            step["step"] //= 50
    assert len(ends()) == 1
    curves["din"][0].pop()  # which does not say how long its epochs are
    curves["din"][1].pop()
    write_reports(comparison, curves, tmp_path)
    assert "din: whole loss" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_markdown_has_as_many_cells_in_every_row_and_keeps_bars_out_of_them(
    comparison: Comparison,
) -> None:
    comparison.table[0] = structs.replace(comparison.table[0], model="a|b")
    lines = [line for line in markdown(comparison, details=False).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {14}
    assert lines[2].startswith("| a\\|b | 0.7500 ± 0.0123 |")


def test_steps_are_the_differences_of_neighbours_in_the_order_of_the_models(
    comparison: Comparison,
) -> None:
    comparison.models = ["din", "pnn", "dien"]
    pairs = [("pnn", "din"), ("dien", "din"), ("dien", "pnn")]
    comparison.settings |= dict.fromkeys(("pnn", "dien"), comparison.settings["din"])
    comparison.differences = [difference(model, over) for model, over in pairs]
    steps, _, every = markdown(comparison).partition("step by step:")[2].partition("any two models,")
    rows = [re.findall(r"^\| (\w+) \| (\w+) \|", part, re.MULTILINE)[1:] for part in (steps, every)]
    assert rows == [[("pnn", "din"), ("dien", "pnn")], pairs]


def test_steps_have_an_adjusted_p_and_differences_say_that_they_have_none(comparison: Comparison) -> None:
    steps, _, every = markdown(comparison).partition("step by step:")[2].partition("any two models,")
    assert "| p | p, Holm over 1 step |" in steps
    assert "| < 0.0001 | 0.0321 | 3 |" in steps
    assert every.startswith(" p not adjusted:")
    assert "0.0321" not in every


def test_metrics_of_conversions_have_tables_of_their_own_where_a_model_predicts_them(
    comparison: Comparison, curves: Curves, tmp_path: Path
) -> None:
    assert "onversion" not in markdown(comparison)
    both = with_conversions(comparison, NAME, 0)
    head = "| model | AUC | GAUC | LogLoss | calibration | calibration error |"
    for details in (True, False):
        text = markdown(both, details)
        for what, first in (("the conversion of a click, over clicked rows", 1), ("click and conversion", 2)):
            table = text.partition(f"Test metrics of {what}")[2].partition("\n\n")[2].splitlines()
            figures = " | ".join(f"0.{first}{k}00" for k in range(1, 6))
            assert table[0] == head
            assert table[2:5] == ["| din | - | - | - | - | - |", f"| {NAME} | {figures} |", ""]
        assert "- RelaImpr, differences and tests are of clicks;" in text
    write_reports(both, curves, tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    for first in (1, 2):
        assert [NAME, *(f"0.{first}{k}00" for k in range(1, 6))] in page.rows
