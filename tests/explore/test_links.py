"""Links to what the explorer shows: who opens one sees what its maker saw, or is told what is otherwise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dien.explore.explorer import Explorer
from tests.explore.browser import chromium, page_at, scores, settled
from tests.explore.explored import LONG, served

USER = "u-3"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def narrow(explored_runs: list[Path]) -> Iterator[str]:
    """Where DIEN is served, as if it looked at 30 behaviours alone."""
    explorer = Explorer(explored_runs[:1])
    explorer._most = 30
    with served(explorer) as url:
        yield url


def notes(page: Any) -> str:
    return " ".join(page.locator(".notes p").all_inner_texts())


def test_a_link_in_an_open_tab_is_followed_and_the_other_view_keeps_it(browser: Any, address: str) -> None:
    with page_at(browser, f"{address}#user={USER}") as page:
        settled(page)
        made = page.url.replace(f"user={USER}", "user=u-5").split("&")[0]
        with page.expect_navigation(wait_until="load", url="**user=u-5**"):
            page.evaluate("hash => { location.hash = hash }", made.partition("#")[2])
        page.wait_for_function("() => document.querySelector('[role=combobox]')?.value === 'u-5'")
        settled(page)
        page.locator(".behaviours li").nth(1).get_by_role("button", name="Remove").click()
        settled(page)
        before = page.url
        page.get_by_role("link", name="The whole run").click()
        settled(page)
        page.get_by_role("link", name="One user").click()
        page.locator(".behaviours li.removed").wait_for()
        settled(page)
        assert page.url == before
        assert page.locator(".behaviours li.removed").count() == 1


def test_that_a_link_was_made_of_other_runs_is_said_as_long_as_it_is_shown(
    browser: Any, address: str
) -> None:
    with page_at(browser, f"{address}#user={USER}&runs=other,%25") as page:
        page.locator(".behaviours li").nth(1).get_by_role("button", name="Remove").click()
        settled(page)
        assert "This link was made of other" in notes(page)
        page.get_by_role("button", name="As the log has it").click()
        settled(page)
        assert notes(page) == ""


def test_what_a_link_changes_of_another_impression_is_not_taken_over(browser: Any, address: str) -> None:
    with page_at(browser, f"{address}#user={USER}&of=test.12.3&history=0-1,~2&candidates=i1") as page:
        assert "made of another impression" in notes(page)
        assert page.locator(".behaviours li.removed").count() == 0
        assert page.locator(".state").inner_text() == "The history as the log has it."


def test_a_link_made_where_fewer_behaviours_are_looked_at_shows_the_same_history(
    browser: Any, address: str, narrow: str
) -> None:
    with page_at(browser, f"{narrow}#user={LONG}") as page:
        page.locator(".behaviours li").nth(4).get_by_role("button", name="Remove").click()
        settled(page)
        found, link = scores(page), page.url.partition("#")[2]
    with page_at(browser, f"{address}#{link}") as page:
        rows, out = page.locator(".behaviours li").count(), page.locator(".behaviours li.removed").count()
        assert rows - out == 29
        assert f"does not name {rows - 30} behaviours" in notes(page)
        assert scores(page) == pytest.approx(found, abs=1e-12)
        link = page.url.partition("#")[2]
    with page_at(browser, f"{narrow}#{link}") as page:
        assert f"{rows - 30} older behaviours" in notes(page)
        assert page.locator(".behaviours li").count() == 30
        assert scores(page) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("candidates=i1,i1,i2", "some candidates more than once"),
        ("candidates=i1,%25", "The link's candidates cannot be read: %."),
        ("candidates=i1,nothing", "The log does not know nothing"),
        ("candidates=i1&candidate=i7", "candidate i7 is not among the candidates"),
        ("history=1.5,0-2", "what this user's log does not: 1.5."),
        ("history=2-1,0-999999999999,%2Bi1", "2-1, 0-999999999999."),
        ("history=0,0-2,%2B%25", "1 behaviour more than once"),
    ],
)
def test_what_does_not_fit_in_a_link_is_said(browser: Any, narrow: str, link: str, says: str) -> None:
    with page_at(browser, f"{narrow}#user={USER}&{link}") as page:
        assert says in notes(page)
        assert scores(page)
        assert page.get_by_role("button", name="As the log has it").is_visible()


def test_without_candidates_nothing_is_explained_until_one_is_added(browser: Any, narrow: str) -> None:
    with page_at(browser, f"{narrow}#user={USER}&candidates=,") as page:
        assert page.locator(".view").inner_text().startswith("There are no candidates.")
        page.get_by_role("combobox", name="Add a candidate").fill("i5")
        page.get_by_role("option").first.click()
        settled(page)
        assert len(scores(page)) == 1
        assert page.locator(".view canvas").count() > 1
        page.locator(".scores .out").click()
        settled(page)
        assert page.locator(".view").inner_text().startswith("There are no candidates.")
