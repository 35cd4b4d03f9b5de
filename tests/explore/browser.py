"""Chromium, driven by Playwright; tests that need it are skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def executable() -> str | None:
    """Find the browser on this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser, or skip the tests."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    found = executable()
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def page_at(browser: Any, url: str, *, width: int = 1300, dark: bool = False) -> Iterator[Any]:
    """Open a page in a fresh window, once it shows scores; errors of its scripts fail the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        accept_downloads=True,
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    settled(page)
    yield page
    context.close()
    assert not errors


def slowness(browser: Any) -> float:
    """Say how many times slower a loop is here than where limits of milliseconds were set; 1 at least."""
    page = browser.new_page()
    loop = """() => {
        const began = performance.now()
        let sum = 0
        for (let k = 0; k < 2e7; k++) sum += Math.sqrt(k % 1000)
        return sum ? performance.now() - began : 0
    }"""
    found = min(page.evaluate(loop) for _ in range(5))
    page.close()
    return max(1.0, float(found) / 55)  # 54 ms there


@contextmanager
def tasks_of(browser: Any, script: str) -> Iterator[list[float]]:
    """Keep the milliseconds that each task of pages with a script keeps its thread busy.

    It is time of the processor: how long a task takes on a busy machine says more of the machine.
    """
    session = browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    ended: list[Any] = []
    found: list[float] = []
    session.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda data: ended.append(data))
    chosen = {"includedCategories": ["toplevel", "devtools.timeline"]}
    session.send("Tracing.start", {"traceConfig": chosen, "transferMode": "ReportEvents"})
    yield found
    session.send("Tracing.end")
    waiting = browser.new_context()
    page = waiting.new_page()
    while not ended:
        page.wait_for_timeout(50)
    waiting.close()
    ours = {
        event["pid"]
        for event in events
        if event["name"] == "EvaluateScript" and event["args"]["data"]["url"].endswith(script)
    }
    found.extend(
        event["tdur"] / 1000
        for event in events
        if "RunTask" in event["name"] and event["pid"] in ours and "tdur" in event
    )


def settled(page: Any) -> None:
    """Wait until scores and explanations are those of what is shown."""
    page.wait_for_function(
        "() => document.querySelector('.rates canvas') || "
        "(document.querySelector('.scores') && !document.querySelector('#explore [aria-busy=true]'))"
    )


def scores(page: Any, run: int = 0) -> list[float]:
    """Read the scores of candidates, as the table has them."""
    rows = page.locator(".scores tbody tr").all()
    return [float(row.locator("td.score").nth(run).get_attribute("data-value")) for row in rows]
