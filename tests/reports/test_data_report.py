from dataclasses import replace
from html import unescape

import pytest
from msgspec import structs

from dien.data.dataset import Dataset
from dien.data.inspection import Inspection, advise, inspect_data
from dien.data.inspection.distribution import Distance
from dien.data.writer import write
from dien.errors import DienError
from dien.reports import write_html
from tests.data.datasets import random_prepared
from tests.reports.pages import NAME, Page, assert_needs_nothing


@pytest.fixture(scope="module")
def inspection(tmp_path_factory) -> Inspection:
    path = tmp_path_factory.mktemp("report") / "DATA"
    write(random_prepared(seed=1), path)
    return inspect_data(Dataset.open(path))


def page_of(inspection: Inspection, folder) -> Page:
    write_html(inspection, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_data_report_is_one_file_that_needs_nothing_from_elsewhere(inspection, tmp_path):
    page = page_of(inspection, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert_needs_nothing((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.charts


def test_names_are_escaped_in_the_data_report(inspection, tmp_path):
    named = replace(
        inspection,
        data=f"/tmp/{NAME}",
        info=structs.replace(
            inspection.info,
            recipe=structs.replace(inspection.info.recipe, name=NAME),
            split_rule=NAME,
            negatives=structs.replace(inspection.info.negatives, rule=NAME),
            excluded={NAME: 7},
            dropped_features=[NAME],
        ),
        coverage=tuple(replace(cover, feature=NAME) for cover in inspection.coverage),
        tables=tuple(replace(use, feature=NAME, unknown=0) for use in inspection.tables),
        drift=tuple(
            replace(drift, feature=NAME, distance=Distance(1.0, 1.0, 0.0)) for drift in inspection.drift
        ),
    )
    page = page_of(named, tmp_path)
    assert "b" not in {tag for tag, _ in page.tags}
    assert sum(text.count(NAME) for text in page.texts) > 10
    assert [NAME, "7"] in page.rows
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert unescape(text) != text
    assert NAME not in text


def test_every_number_of_the_splits_is_on_the_page(inspection, tmp_path):
    rows = {row[0]: row[1:] for row in page_of(inspection, tmp_path).rows if len(row) == 4}
    facts = inspection.splits.values()
    assert rows["impressions"] == [f"{f.impressions:,}" for f in facts]
    assert rows["impressions that leak"] == [f"{f.leaks:,}" for f in facts]
    assert rows["rows"] == [f"{f.rows:,}" for f in facts]


def test_bars_have_their_counts_and_the_table_beside_them_too(inspection, tmp_path):
    page = page_of(inspection, tmp_path)
    kind, data = page.charts[0]
    counts = list(inspection.history.counts)
    assert (kind, data["counts"]) == ("histogram", counts)
    shares = {row[0]: row[1:] for row in page.rows}
    assert shares[data["names"][-1]][0] == f"{counts[-1]:,}"


@pytest.mark.parametrize(
    ("psi", "by_chance", "mark"),
    [(0.09, 0, None), (0.1, 0, "some"), (0.24, 0, "some"), (0.25, 0, "much"), (0.3, 0.2, None)],
)
def test_drift_is_marked_beyond_the_usual_thresholds_and_chance(inspection, tmp_path, psi, by_chance, mark):
    drift = tuple(replace(d, distance=Distance(psi, 0.5, by_chance)) for d in inspection.drift)
    facts = {name: replace(f, leaks=0) for name, f in inspection.splits.items()}
    page = page_of(replace(inspection, drift=drift, splits=facts), tmp_path)
    marks = [attributes.get("class") for tag, attributes in page.tags if tag == "td"]
    assert {m for m in marks if m in ("some", "much")} == ({mark} if mark else set())
    assert ("drifts much" in " ".join(page.texts)) == (mark == "much")


@pytest.mark.parametrize(("in_train", "said"), [(0.0, True), (0.2, False)])
def test_what_is_unknown_in_test_alone_stands_out(inspection, tmp_path, in_train, said):
    coverage = tuple(
        replace(c, unknown=in_train if c.split == "train" else 0.5)
        for c in inspection.coverage
        if (c.feature, c.place) == ("device", "context")
    )
    tables = tuple(replace(use, unknown=0) for use in inspection.tables)
    texts = " ".join(page_of(replace(inspection, coverage=coverage, tables=tables), tmp_path).texts)
    sentence = "device (context) is unknown in 50.0 % of valid and 50.0 % of test, but never in train"
    assert (sentence in texts) == said


def test_a_report_that_cannot_be_written_is_an_error_and_leaves_nothing(inspection, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DienError, match=r"report.html: could not be written"):
        write_html(inspection, tmp_path / "file" / "report.html")
    with pytest.raises(DienError, match=r"could not be written.*make its folder first") as error:
        write_html(inspection, tmp_path / "nowhere" / "report.html")
    assert "--resume" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_what_follows_for_the_model_is_on_the_page_with_the_shares_it_follows_from(inspection, tmp_path):
    facts = {
        name: replace(f, repeated_clicks=0.5, unknown_item_clicks=0.25)
        for name, f in inspection.splits.items()
    }
    page = page_of(replace(inspection, splits=facts, target_steps=0.875), tmp_path)
    assert ["clicks on an item of the history", *["50.0 %"] * 3] in page.rows
    assert ["clicks on unknown items", *["25.0 %"] * 3] in page.rows
    texts = " ".join(page.texts)
    assert "targets of their own: 87.5 %" in texts
    assert all(
        sentence in texts for sentence in advise(replace(inspection, splits=facts, target_steps=0.875))
    )
