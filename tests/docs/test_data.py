"""What the page on your own data says of the schema."""

import re

import yaml

from dien.data.features import KINDS
from dien.data.sources.table import TableSpec
from tests.docs.blocks import DOCS, blocks_of

PAGE = DOCS / "data.md"


def test_every_schema_that_the_page_shows_is_one() -> None:
    shown = [block.text for block in blocks_of(PAGE) if block.language == "yaml"]
    assert shown
    specs = [TableSpec.model_validate(yaml.safe_load(text)) for text in shown]
    assert any(spec.interactions.labelled for spec in specs)


def test_the_page_lists_the_options_of_every_kind_of_feature() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| key | for | meaning |") : text.index('"ids" means')]
    listed = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    options = {field.alias or key for kind in KINDS.values() for key, field in kind.model_fields.items()}
    assert set(listed) == options - {"side"} | {"kind"}
