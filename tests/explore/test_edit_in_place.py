"""An edit from within an explanation leaves the reader where they were."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.explore.browser import chromium, page_at, settled
from tests.explore.explored import LONG


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def edited(page: Any, key: str) -> None:
    """Press a key that edits the history, and wait for what is then explained."""
    with page.expect_response("**/api/explain"):
        page.keyboard.press(key)
    page.wait_for_function("() => document.querySelectorAll('.view[aria-busy=true]').length === 0")
    settled(page)


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.className || document.activeElement.tagName"))


def test_delete_leaves_the_focus_at_the_neighbour_and_tables_open(browser: Any, address: str) -> None:
    with page_at(browser, f"{address}#user=u-3") as page:
        view = page.locator(".view").first
        view.locator("summary").click()
        history = view.get_by_role("slider")
        history.focus()
        for key in ("End", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
        before = int(history.get_attribute("aria-valuemax"))
        page.keyboard.press("ArrowRight")
        neighbour = history.get_attribute("aria-valuetext").split(", ")[1:3]
        page.keyboard.press("ArrowLeft")
        edited(page, "Delete")
        assert focused(page) == "strips"
        history = view.get_by_role("slider")
        assert int(history.get_attribute("aria-valuemax")) == before - 1
        assert history.get_attribute("aria-valuenow") == str(before - 2)
        assert history.get_attribute("aria-valuetext").split(", ")[1:3] == neighbour
        view.locator(".numbers tbody tr").first.wait_for()
        edited(page, "Delete")  # and goes on from there
        assert int(view.get_by_role("slider").get_attribute("aria-valuemax")) == before - 2
        assert focused(page) == "strips"

        view.get_by_role("button", name="Remove from the history").focus()
        edited(page, "Enter")
        assert focused(page) == "strips"

        choice = view.get_by_label("Scales")
        choice.select_option(label="the same for all")
        choice.focus()
        with page.expect_response("**/api/explain"):
            page.evaluate(
                "[...document.querySelectorAll('.behaviours li:nth-child(4) button')].at(-1).click()"
            )
        settled(page)
        assert view.get_by_role("slider").get_attribute("aria-valuemax") == str(before - 4)
        assert focused(page) == "SELECT"
        assert view.get_by_label("Scales").locator("option:checked").inner_text() == "the same for all"


def test_the_window_of_a_long_history_stays_where_it_was(browser: Any, address: str) -> None:
    with page_at(browser, f"{address}#user={LONG}") as page:
        history = page.locator(".view").first.get_by_role("slider")
        history.focus()
        for key in ("Home", "PageUp", "PageUp"):
            page.keyboard.press(key)
        pointer = page.locator(".view").first.locator(".strips .pointer")
        x = pointer.bounding_box()["x"]
        said = history.get_attribute("aria-valuetext").split(", ")[1:3]
        page.keyboard.press("ArrowRight")
        edited(page, "Delete")
        history = page.locator(".view").first.get_by_role("slider")
        history.focus()
        page.keyboard.press("ArrowLeft")
        assert history.get_attribute("aria-valuetext").split(", ")[1:3] == said
        assert page.locator(".view").first.locator(".strips .pointer").bounding_box()["x"] == pytest.approx(
            x, abs=8
        )


def test_a_history_that_was_emptied_is_without_serious_faults_of_access(browser: Any, address: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")
    with page_at(browser, f"{address}#user=u-3") as page:
        buttons = page.locator(".behaviours li").get_by_role("button", name="Remove")
        while (left := buttons.count()) > 1:
            buttons.nth(left - 1).click()
        page.wait_for_function("() => document.querySelector('.view [role=slider]').ariaValueMax === '1'")
        settled(page)
        history = page.locator(".view").first.get_by_role("slider")
        assert history.get_attribute("aria-valuemax") == "1"
        history.focus()
        page.keyboard.press("Home")
        edited(page, "Delete")
        assert page.get_by_role("slider").count() == 0
        assert focused(page) == "SUMMARY"
        found = axe.Axe().run(page).response["violations"]
        assert not [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
