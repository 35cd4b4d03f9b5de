"""The command that evaluates: what of the features of a split is not known."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from dien.data.dataset import Dataset
from dien.data.ragged import ranges
from dien.data.tables import begins
from dien.explain import WholeRun, whole_run
from dien.run import Run
from tests.cli.running import dien, ok


def test_values_that_are_missing_or_not_known_are_printed_by_feature(
    small_run: Run, small_data: Dataset
) -> None:
    found = ok("evaluate", small_run.path)["unknown"]
    split = small_data.splits["test"]
    expected = {
        "target": {name: (small_data.items[name][split.item] == 0).mean() for name in ("item", "category")},
        "user": {name: (small_data.users[name][split.user] == 0).mean() for name in ("user", "age")},
        "context": {"hour": (split.context["hour"] == 0).mean()},
    }
    assert set(found) == {*expected, "history"}
    begin = np.maximum(begins(small_data.behaviours, split), split.end - small_run.config.model.max_history)
    read = small_data.behaviours.item[ranges(begin, split.end - begin)]
    assert found["history"] == pytest.approx(
        {name: (small_data.items[name][read] == 0).mean() for name in ("item", "category")}
    )
    for place, shares in expected.items():
        assert found[place] == pytest.approx(shares)
    assert found["user"]["age"] > 0  # of two users in three it is missing
    said = " ".join(dien("evaluate", small_run.path).stdout.split())
    assert f"unknown age (user) {found['user']['age']:.1%}" in said
    assert "(context)" not in said  # nothing of it is unknown


def test_expected_and_observed_clicks_are_printed_by_tenths_of_the_scores(small_run: Run) -> None:
    found = ok("evaluate", small_run.path)
    tenths = found["deciles"]
    assert len(tenths) == 10
    assert sum(tenth["rows"] for tenth in tenths) == found["rows"]
    expected = sum(tenth["rows"] * tenth["mean_score"] for tenth in tenths)
    observed = sum(tenth["rows"] * tenth["click_rate"] for tenth in tenths)
    assert expected / observed == pytest.approx(found["calibration"])
    said = dien("evaluate", small_run.path).stdout
    for number, tenth in enumerate(tenths, 1):
        line = next(line for line in said.splitlines() if line.split()[:1] == [str(number)])
        assert line.split() == [
            str(number),
            str(tenth["rows"]),
            f"{tenth['mean_score']:.4f}",
            f"{tenth['click_rate']:.4f}",
            "-" if tenth["calibration"] is None else f"{tenth['calibration']:.3f}",
        ]
    assert "uncalibrated LogLoss" in said
    assert found["uncalibrated"].keys() == {"log_loss", "calibration", "calibration_error"}


def test_behaviours_are_set_beside_scores_in_tables_in_json_and_on_a_page(
    small_run: Run, tmp_path: Path
) -> None:
    found = ok("evaluate", small_run.path, "--behaviours", "--html", tmp_path / "seen.html")["behaviours"]
    whole = msgspec.convert(found, WholeRun)
    assert whole == whole_run(small_run)
    page = (tmp_path / "seen.html").read_text()
    assert f"{small_run.path.name} (dien)" in page
    assert '"rows_by_kind"' in page
    said = " ".join(dien("evaluate", small_run.path, "--behaviours").stdout.split())
    newest = whole.positions[0].cells["same item"]
    assert f"1 same item {newest.number:,} {newest.clicked:.4f} {newest.score:.4f}" in said
    age = next(band for band in whole.ages if "same category" in band.cells)
    of_age = age.cells["same category"]
    assert f"{age.name} same category {of_age.number:,} {of_age.clicked:.4f} {of_age.score:.4f}" in said
    assert "behaviours of the kind 'other' are not in these tables; --json and --html have them" in said
    same = whole.rows_by_kind["same category"]
    assert f"same category {same.number:,} {same.clicked:.4f} {same.score:.4f}" in said
