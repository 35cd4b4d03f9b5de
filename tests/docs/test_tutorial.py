"""The tutorial, run block by block."""

import json
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, blocks_of, run_blocks


def fewer_users(text: str) -> str:
    """Make the log of the page a third as long; the rest is as a reader has it."""
    assert text.count("for user in range(500):") == 1
    return text.replace("for user in range(500):", "for user in range(150):")


def test_the_tutorial_leads_from_a_click_log_to_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "tutorial.md"
    page.write_text(fewer_users((DOCS / "tutorial.md").read_text(encoding="utf-8")), encoding="utf-8")
    run_blocks(page, tmp_path)
    scores = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [line["user"] for line in scores] == ["user-7", "somebody-new"]
    assert [len(line["scores"]) for line in scores] == [3, 2]
    results = [
        json.loads((tmp_path / f"runs/{run}/result.json").read_text()) for run in ("shop", "shop-sum-pooling")
    ]
    assert results[0]["valid_auc"] > results[1]["valid_auc"]
    assert all(0.5 < result["valid_auc"] < 1 for result in results)
    assert (tmp_path / "shop.html").stat().st_size > 0
    (shown,) = (block.text for block in blocks_of(DOCS / "tutorial.md") if block.language == "csv")
    assert (tmp_path / "clicks.csv").read_text().startswith(shown)
