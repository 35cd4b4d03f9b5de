"""The explorer in a browser: what a person does, with a pointer or with keys alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dien.explore.explorer import Explorer
from dien.serving import Scorer
from tests.explore.browser import chromium, page_at, scores, settled, slowness, tasks_of
from tests.explore.explored import HOSTILE, LONG, served

USER = "u-3"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def one_run(explored_runs: list[Path]) -> Iterator[str]:
    """Where DIEN alone is served."""
    with served(Explorer(explored_runs[:1])) as url:
        yield url


def by_hand(run: Path, explorer: Explorer, user: str, out: tuple[int, ...] = ()) -> list[float]:
    """Scores of a user's newest impression without the behaviours of some places."""
    logged = explorer.user(user).logged
    kept = [k for k in range(len(logged.history)) if k not in out]
    assert logged.times is not None
    return (
        Scorer.load(run)
        .score(
            user,
            [logged.history[k] for k in kept],
            list(dict.fromkeys(logged.candidates)),
            times=[logged.times[k] for k in kept],
            time=logged.time,
            context=logged.context,
        )
        .tolist()
    )


def test_a_user_is_searched_and_a_dropped_behaviour_changes_the_scores_to_the_scorers(
    browser: Any, address: str, explored_runs: list[Path], explorer: Explorer
) -> None:
    with page_at(browser, address) as page:
        page.get_by_role("combobox", name="User").fill(USER)
        page.keyboard.press("Enter")
        page.wait_for_function(f"() => location.hash.includes('user={USER}&')")
        settled(page)
        for run, path in enumerate(explored_runs):
            assert scores(page, run) == pytest.approx(by_hand(path, explorer, USER), abs=1e-12)
        last = len(explorer.user(USER).logged.history) - 1
        page.locator(".behaviours li").nth(1).get_by_role("button", name="Remove").click()
        settled(page)
        for run, path in enumerate(explored_runs):
            assert scores(page, run) == pytest.approx(by_hand(path, explorer, USER, (last - 1,)), abs=1e-12)
        assert "1 removed" in page.locator(".state").inner_text()
        link = page.url
        page.locator(".behaviours li").nth(1).get_by_role("button", name="Put back").click()
        settled(page)
        assert scores(page) == pytest.approx(by_hand(explored_runs[0], explorer, USER), abs=1e-12)
    with page_at(browser, link) as page:  # what was sent to somebody else
        assert page.locator(".behaviours li.removed").count() == 1
        assert scores(page) == pytest.approx(
            by_hand(explored_runs[0], explorer, USER, (last - 1,)), abs=1e-12
        )


def test_everything_is_done_by_keys_alone(
    browser: Any, one_run: str, explored_runs: list[Path], explorer: Explorer
) -> None:
    logged = explorer.user(USER).logged
    last = len(logged.history) - 1
    with page_at(browser, f"{one_run}#user={USER}") as page:
        page.keyboard.press("Tab")
        for _ in range(30):
            if page.evaluate("document.activeElement.closest('.behaviours') !== null"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Delete")
        settled(page)
        assert scores(page) == pytest.approx(
            by_hand(explored_runs[0], explorer, USER, (last - 1,)), abs=1e-12
        )
        page.keyboard.press("Delete")
        names = page.locator(".behaviours .name").all_inner_texts()
        page.keyboard.press("Alt+ArrowUp")
        settled(page)
        assert page.locator(".behaviours .name").all_inner_texts() == [names[1], names[0], *names[2:]]
        assert "reordered" in page.locator(".state").inner_text()
        for _ in range(10):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('.scores') !== null"):
                break
        page.keyboard.press("ArrowDown")
        assert page.locator(".scores .chosen").count() == 1
        name = page.locator(".scores .chosen .name").inner_text()
        assert page.locator(".scores tr").nth(2).locator(".name").inner_text() == name
        page.wait_for_function(
            "name => document.querySelector('.view .summary').textContent.startsWith(name)", arg=name
        )


def test_a_behaviour_is_dragged_and_an_item_is_added(browser: Any, one_run: str) -> None:
    with page_at(browser, f"{one_run}#user={USER}") as page:
        rows = page.locator(".behaviours li")
        names = page.locator(".behaviours .name").all_inner_texts()
        times = [text[-16:] for text in page.locator(".behaviours .features").all_inner_texts()]
        assert times == sorted(times, reverse=True)
        rows.nth(0).drag_to(rows.nth(2), target_position={"x": 30, "y": 40})
        settled(page)
        assert page.locator(".behaviours .name").all_inner_texts()[:3] == [names[1], names[2], names[0]]
        assert [text[-16:] for text in page.locator(".behaviours .features").all_inner_texts()] == times
        box = page.get_by_role("combobox", name="Add a behaviour")
        box.fill("soap no. 17")
        page.get_by_role("option", name="Soap no. 17").click()
        settled(page)
        assert page.locator(".behaviours .name").first.inner_text() == "Soap no. 17"
        assert "1 added, reordered" in page.locator(".state").inner_text()
        page.get_by_role("button", name="As the log has it").click()
        settled(page)
        assert page.locator(".behaviours .name").all_inner_texts() == names


def test_hostile_names_are_shown_as_text(browser: Any, address: str) -> None:
    with page_at(browser, f"{address}#user={USER}&candidates=i1,i2&history=%2Bi1,0-5") as page:
        assert page.locator(".scores .name").first.inner_text() == HOSTILE
        assert HOSTILE in page.locator(".behaviours .name").all_inner_texts()
        page.get_by_role("combobox", name="Add a candidate").fill("<img")
        page.get_by_role("option", name="<img").wait_for()
        assert page.get_by_role("option").locator(".name").all_inner_texts() == [HOSTILE]
        pointed = set()
        for chart in page.locator(".view canvas").all():
            chart.scroll_into_view_if_needed()
            box = chart.bounding_box()
            for x in range(70, int(box["width"]), 25):
                page.mouse.move(box["x"] + x, box["y"] + min(60, box["height"] / 2))
            pointed |= set(page.locator(".detail").all_inner_texts())
        page.locator(".behaviours .pick").last.click()
        pointed |= set(page.locator(".detail").all_inner_texts())
        assert any(HOSTILE in one for one in pointed)
        assert page.title() != "taken"
        assert page.locator("img").count() == 0


def test_a_refusal_is_said_in_words(browser: Any, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}#user=nobody")
        page.get_by_role("alert").wait_for()
        assert "no user 'nobody'; search for another" in page.get_by_role("alert").inner_text()


def test_what_went_wrong_is_said_until_that_itself_goes_well(browser: Any, one_run: str) -> None:
    with page_at(browser, f"{one_run}#user={USER}") as page:
        page.route("**/api/explain", lambda route: route.fulfill(status=500, json={"error": "no luck"}))
        page.locator(".behaviours li").nth(1).get_by_role("button", name="Remove").click()
        settled(page)
        assert page.get_by_role("alert").inner_text() == "no luck"
        page.get_by_role("combobox", name="Add a candidate").fill("i5")
        page.get_by_role("option").first.click()
        settled(page)
        assert page.get_by_role("alert").inner_text() == "no luck"
        assert page.locator(".view").inner_text() == "There is no explanation."
        page.unroute("**/api/explain")
        page.locator(".behaviours li").nth(1).get_by_role("button", name="Put back").click()
        settled(page)
        assert page.locator("#problem").is_hidden()
        assert page.locator(".view canvas").count() > 1


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(browser: Any, one_run: str) -> None:
    with page_at(browser, f"{one_run}#user={USER}") as page:
        held: list[Any] = []
        page.route("**/api/user?id=u-4", lambda route: held.append(route))
        search = page.get_by_role("combobox", name="User")
        for user in ("u-4", "u-5"):
            search.fill(user)
            page.get_by_role("option", name=f"{user} ").first.click()
        page.wait_for_function("() => location.hash.includes('user=u-5&')")
        settled(page)
        with page.expect_response("**/api/user?id=u-4"):
            held[0].continue_()
        page.wait_for_timeout(100)
        assert search.input_value() == "u-5"
        assert "user=u-5&" in page.url
        settled(page)


def test_to_delete_twice_before_the_answer_comes_does_not_put_a_behaviour_back(
    browser: Any, one_run: str
) -> None:
    with page_at(browser, f"{one_run}#user={USER}") as page:
        held: list[Any] = []
        page.route("**/api/explain", lambda route: held.append(route))
        page.get_by_role("slider").focus()
        for key in ("End", "Delete", "Delete"):
            page.keyboard.press(key)
        assert page.locator(".behaviours li.removed").count() == 1
        page.wait_for_timeout(300)
        (route,) = held
        route.continue_()
        settled(page)
        assert page.locator(".behaviours li.removed").count() == 1


def test_enter_after_a_search_that_failed_chooses_nothing_of_a_later_one(browser: Any, one_run: str) -> None:
    with page_at(browser, f"{one_run}#user={USER}") as page:
        page.route("**/api/users?q=u-4", lambda route: route.fulfill(status=500, json={"error": "no luck"}))
        search = page.get_by_role("combobox", name="User")
        search.fill("u-4")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        search.fill("u-5")
        page.get_by_role("option").first.wait_for()
        assert page.locator("#problem").is_hidden()
        assert f"user={USER}&" in page.url


def test_of_many_candidates_the_chosen_one_and_the_best_are_explained(browser: Any, one_run: str) -> None:
    ids = [f"i{k}" for k in range(60)]
    with page_at(browser, f"{one_run}#user={USER}&candidates={','.join(ids)}&candidate=i9") as page:
        assert "50 of 60 candidates" in page.locator(".bound").inner_text()
        found = dict(zip(ids, scores(page), strict=True))
        worst = min(found, key=lambda one: found[one])
        with page.expect_request("**/api/explain") as asked:
            page.locator(".scores tbody tr").nth(ids.index(worst)).locator(".pick").click()
        settled(page)
        explained = asked.value.post_data_json["candidates"]
        best = sorted((one for one in ids if one != worst), key=lambda one: -found[one])[:49]
        assert explained == [one for one in ids if one in {worst, *best}]
        name = page.locator(".scores .chosen .name").inner_text()
        assert page.locator(".view .summary").inner_text().startswith(name)


def test_a_thousand_behaviours_and_fifty_candidates_keep_the_page_at_hand(browser: Any, one_run: str) -> None:
    candidates = ",".join(f"i{k}" for k in range(50))
    with (
        tasks_of(browser, "explore.js") as tasks,
        page_at(browser, f"{one_run}#user={LONG}&candidates={candidates}") as page,
    ):
        assert page.locator(".behaviours li").count() > 900
        assert page.locator(".scores tbody tr").count() == 50
        page.locator(".behaviours li").nth(3).get_by_role("button", name="Remove").click()
        settled(page)
        page.locator(".scores .pick").nth(7).click()
        page.wait_for_timeout(300)
    assert len(tasks) > 100
    assert max(tasks) < 200 * slowness(browser)


def test_the_page_to_keep_is_saved(browser: Any, one_run: str) -> None:
    with page_at(browser, f"{one_run}#user={quote(USER)}") as page:
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save as a page").click()
        text = Path(waiting.value.path()).read_text()
        assert text.startswith("<!DOCTYPE html>")
        assert f"of user {USER}" in text


@pytest.mark.parametrize(
    ("view", "dark", "width"),
    [("", False, 1300), ("", True, 360), ("whole", True, 1300), ("whole", False, 360)],
)
def test_each_view_fits_its_window_and_is_without_serious_faults_of_access(
    browser: Any, address: str, view: str, dark: bool, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")
    with page_at(browser, f"{address}{view}#user={USER}", width=width, dark=dark) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(shade) < 60) == dark
        if not view:
            page.locator(".view canvas").nth(3).wait_for()
            page.get_by_role("combobox", name="Add a candidate").focus()
            page.get_by_role("option").first.wait_for()
        found = axe.Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert not serious
