"""The page on export: its commands run, and its tables list what is written."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, run_blocks

PAGE = DOCS / "export.md"


def listed(heading: str) -> set[str]:
    """Names in the first column of the first table after a line."""
    table = PAGE.read_text(encoding="utf-8").partition(heading)[2].partition("\n| ")[2].partition("\n\n")[0]
    return {name for row in table.splitlines() for name in re.findall(r"`([\w.]+)`", row.split("|")[1])}


def test_the_commands_run_and_the_page_lists_every_key_and_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(PAGE, tmp_path)
    said = json.loads((tmp_path / "exported/synthetic/preprocessing.json").read_text(encoding="utf-8"))
    assert set(said) == listed("## preprocessing.json") - {"popularity"}
    inputs = {re.sub(r"^(behaviour|context)\..*", r"\1.NAME", name) for name in said["inputs"]}
    assert inputs <= listed("## The graph")
    assert set(said["outputs"]) <= {"click", "conversion"}
