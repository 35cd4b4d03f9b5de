"""The whole-run view in a browser: of runs that read differently, and of whiskers as wide as rows allow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dien.explain import WholeRun
from dien.explain.whole_run import Band, Cell
from dien.reports.whole_run_page import whole_run_html
from tests.explore.browser import chromium

POSITIONS = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6-7": 6, "8-10": 8, "11-15": 11}
KINDS = ["same item", "same category", "other"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def cell(number: int, rows: int, clicked: float, score: float) -> Cell:
    return Cell(
        number=number, rows=rows, clicked=clicked, score=score, attention={"interest states": score / 7}
    )


def of_run(name: str, reads: int, score: float = 0.25) -> WholeRun:
    """A run that reads so many behaviours; the first ``reads`` places have a click rate of a place's own."""
    positions = [
        Band(
            name=band,
            first=first,
            cells={kind: cell(400, 100, 0.2 + first / 100, score + first / 100) for kind in KINDS[1:]},
        )
        for band, first in POSITIONS.items()
        if first <= reads
    ]
    return WholeRun(
        run=name,
        model="dien",
        split="test",
        impressions=100,
        of_impressions=100,
        rows=200,
        clicked=0.25,
        score=0.25,
        calibrated=True,
        category="category",
        reads=reads,
        layers=["interest states"],
        kinds=KINDS,
        rows_by_kind={"same category": cell(150, 150, 0.3, 0.31), "no history": cell(50, 50, 0.1, 0.12)},
        positions=positions,
        ages=[],
    )


def opened(browser: Any, runs: list[WholeRun], folder: Path, width: int = 1280) -> Any:
    file = folder / "page.html"
    file.write_text(whole_run_html(runs), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.locator(".rates canvas").first.wait_for()
    assert not errors
    return page


@pytest.mark.parametrize("turned", [False, True])
def test_runs_that_read_differently_stand_side_by_side_by_the_names_of_bands(
    browser: Any, tmp_path: Path, turned: bool
) -> None:
    short, long = of_run("short", 5, 0.3), of_run("long", 50)
    short = replace(
        short,
        positions=short.positions[1:],  # the first band is one that the other alone has
        rows_by_kind={"other": cell(200, 200, 0.25, 0.26)},  # and it has none of the other's kinds
    )
    page = opened(browser, [long, short] if turned else [short, long], tmp_path)
    assert "at most " in (about := page.locator("p").nth(0).inner_text())
    assert "5 by short" in about
    assert "50 by long" in about
    assert "These runs read different behaviours" in page.locator("main").inner_text()
    rows = page.locator("table").first.locator("tbody tr")
    kinds = [row.locator("th").inner_text() for row in rows.all()]
    assert kinds == ["the same category, not the item", "neither", "nothing"]
    page.locator("summary").click()
    table = page.locator("details table")
    head = table.locator("thead th").all_inner_texts()
    cells = {
        (found[0], found[1]): dict(zip(head, found, strict=True))
        for found in (row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all())
    }
    assert len(cells) == 2 * len(POSITIONS)
    for band, first in POSITIONS.items():
        found = cells[band, "other"]
        none = "\u2013"
        assert found["Score, long"] == f"{0.25 + first / 100:.3f}"
        assert found["Score, short"] == (f"{0.3 + first / 100:.3f}" if 1 < first <= 5 else none)
        assert found["Clicked, short"] == (f"{0.2 + first / 100:.3f}" if 1 < first <= 5 else none)
    said = page.locator(".rates [role=img]").first.get_attribute("aria-label")
    assert "11-15: clicked 31.0 %" in said
    assert "2: clicked 22.0 % (15.0 % to 31.1 %) of 100 rows, " in said
    page.close()


def test_a_click_rate_is_as_sure_as_its_rows_and_not_its_pairs(browser: Any, tmp_path: Path) -> None:
    run = of_run("run", 50)
    sure = replace(run.positions[0], cells={"other": cell(100_000, 2000, 0.5, 0.5)})
    few = replace(run.positions[1], cells={"other": cell(5000, 29, 0.5, 0.5)})
    page = opened(browser, [replace(run, positions=[sure, few])], tmp_path)
    said = page.locator(".rates [role=img]").first.get_attribute("aria-label")
    assert "1: clicked 50.0 % (47.8 % to 52.2 %) of 2,000 rows" in said
    assert "2:" not in said  # 29 rows say nothing, whatever their pairs
    assert "These runs read" not in page.locator("main").inner_text()
    page.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window_and_is_without_serious_faults_of_access(
    browser: Any, tmp_path: Path, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")
    text = whole_run_html([of_run("short", 5), of_run("long", 50)])
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, bypass_csp=True)
    page.goto(file.as_uri())
    page.locator(".rates canvas").first.wait_for()
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    assert not [
        (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
    ]
    page.close()
