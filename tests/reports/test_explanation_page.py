"""The page of an explanation: whole, of one file, and safe whatever items are called."""

import subprocess
from pathlib import Path

import pytest
from msgspec import json, to_builtins
from msgspec.structs import replace

from dien.reports.explanation_page import explanation_html
from tests.explain.explanations import HOSTILE, explanation
from tests.explore.browser import executable
from tests.reports.pages import Page, assert_needs_nothing

BROWSER = executable()


def test_the_page_has_the_explanation_and_needs_nothing_from_elsewhere() -> None:
    shown = explanation()
    text = explanation_html(shown)
    assert_needs_nothing(text)
    ((kind, data),) = Page(text).charts
    assert kind == "explanation"
    expected = to_builtins(shown)
    assert data["history"] == expected["history"]
    assert data["flip"] == json.decode(json.encode(expected["flip"]))
    influence = data["candidates"][0]["influence"]
    assert influence == pytest.approx(expected["candidates"][0]["influence"], rel=1e-5)


@pytest.mark.parametrize("user", HOSTILE)
def test_a_hostile_user_or_item_is_text(user: str) -> None:
    text = explanation_html(explanation(user=user))
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"img", "b", "i"} & set(tags)
    assert (tags.count("script"), len(page.scripts)) == (2, 1)
    assert any(user in one for one in page.texts)


def test_a_score_near_one_is_not_rounded_to_it_and_what_is_not_read_is_not_zero() -> None:
    shown = explanation(reads=10)
    candidates = [replace(one, score=0.99999987) for one in shown.candidates]
    ((_, data),) = Page(explanation_html(replace(shown, candidates=candidates))).charts
    first = data["candidates"][0]
    assert first["score"] == 0.99999987
    for values in (*first["attention"].values(), *first["features"].values(), first["gate"], first["path"]):
        assert values[:20] == [None] * 20
        assert None not in values[20:]


def test_what_is_not_known_is_not_said() -> None:
    said = " ".join(Page(explanation_html(explanation(user=None, timed=False))).texts)
    assert "of user" not in said
    assert "Scored as of" not in said
    assert "Scored as of 2024-03-01 12:00." in explanation_html(explanation())


def test_a_long_page_of_many_candidates_stays_within_ten_megabytes() -> None:
    assert len(explanation_html(explanation(1000, 50)).encode()) < 10_000_000


@pytest.mark.skipif(BROWSER is None, reason="chromium")
@pytest.mark.parametrize(
    ("made", "charts"),
    [
        ({}, 3),
        ({"evolving": False}, 2),
        ({"evolving": False, "attention": False, "timed": False, "named": False}, 2),
        ({"length": 0}, 0),
        ({"length": 1, "candidates": 1}, 3),
    ],
)
def test_a_browser_draws_it_and_runs_no_script_of_strangers(
    tmp_path: Path, made: dict[str, int], charts: int
) -> None:
    shown = explanation(**made)  # type: ignore[arg-type]
    page = tmp_path / "page.html"
    page.write_text(explanation_html(shown), encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", page.as_uri()]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = Page(drawn)
    assert found.texts[0] != "taken"
    assert "<title>What decided the scores of user U-1</title>" in drawn
    options = [attributes for _, attributes in found.tags if attributes.get("role") == "option"]
    assert len(options) == len(shown.candidates)
    assert sum(tag == "canvas" for tag, _ in found.tags) == charts
