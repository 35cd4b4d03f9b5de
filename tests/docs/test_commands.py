"""The commands and imports that pages show exist."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from dien.cli.commands import app
from tests.docs.blocks import DOCS, blocks_of

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]
ids = [str(page.relative_to(DOCS.parent)) for page in PAGES]


def commands_of(page: Path) -> list[list[str]]:
    """Every ``dien ...`` of a page's blocks and of its text, as words."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"(?:^|do |`)(dien [a-z][^`;\n#]*)", text, re.MULTILINE)
    return [shlex.split(line)[1:] for line in found if '"' not in line and "'" not in line]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    for words in commands_of(page):
        command, path = typer.main.get_command(app), ["dien"]
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            path.append(words.pop(0))
            if path[-1] == "...":
                break
            assert path[-1] in command.commands, f"{' '.join(path)}: no such command"
            command = command.commands[path[-1]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - known
        assert "..." in words or not unknown or hasattr(command, "commands"), f"{' '.join(path)}: {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_name_that_an_example_imports_from_dien_exists(page: Path) -> None:
    for block in blocks_of(page):
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dien":
                module = importlib.import_module(node.module or "")
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
