"""The requests that the page shows are read, and are the same in both formats."""

import re
from dataclasses import fields as fields_of
from pathlib import Path

from dien.serving import ScoredFile
from dien.serving.features import Field
from dien.serving.requests import read_requests
from tests.docs.blocks import DOCS, blocks_of


def test_the_request_that_the_page_shows_is_the_same_in_json_lines_and_csv(tmp_path: Path) -> None:
    blocks = blocks_of(DOCS / "requests.md")
    fields = [Field("user", required=True), Field("history", depth=1, required=True)]
    fields += [Field("candidates", depth=1, required=True), Field("device")]
    tables = []
    for name, language in (("requests.jsonl", "json"), ("requests.csv", "csv")):
        text = next(block.text for block in blocks if block.language == language)
        (tmp_path / name).write_text(text, encoding="utf-8")
        tables.append(next(read_requests(tmp_path / name, fields)))
    assert tables[0].equals(tables[1])
    assert tables[0]["candidates"].to_list() == [["C-2", "D-9"]]


def test_the_page_lists_every_key_that_the_command_prints() -> None:
    text = (DOCS / "requests.md").read_text(encoding="utf-8").partition("## What is printed")[2]
    rows = [line for line in text.partition("## ")[0].splitlines() if line.startswith("| `")]
    listed = [key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(["scores", "seconds", *(field.name for field in fields_of(ScoredFile))])
