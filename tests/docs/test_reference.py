"""The reference pages: complete, and their examples are right."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from dien.models import models
from tests.docs.blocks import DOCS, blocks_of, run_blocks

PAGES = {
    "library": "dien",
    "layers": "dien.layers",
    "models": "dien.models",
    "ops": "dien.ops",
    "serving": "dien.serving",
    "explain": "dien.explain",
    "publish": "dien.serving.publish",
    "store": "dien.serving.store",
    "training": "dien.training",
}
FILES = list((DOCS.parent / "src/dien").rglob("*.py"))
# Types and constants that have no docstring of their own, and what stands on the page of dien.
ELSEWHERE = {
    "dien": {"__version__"},
    "dien.models": {"Activation", "Widths", "Space", "SHARED", "MATCHED", "POOLED"},
    "dien.serving": {"Request", "Scorer"},
    "dien.training": {"evaluate", "fit"},
}
ENTRY = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def entries_of(page: str) -> list[str]:
    return ENTRY.findall((DOCS / f"reference/{page}.md").read_text(encoding="utf-8"))


def named(entry: str) -> Any:
    module, _, name = entry.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("page", "module"), PAGES.items())
def test_a_reference_page_has_an_entry_for_every_public_name(page: str, module: str) -> None:
    pages = PAGES if module == "dien" else [page]  # its names lie on the pages of their parts, too
    shown = [named(entry) for one in pages for entry in entries_of(one)]
    public = set(importlib.import_module(module).__all__) - ELSEWHERE.get(module, set())
    assert [name for name in sorted(public) if named(f"{module}.{name}") not in shown] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_entry_of_a_reference_page_is_taken_for_the_file_of_that_name(page: str) -> None:
    files = {".".join(file.relative_to(DOCS.parent / "src").with_suffix("").parts) for file in FILES}
    files |= {name.removesuffix(".__init__") for name in files}
    assert set(entries_of(page)) & files == set()


def test_every_registered_model_has_an_entry() -> None:
    shown = [named(entry) for entry in entries_of("models")]
    assert [name for name, found in models().items() if found.model not in shown] == []


@pytest.mark.parametrize("page", ["layers", "ops"])
def test_every_layer_and_function_has_an_example_that_uses_it(page: str) -> None:
    examples = "".join(block.text for block in blocks_of(DOCS / f"reference/{page}.md"))
    unused = [name for entry in entries_of(page) if f"{(name := entry.rpartition('.')[2])}(" not in examples]
    assert unused == []


@pytest.mark.parametrize("page", [*PAGES, "packed"])
def test_the_examples_of_a_reference_page_run_and_give_what_they_show(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(DOCS / f"reference/{page}.md", tmp_path)
