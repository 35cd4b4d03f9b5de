"""The page for contributors shows the example model as it is tested."""

from tests.docs.blocks import DOCS, blocks_of


def test_the_model_that_the_page_shows_is_the_one_that_is_tested() -> None:
    (shown,) = (block.text for block in blocks_of(DOCS / "contributing.md") if block.language == "python")
    tested = DOCS.parent / "tests/models/example_model.py"
    assert shown == tested.read_text(encoding="utf-8")
