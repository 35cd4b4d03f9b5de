"""The requests that the page shows are read, and are the same in both formats."""

from pathlib import Path

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
