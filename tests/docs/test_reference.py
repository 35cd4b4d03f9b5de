"""The reference pages: complete, and their examples are right."""

import importlib
import re
from pathlib import Path

import pytest

from dien.models import models
from tests.docs.blocks import DOCS, blocks_of, run_blocks

PAGES = {
    "library": "dien",
    "layers": "dien.layers",
    "models": "dien.models",
    "ops": "dien.ops",
    "serving": "dien.serving",
    "training": "dien.training",
}
# On the page of dien, types without a docstring of their own, and what stands there by its file.
ELSEWHERE = {
    "dien.models": {"DIEN", "DIENConfig", "Activation", "Widths", "Space", "SHARED", "POOLED"},
    "dien.serving": {"Scorer"},
    "dien.training": {"evaluate", "fit"},
}
ENTRY = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def entries_of(page: str) -> list[str]:
    return ENTRY.findall((DOCS / f"reference/{page}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("page", "module"), PAGES.items())
def test_a_reference_page_has_an_entry_for_every_public_name_and_no_other(page: str, module: str) -> None:
    public = set(importlib.import_module(module).__all__) - ELSEWHERE.get(module, set())
    entries = [entry for entry in entries_of(page) if entry.rpartition(".")[0] == module]
    assert sorted(entries) == sorted(f"{module}.{name}" for name in public)


def test_every_registered_model_has_an_entry() -> None:
    expected = {f"{found.model.__module__}.{found.model.__qualname__}" for found in models().values()}
    assert expected - set(entries_of("models")) == set()


@pytest.mark.parametrize("page", ["layers", "ops"])
def test_every_layer_and_function_has_an_example_that_uses_it(page: str) -> None:
    examples = "".join(block.text for block in blocks_of(DOCS / f"reference/{page}.md"))
    unused = [name for entry in entries_of(page) if f"{(name := entry.rpartition('.')[2])}(" not in examples]
    assert unused == []


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_reference_page_run_and_give_what_they_show(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(DOCS / f"reference/{page}.md", tmp_path)
