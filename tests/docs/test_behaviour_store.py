"""The page on the behaviour store, run block by block, and its bytes of a behaviour."""

import re
from pathlib import Path

import pytest

from tests.cli.running import ok
from tests.docs.blocks import DOCS, run_blocks

PAGE = DOCS / "behaviour-store.md"


def test_the_page_fills_a_store_and_uses_it_and_a_behaviour_takes_the_bytes_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(PAGE, tmp_path)
    again = ok("store", "load", "data/synthetic", "--store", "lmdb:stores/synthetic")
    assert (again["added"], again["duplicates"]) == (0, again["behaviours"])
    said = re.search(r"([\d.]+) bytes a behaviour", PAGE.read_text(encoding="utf-8"))
    assert said is not None
    assert round(again["bytes_each"], 1) == float(said[1])
