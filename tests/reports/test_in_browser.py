"""Pages in a browser: by keys alone, for a screen reader, on a narrow window, light and dark."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dien.data.inspection.distribution import Distribution
from dien.explain import ShownItem
from dien.reports.charts import Curve, Interval, histogram, intervals, legend, line_chart
from dien.reports.explanation_page import explanation_html
from dien.reports.parts import Bullets, Part, Row, Table, section
from dien.reports.rendering import report
from tests.explain.explanations import HOSTILE, explanation
from tests.explore.browser import chromium
from tests.reports.pages import NAME

NONE = "\u2013"
"""What a table has where there is no number."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def opened(
    browser: Any,
    text: str,
    folder: Path,
    *,
    charts: bool = True,
    width: int = 1280,
    dark: bool = False,
    **more: Any,
) -> Any:
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    scheme = "dark" if dark else "light"
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    page.goto(file.as_uri())
    page.locator("canvas" if charts else ".explanation").first.wait_for()
    page.wait_for_timeout(300)
    return page


def every_part() -> list[Part]:
    curves = [Curve(NAME, [[(1, 0.5), (2, 0.7)], [(1, 0.4), (2, 0.6)]]), Curve("right", [[(1, 0.1)]], None)]
    numbers = Distribution(6, 1.5, {}, (0, 1, 2), (1, 2, 3))
    charts = [
        legend(curves),
        line_chart(NAME, curves, "epoch"),
        intervals(NAME, [Interval(NAME, 0.2, 0.1, 0.4), Interval("b", 0.3, None, None)]),
        histogram(NAME, numbers),
    ]
    wide: list[str] = [f"column {k}" for k in range(40)]
    return [
        *section(NAME, NAME),
        Bullets([NAME]),
        Row([chart for chart in charts if chart is not None]),
        Table(["", *wide], [[NAME, *wide]]),
    ]


def test_keys_choose_candidates_and_behaviours_and_tables_have_every_number(
    browser: Any, tmp_path: Path
) -> None:
    shown = explanation()
    page = opened(browser, explanation_html(shown), tmp_path)
    candidates, history = page.get_by_role("listbox"), page.get_by_role("slider")
    candidates.focus()
    page.keyboard.press("End")
    assert candidates.get_by_role("option", selected=True).inner_text().startswith("Red lipstick no. 1002")
    history.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    said = history.get_attribute("aria-valuetext")
    assert said.startswith("29 of 30, Red lipstick no. 28, ")
    influence = f"{shown.candidates[2].influence[28]:+.3f}".replace("-", "\u2212")
    assert f"influence {influence}" in said
    assert influence in page.locator(".detail").inner_text()
    page.keyboard.press("Home")
    assert history.get_attribute("aria-valuenow") == "1"
    page.keyboard.press("Escape")
    assert page.locator(".strips .pointer").is_hidden()

    page.locator("summary").focus()
    page.keyboard.press("Enter")
    rows = page.locator(".numbers table").last.locator("tbody tr")
    rows.nth(29).wait_for()
    cells = [rows.nth(28).locator("th, td").nth(k).inner_text() for k in range(6)]
    assert cells[:2] == ["29", "Red lipstick no. 28"]
    assert cells[-1] == f"{shown.candidates[2].influence[28]:+.4f}".replace("-", "\u2212")
    page.close()


def test_a_click_keeps_a_behaviour_in_all_charts_and_a_sentence_leads_to_it(
    browser: Any, tmp_path: Path
) -> None:
    page = opened(browser, explanation_html(explanation()), tmp_path)
    box = page.locator(".strips").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.move(0, 0)
    history = page.get_by_role("slider")
    chosen = int(history.get_attribute("aria-valuenow"))
    assert 10 <= chosen <= 20
    assert page.locator(".strips .pointer").is_visible()
    assert page.locator(".square .pointer").is_visible()
    page.get_by_role("button", name="Show them in the history").click()
    assert history.get_attribute("aria-valuenow") == "30"
    assert page.title() == "What decided the scores of user U-1"  # no name was taken for a script
    page.close()


def test_what_is_not_read_as_a_sequence_has_no_numbers_and_no_points(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, explanation_html(explanation(300, reads=50)), tmp_path)
    assert (
        "As a sequence the model reads the newest 50; matches are counted over all 300; "
        "it reads 7 older ones not at all." in page.locator(".along").inner_text()
    )
    history = page.get_by_role("slider")
    history.focus()
    page.keyboard.press("Home")
    said = history.get_attribute("aria-valuetext")
    assert "not read as a sequence" in said
    assert "influence" in said
    assert "attention" not in said
    names = page.locator(".detail dt").all_inner_texts()
    assert names == ["influence"]
    assert page.locator(".square .pointer").is_hidden()
    page.keyboard.press("End")
    assert "attention over interest states" in history.get_attribute("aria-valuetext")
    assert {"update gate", "influence of its item"} < {*page.locator(".detail dt").all_inner_texts()}
    assert page.locator(".square .pointer").is_visible()
    page.locator("summary").click()
    rows = page.locator(".numbers table").last.locator("tbody tr")
    rows.nth(299).wait_for()
    cells = rows.first.locator("td, th").all_inner_texts()
    assert cells[-6:] == [NONE] * 6  # gate, both axes, guess and its place, and attention before them
    assert NONE not in rows.nth(298).locator("td, th").all_inner_texts()[-6:]
    page.close()


def test_scores_that_differ_are_not_written_alike(browser: Any, tmp_path: Path) -> None:
    shown = explanation(candidates=2)
    scores = (0.99996, 0.0)
    changed = [replace(one, score=score) for one, score in zip(shown.candidates, scores, strict=True)]
    assert shown.flip is not None
    flip = replace(shown.flip, after=(0.46509, 0.46512))
    page = opened(browser, explanation_html(replace(shown, candidates=changed, flip=flip)), tmp_path)
    assert page.locator(".candidates .score").all_inner_texts() == ["0.999960", "0"]
    assert "0.465120 against 0.465090" in page.locator(".said").inner_text()
    page.close()


def test_hostile_names_under_the_pointer_are_text(browser: Any, tmp_path: Path) -> None:
    shown, name = explanation(), HOSTILE[1]
    item = ShownItem(id="x", name=name)
    candidates = [
        replace(one, item=item, runs=[replace(run, name=name) for run in one.runs])
        for one in shown.candidates
    ]
    history = [replace(one, item=item) for one in shown.history]
    shown = replace(shown, candidates=candidates, history=history)
    page = opened(browser, explanation_html(shown), tmp_path)
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert name in page.locator(".detail").inner_text()
    paths, point = page.locator(".square"), page.locator(".square .pointer")
    point.scroll_into_view_if_needed()
    point_over(page, point)
    paths.get_by_text(f"after 2: {name}", exact=True).wait_for()
    runs = page.locator("section:has(> h2:text-is('Runs of behaviours'))")
    chart = runs.locator("canvas")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    told = runs.get_by_text(name, exact=True)
    for across in range(int(min(190, 0.42 * box["width"])), int(box["width"]), 8):
        page.mouse.move(box["x"] + across, box["y"] + 14)
        page.wait_for_timeout(30)
        if told.is_visible():
            break
    assert told.is_visible()
    assert page.locator("main img").count() == 0
    assert page.title() == "What decided the scores of user U-1"
    page.close()


def point_over(page: Any, mark: Any) -> None:
    box = mark.bounding_box()
    page.mouse.move(box["x"] - 20, box["y"] - 20)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("which", ["report", "explanation", "empty"])
def test_each_page_fits_its_window_and_is_without_serious_faults_of_access(
    browser: Any, tmp_path: Path, which: str, width: int, dark: bool
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")
    shown = explanation(0 if which == "empty" else 30, user=HOSTILE[0])
    text = report(NAME, every_part()) if which == "report" else explanation_html(shown)
    page = opened(browser, text, tmp_path, charts=which != "empty", width=width, dark=dark, bypass_csp=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (
        int(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")) < 60
    ) == dark
    for summary in page.locator("summary").all():
        summary.click()
    page.wait_for_timeout(200)
    found = axe.Axe().run(page).response["violations"]
    assert not [
        (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
    ]
    page.close()


def test_a_script_in_a_page_that_is_not_its_own_does_not_run(browser: Any, tmp_path: Path) -> None:
    text = explanation_html(explanation()).replace(
        "<main>", "<main><script>document.title = 'taken'</script>"
    )
    page = opened(browser, text, tmp_path)
    assert page.title() != "taken"
    page.close()
